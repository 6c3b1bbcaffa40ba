/** What an accountant must know of one release of a mechanism. Everything that privacy rests on is an integer or a ratio of integers. */
import { toNumber } from '@carapace/crypto';
import type { IntegerNoise, Rational } from '@carapace/crypto';
import { inverse, isAtLeast, product, sum } from './rational-arithmetic.ts';

export type NoiseKind = 'skellam' | 'discrete-gaussian';

export interface MechanismDescription {
  /** Who adds the noise: every client a share of it, the server all of it, or every client all of it. */
  readonly model: 'distributed' | 'central' | 'local';
  readonly noise: NoiseKind;
  /** How many independent shares of noise are in the result at least: honest survivors, or 1. */
  readonly floor: number;
  /** Vectors that are released together, each with noise of its own: their Renyi divergences add up. */
  readonly parts: readonly DescribedPart[];
  /**
   * Bound on the total-variation distance of the release from that of ideal noise. An (epsilon, delta) of the ideal becomes
   * (epsilon, delta + (1 + e^epsilon) totalVariation).
   */
  readonly totalVariation: number;
}

export interface DescribedPart {
  readonly dimension: number;
  /**
   * Squared L2 and L1 norm, in integer units, of what one person contributes at most: sensitivities when neighbours differ by one
   * contribution, clip bit included, being set to zero, which leaves the share of noise that came with it. (With central noise that is
   * the same as being absent.) When one contribution is replaced by another they are twice that, and l2Squared four times.
   */
  readonly l2Squared: bigint;
  readonly l1: bigint;
  /** Variance of one share; `floor` of them are in the sum. */
  readonly localVariance: Rational;
}

/**
 * Whether the noise at the floor is at least `noiseMultiplier` times as wide as the sensitivity of all parts together: exactly, for a
 * client that was sent a plan. @param noiseMultiplier above 0
 */
export function hasNoise({ floor, parts }: MechanismDescription, noiseMultiplier: Rational): boolean {
  const spent = parts.map(({ l2Squared, localVariance }) => product(l2Squared, inverse(product(localVariance, floor))));
  return isAtLeast(inverse(product(noiseMultiplier, noiseMultiplier)), spent.reduce(sum));
}

/** Deviation of the noise at the floor over the L2 sensitivity, of all parts together: the multiplier of the Gaussian that it imitates. */
export function effectiveNoiseMultiplier({ floor, parts }: MechanismDescription): number {
  const squares = parts.map(({ l2Squared, localVariance }) => Number(l2Squared) / (floor * toNumber(localVariance)));
  return squares.reduce((total, square) => total + square, 0) ** -0.5;
}

/** What is added to delta for noise that is not ideal: `(1 + e^epsilon) totalVariation`. */
export function deltaCost({ totalVariation }: MechanismDescription, epsilon: number): number {
  return (1 + Math.exp(epsilon)) * totalVariation;
}

/** Total variation of `draws` independent draws, at most. */
export function totalVariationOf(noise: IntegerNoise, draws: number): number {
  return draws * noise.totalVariation;
}
