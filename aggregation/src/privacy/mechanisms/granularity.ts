/**
 * How fine the integers may be: the step gamma of the lattice, in closed form, such that the sum of a whole cohort stays within its
 * modulus by a number of standard deviations (Kairouz, Liu and Steinke 2021; Agarwal, Kairouz and Liu 2021;
 * `distributed_dp/ddpquery_utils.py` of google-research/federated solves the same equation).
 */
import { roundingSlack } from './conditional-rounding.ts';

export interface Spread {
  /** Clients whose inputs may be in one sum. */
  readonly clients: number;
  /** L2 norm of an update at most. */
  readonly clip: number;
  /** The rotation leaves each coordinate of a vector with variance |x|^2 / width. */
  readonly width: number;
  /** The sum is known modulo 2^bits. */
  readonly bits: number;
  /** Standard deviations of a coordinate of the sum that the modulus covers to either side. */
  readonly deviations: number;
}

/** Variance of the noise in the sum of all clients, in real units, as constant + linear gamma + quadratic gamma^2. */
export interface NoiseVariance {
  readonly constant: number;
  readonly linear: number;
  readonly quadratic: number;
}

/**
 * The gamma with 2^bits gamma = 2 deviations sqrt((clip clients)^2 / width + clients gamma^2 / 4 + noise), which counts the signal, as
 * if all updates were equal, the rounding and the noise. Undefined when no step is coarse enough: then rounding and noise, which grow
 * with the step, fill the modulus by themselves.
 */
export function granularity(spread: Spread, noise: NoiseVariance): number | undefined {
  const { clients, clip, width, bits, deviations } = spread;
  const quadratic = (2 ** bits / (2 * deviations)) ** 2 - clients / 4 - noise.quadratic;
  if (quadratic <= 0) return undefined;
  const constant = (clip * clients) ** 2 / width + noise.constant;
  return (noise.linear + Math.sqrt(noise.linear ** 2 + 4 * quadratic * constant)) / (2 * quadratic);
}

/**
 * Squared L2 norm after rounding as a polynomial of gamma, in real units and for a clip of 1: `roundedNormSquared` times gamma^2, first
 * its bound for every rounding, then the one that is conditioned on with probability 1 - beta.
 */
export function roundedNormPolynomials(dimension: number, beta: number): readonly NoiseVariance[] {
  const root = Math.sqrt(dimension);
  const worst = { constant: 1, linear: 2 * root, quadratic: dimension };
  if (beta === 0) return [worst];
  const slack = roundingSlack(beta);
  return [worst, { constant: 1, linear: slack, quadratic: dimension / 4 + (slack * root) / 2 }];
}

/**
 * Bound on the probability that one coordinate of the sum wraps, by Chernoff: signal and rounding are sub-Gaussian with the variance
 * that is given, noise has the cumulants of its kind, all in integer units.
 */
export function wrapProbability(
  limit: number,
  subGaussian: number,
  noise: { readonly kind: 'skellam' | 'discrete-gaussian'; readonly variance: number },
): number {
  if (noise.kind === 'discrete-gaussian') {
    // Canonne, Kamath and Steinke 2020: sub-Gaussian with its parameter as the variance.
    return Math.min(1, 2 * Math.exp(-(limit ** 2) / (2 * (subGaussian + noise.variance))));
  }
  // The cumulant of Skellam noise is variance (cosh t - 1). Newton's method on the derivative of the exponent, from where it is convex.
  const slope = (t: number): number => subGaussian * t + noise.variance * Math.sinh(t) - limit;
  let t = Math.min(limit / (subGaussian + noise.variance), Math.asinh(limit / noise.variance));
  for (let i = 0; i < 50; i++) t -= slope(t) / (subGaussian + noise.variance * Math.cosh(t));
  const exponent = (subGaussian * t ** 2) / 2 + noise.variance * (Math.cosh(t) - 1) - limit * t;
  return Math.min(1, 2 * Math.exp(exponent));
}
