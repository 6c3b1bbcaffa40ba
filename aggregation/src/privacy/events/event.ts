/**
 * What was released, as the accountants see it. C is the bound on one person's part (in the L2 norm for Gaussian noise, in L1 for Laplace);
 * noise multipliers are the noise of the sum over C, whatever the relation: replacing one person moves the sum by up to 2C.
 */

/** Which two inputs must look alike. One budget has one. */
export const RELATIONS = ['add-or-remove', 'zero-out', 'replace-one'] as const;
export type Relation = (typeof RELATIONS)[number];

/** Noise N(0, (noiseMultiplier C)^2) on each coordinate of a sum. */
export interface Gaussian {
  readonly kind: 'gaussian';
  readonly noiseMultiplier: number;
}

/** One number with Laplace noise of that scale, in units of C. */
export interface Laplace {
  readonly kind: 'laplace';
  readonly scale: number;
}

/** One integer with noise p(k) proportional to e^{-|k| / scale}; one person moves it by at most `sensitivity`. */
export interface DiscreteLaplace {
  readonly kind: 'discrete-laplace';
  readonly scale: number;
  readonly sensitivity: number;
}

/** One integer with noise p(k) proportional to e^{-k^2 / (2 variance)}. */
export interface DiscreteGaussian {
  readonly kind: 'discrete-gaussian';
  readonly variance: number;
  readonly sensitivity: number;
}

/** One integer with the difference of two Poisson variables, of that variance, added. */
export interface Skellam {
  readonly kind: 'skellam';
  readonly variance: number;
  readonly sensitivity: number;
}

/**
 * A vector of integers that was scaled by `scale` and rounded, with Skellam noise on each. Norms and standard deviation are those before the
 * scaling; norms hold after rounding.
 */
export interface SkellamVector {
  readonly kind: 'skellam-vector';
  readonly scale: number;
  readonly deviation: number;
  readonly l1: number;
  readonly l2: number;
}

/** As many discrete Gaussian variables as there are clients, each of the deviation `localDeviation`, summed on each coordinate; all in integer units. */
export interface DistributedDiscreteGaussian {
  readonly kind: 'distributed-discrete-gaussian';
  readonly clients: number;
  readonly localDeviation: number;
  readonly l1: number;
  readonly l2: number;
  readonly dimension: number;
}

/** What may be released about a cohort into which everybody comes by a secret coin of their own. */
export type Sampleable =
  Gaussian | Laplace | DiscreteLaplace | DiscreteGaussian | Skellam | SkellamVector | DistributedDiscreteGaussian;

export interface PoissonSampled {
  readonly kind: 'poisson';
  readonly probability: number;
  readonly event: Sampleable;
}

/** A Gaussian over a Poisson cohort of which, when it is larger than `cap`, so many are kept at random. */
export interface TruncatedPoisson {
  readonly kind: 'truncated-poisson';
  readonly population: number;
  readonly probability: number;
  readonly cap: number;
  readonly noiseMultiplier: number;
}

/** A Gaussian over a cohort of fixed size, drawn at random and kept secret. */
export interface WithoutReplacement {
  readonly kind: 'without-replacement';
  readonly population: number;
  readonly sample: number;
  readonly noiseMultiplier: number;
}

/** All nodes of one binary tree over the rounds, without restarts; `separation` rounds at least lie between two of a person's participations. */
export interface Tree {
  readonly kind: 'tree';
  readonly noiseMultiplier: number;
  readonly rounds: number;
  readonly participations: number;
  readonly separation: number;
}

/** C x + z, where the strategy matrix C is the square root of the prefix sum, or banded with orthogonal columns of that norm within `separation`. */
export interface MatrixFactorisation {
  readonly kind: 'matrix-factorisation';
  readonly strategy: 'square-root' | 'banded';
  readonly noiseMultiplier: number;
  readonly rounds: number;
  readonly participations: number;
  readonly separation: number;
  /** Of the banded matrix; 1 for the square root, whose norm is known. */
  readonly columnNorm: number;
}

/** A person's part has the size `sensitivities[i]` with the probability `probabilities[i]`; Gaussian noise of that deviation. */
export interface MixtureOfGaussians {
  readonly kind: 'mixture-of-gaussians';
  readonly deviation: number;
  readonly sensitivities: readonly number[];
  readonly probabilities: readonly number[];
}

export interface EpsilonDelta {
  readonly kind: 'epsilon-delta';
  readonly epsilon: number;
  readonly delta: number;
}

/** The true one of `buckets` answers, or with the probability `noise` one drawn evenly from all. */
export interface RandomisedResponse {
  readonly kind: 'randomised-response';
  readonly noise: number;
  readonly buckets: number;
}

/** Renyi divergence at most xi + rho times the order (Bun and Steinke 2016). */
export interface ConcentratedPrivacy {
  readonly kind: 'zcdp';
  readonly rho: number;
  readonly xi: number;
}

/** Losses within an interval of the length epsilon, as of the exponential mechanism (Dong, Durfee and Rogers 2020). */
export interface BoundedRange {
  readonly kind: 'bounded-range';
  readonly epsilon: number;
}

export type PrivacyEvent =
  | Sampleable
  | PoissonSampled
  | TruncatedPoisson
  | WithoutReplacement
  | Tree
  | MatrixFactorisation
  | MixtureOfGaussians
  | EpsilonDelta
  | RandomisedResponse
  | ConcentratedPrivacy
  | BoundedRange;

/** An event that happened `count` times, independently. */
export interface Charge {
  readonly event: PrivacyEvent;
  readonly count: number;
}
