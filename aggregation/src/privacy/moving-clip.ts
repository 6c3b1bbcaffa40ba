/**
 * A clip that follows a quantile of the norms, in the rounds of a task (Andrew, Thakkar, McMahan and Ramaswamy 2021). A client's bit, whether its update was
 * within the clip, is one more coordinate of that update: (u, ±b) where |u| is at most C. Of the norm sqrt(C^2 + b^2), with noise of z times that on each
 * coordinate, it is the plain mechanism of the multiplier z, one value longer, and is charged as that. The split of theorem 1 of the paper is the choice of
 * b = C' z / (2 sigma_b), C' being the norm of the whole: on the count of bits the noise is sigma_b, on the updates z_delta C.
 */
import { parseRational, toNumber } from '@carapace/crypto';
import type { AdaptiveClip, Protection, UserPrivacy } from '../task.ts';
import { privacyOf } from '../task.ts';
import { nextClip, splitNoise } from './mechanisms/adaptive-clip.ts';
import { clipping } from './mechanisms/clip.ts';

/** As in a task file: further out an update is none. */
export const LEAST_TASK_CLIP = 1e-6;
export const MOST_TASK_CLIP = 1e6;

/** What a round found out: its clip, and the noisy share of those whose update was within. */
export interface ClipStep {
  readonly clip: number;
  readonly within: number;
}

type Clipped = Pick<UserPrivacy, 'clip' | 'noiseMultiplier' | 'adaptive'>;

/** Values that travel of an update of `size`. */
export function vectorLength(privacy: Pick<UserPrivacy, 'adaptive'> | null, size: number): number {
  return privacy?.adaptive ? size + 1 : size;
}

/** The clip of all that a client contributes, its bit included. @throws AggregationError `MECHANISM_PARAMETERS` when the bit takes all of the noise */
export function wholeClip(privacy: Clipped): number {
  const { clip, noiseMultiplier, adaptive } = privacy;
  if (!adaptive) return clip;
  const multiplier = parseRational(noiseMultiplier);
  const left = toNumber(splitNoise(multiplier, parseRational(adaptive.bitDeviation)));
  return (clip * Math.sqrt(left)) / toNumber(multiplier);
}

/**
 * The update within its clip with the bit last; as it came where the clip stays. @param slack an update that was clipped before, and rounded since, is shorter
 * than the clip by this share of it at most. @throws AggregationError `MECHANISM_NONFINITE` or `MECHANISM_PARAMETERS`
 */
export function withClipBit(privacy: Clipped, update: Float32Array, slack = 0): Float32Array {
  const { clip, adaptive } = privacy;
  if (!adaptive) return update;
  const { norm, factor } = clipping(update, clip);
  const bit = bitOf(privacy, adaptive);
  const whole = Float32Array.from({ length: update.length + 1 }, (_value, i) => (update[i] ?? 0) * factor);
  whole[update.length] = norm <= clip * (1 - slack) ? bit : -bit;
  return whole;
}

/** A noisy mean of what {@link withClipBit} made, apart again; null where the clip stays. */
export function withoutClipBit(
  privacy: Clipped,
  mean: Float64Array,
): { readonly mean: Float64Array; readonly within: number | null } {
  const { adaptive } = privacy;
  if (!adaptive) return { mean, within: null };
  const last = mean.length - 1;
  return { mean: mean.subarray(0, last), within: (1 + mean[last]! / bitOf(privacy, adaptive)) / 2 };
}

function bitOf(privacy: Clipped, { bitDeviation }: AdaptiveClip): number {
  const share = toNumber(parseRational(privacy.noiseMultiplier)) / (2 * toNumber(parseRational(bitDeviation)));
  return share * wholeClip(privacy);
}

/** The clip of the next round, computed from what was released alone; null where the task's own never changes. @param last null before the first */
export function clipAfter(protection: Protection, last: ClipStep | null): number | null {
  const privacy = privacyOf(protection);
  if (!privacy?.adaptive) return null;
  if (last === null) return privacy.clip;
  const next = nextClip(last.clip, last.within, privacy.adaptive);
  return Math.min(MOST_TASK_CLIP, Math.max(LEAST_TASK_CLIP, next));
}

/** As it is in a round: what clients are told, and what its session and its sum are computed from. @param clip of the round, null for the task's own */
export function atClip<P extends Protection>(protection: P, clip: number | null): P {
  const privacy = privacyOf(protection);
  return clip === null || privacy === null ? protection : { ...protection, privacy: { ...privacy, clip } };
}
