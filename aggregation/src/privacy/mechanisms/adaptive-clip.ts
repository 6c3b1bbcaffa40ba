/**
 * The clip follows a quantile of the norms: Andrew, Thakkar, McMahan and Ramaswamy, "Differentially Private Learning with Adaptive
 * Clipping" (2021). Every client tells by one bit, under noise of its own, whether its update was within the clip. Updates and bits are
 * one release, and one Gaussian of the multiplier z: they are drawn by the same coin and are not two events.
 */
import type { Rational } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { LEAST_CLIP, MOST_CLIP } from './clip.ts';
import { difference, inverse, isAtLeast, product } from './rational-arithmetic.ts';

export interface ClipRule {
  /** gamma: the share of updates that should be within the clip. */
  readonly quantile: number;
  /** eta: how fast the clip moves. */
  readonly rate: number;
}

/** As in the paper: the median, and a step that halves or doubles a clip in seven rounds at the fastest. */
export const DEFAULT_CLIP_RULE: ClipRule = { quantile: 0.5, rate: 0.2 };

/** The deviation that the paper proposes for the noise on the count of a cohort: n / 20. */
export function defaultBitDeviation(clients: number): Rational {
  return product(clients, { numerator: 1n, denominator: 20n });
}

/**
 * z_delta^2 = 1 / (z^-2 - (2 sigma_b)^-2), exactly: what is left for the updates of a noise multiplier z when the count of bits, each
 * less 1/2 so that one client moves it by 1/2, has noise of deviation sigma_b. @throws AggregationError `MECHANISM_PARAMETERS` unless z < 2 sigma_b
 */
export function splitNoise(noiseMultiplier: Rational, bitDeviation: Rational): Rational {
  const twice = product(bitDeviation, 2);
  if (isAtLeast(noiseMultiplier, twice)) {
    throw new AggregationError('MECHANISM_PARAMETERS', 'noise on the clip bit of half the noise multiplier or less');
  }
  const precision = (deviation: Rational): Rational => inverse(product(deviation, deviation));
  return inverse(difference(precision(noiseMultiplier), precision(twice)));
}

/**
 * C exp(-eta (b - gamma)): geometric, so that a clip that is far off is found in few rounds. `withinClip` is the noisy share of bits.
 * @throws AggregationError `MECHANISM_NONFINITE`
 */
export function nextClip(clip: number, withinClip: number, { quantile, rate }: ClipRule): number {
  if (!Number.isFinite(withinClip)) throw new AggregationError('MECHANISM_NONFINITE', `a share of ${withinClip}`);
  // Noise can take the share out of [0, 1]; there it tells no more than the end does.
  const share = Math.min(1, Math.max(0, withinClip));
  return Math.min(MOST_CLIP, Math.max(LEAST_CLIP, clip * Math.exp(-rate * (share - quantile))));
}
