/**
 * Vectors of integers with noise on all of one sum: what the central and the local mechanism have in common. Nothing wraps here, so
 * the integers are as fine as they need to be.
 */
import { discreteGaussian } from '@carapace/crypto';
import type { IntegerNoise, Rational } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { isClip } from './clip.ts';
import { totalVariationOf } from './description.ts';
import type { MechanismDescription } from './description.ts';
import { l1Bound } from './integer-norm.ts';
import { LONGEST_VECTOR } from './lattice/kernel.ts';
import { product } from './rational-arithmetic.ts';

export interface LatticeSettings {
  readonly dimension: number;
  /** z: deviation of the noise over the L2 sensitivity. */
  readonly noiseMultiplier: Rational;
}

/** Discrete Gaussian noise on integers; in integer units, so that it does not know the clip. */
export interface LatticePlan {
  readonly dimension: number;
  /** A vector of the norm of the clip has this norm in integer units. */
  readonly unitsPerClip: number;
  /** Most that the squared norm of one contribution may be; checked exactly. */
  readonly l2Squared: bigint;
  /** Variance of the noise on each value of the release. */
  readonly variance: Rational;
}

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function latticePlan(
  { dimension, noiseMultiplier }: LatticeSettings,
  unitsPerClip: number,
  longest: number,
): LatticePlan {
  const l2Squared = BigInt(Math.floor(longest));
  const variance = product(noiseMultiplier, noiseMultiplier, l2Squared);
  if (noiseMultiplier.numerator <= 0n) {
    throw new AggregationError('MECHANISM_PARAMETERS', 'a noise multiplier of 0 or less');
  }
  return { dimension, unitsPerClip, l2Squared, variance };
}

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function checkDimension(dimension: number): void {
  if (!Number.isInteger(dimension) || dimension < 1 || dimension > LONGEST_VECTOR) {
    throw new AggregationError('MECHANISM_PARAMETERS', `${dimension} values, allowed are 1 to ${LONGEST_VECTOR}`);
  }
}

/** @throws AggregationError `VECTOR_LENGTH` or `MECHANISM_PARAMETERS` */
export function checkContribution({ dimension }: LatticePlan, clip: number, length: number): void {
  if (length !== dimension) throw new AggregationError('VECTOR_LENGTH', `${length} values, the plan has ${dimension}`);
  if (!isClip(clip)) throw new AggregationError('MECHANISM_PARAMETERS', `a clip of ${clip}`);
}

/** Sums that stay exact in binary64 when noise is added. @throws AggregationError `MECHANISM_PARAMETERS` */
export function checkIntegers(sum: Float64Array, most: number): void {
  if (!sum.every((value) => Number.isInteger(value) && Math.abs(value) <= most)) {
    throw new AggregationError('MECHANISM_PARAMETERS', `a sum that is not of integers, or holds more than ${most}`);
  }
}

/** A sum, and noise of up to 64 deviations on it, are at most 2^53. */
export const LARGEST_SUM: number = 2 ** 52;

export function describeLattice(plan: LatticePlan, model: 'central' | 'local'): MechanismDescription {
  const { dimension, l2Squared, variance } = plan;
  const parts = [{ dimension, l2Squared, l1: l1Bound(l2Squared, dimension), localVariance: variance }];
  const totalVariation = totalVariationOf(latticeNoise(plan), dimension);
  return { model, noise: 'discrete-gaussian', floor: 1, parts, totalVariation };
}

/** Tables are made once for each plan. */
const noises = new WeakMap<LatticePlan, IntegerNoise>();

export function latticeNoise(plan: LatticePlan): IntegerNoise {
  const noise = noises.get(plan) ?? discreteGaussian(plan.variance);
  noises.set(plan, noise);
  return noise;
}
