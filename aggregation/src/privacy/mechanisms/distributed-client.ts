/** The client's half of distributed noise: clip, rotate, scale, round until the norm fits, add this client's share, wrap. */
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { clipping, isClip } from './clip.ts';
import { roundConditionally } from './conditional-rounding.ts';
import { laneCountOf, noisesOf } from './distributed.ts';
import type { DistributedPlan } from './distributed.ts';
import { withWorkspace } from './lattice/kernel.ts';
import { wrap } from './modulus.ts';
import { rotate } from './rotation.ts';

export interface RoundParameters {
  /** L2 norm to clip to. */
  readonly clip: number;
  /** 32 bytes of `rotationSeed`, the same for the whole round. */
  readonly seed: Uint8Array;
}

/**
 * Lanes modulo 2^bits: the update with this client's share of noise, and last, where the plan has one, its clip bit with its own.
 * They are safe to show once added up with those of `floor` - 1 other honest clients; alone they are not.
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE`, `MECHANISM_PARAMETERS` or `MECHANISM_NORM`
 */
export function addNoiseShare(
  plan: DistributedPlan,
  round: RoundParameters,
  update: Float32Array,
  random: RandomSource,
): Uint32Array<ArrayBuffer> {
  const lanes = boundedIntegers(plan, round, update, random);
  const { values, bit } = noisesOf(plan);
  values.addTo(lanes.subarray(0, plan.dimension), random);
  bit?.addTo(lanes.subarray(plan.dimension), random);
  return wrap(lanes, plan.bits);
}

/** What the noise is added to: integers whose squared norm is at most `l2Squared`, and the clip bit. Secret. */
export function boundedIntegers(
  plan: DistributedPlan,
  { clip, seed }: RoundParameters,
  update: Float32Array,
  random: RandomSource,
): Int32Array<ArrayBuffer> {
  if (update.length !== plan.dimension) {
    throw new AggregationError('VECTOR_LENGTH', `${update.length} values, the plan has ${plan.dimension}`);
  }
  checkRound({ clip, seed });
  const { factor, isWithin } = clipping(update, clip);
  const integers = new Int32Array(laneCountOf(plan));
  withWorkspace(plan.dimension, (workspace) => {
    workspace.numbers.set(update);
    rotate(workspace, seed, (factor / clip) * plan.unitsPerClip);
    roundConditionally(workspace, plan.l2Squared, random);
    integers.set(workspace.integers);
  });
  if (plan.clipBit !== null) integers[plan.dimension] = isWithin ? plan.clipBit.unit : -plan.clipBit.unit;
  return integers;
}

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function checkRound({ clip, seed }: RoundParameters): void {
  if (!isClip(clip)) throw new AggregationError('MECHANISM_PARAMETERS', `a clip of ${clip}`);
  if (seed.length !== 32) throw new AggregationError('MECHANISM_PARAMETERS', `a seed of ${seed.length} bytes, not 32`);
}
