/** The server's half of distributed noise: the opened sum back to real numbers. It is computed from the noisy sum alone, so it costs nothing. */
import { AggregationError } from '../../errors.ts';
import { laneCountOf } from './distributed.ts';
import type { DistributedPlan } from './distributed.ts';
import { checkRound } from './distributed-client.ts';
import type { RoundParameters } from './distributed-client.ts';
import { centre } from './modulus.ts';
import { unrotate } from './rotation.ts';

export interface NoisySum {
  /** Sum of the clipped updates, with noise. */
  readonly sum: Float64Array<ArrayBuffer>;
  /** Noisy share of the survivors whose update was within the clip; null when the plan has no lane for it. */
  readonly withinClip: number | null;
}

/**
 * @param lanes sums modulo 2^bits of the lanes of `survivors` clients; what is above the lowest bits is not looked at
 * @throws AggregationError `VECTOR_LENGTH` or `MECHANISM_PARAMETERS`
 */
export function openNoisySum(
  plan: DistributedPlan,
  { clip, seed }: RoundParameters,
  lanes: Uint32Array,
  survivors: number,
): NoisySum {
  checkRound({ clip, seed });
  if (!(survivors >= 1)) throw new AggregationError('MECHANISM_PARAMETERS', `a sum of ${survivors} clients`);
  const count = laneCountOf(plan);
  if (lanes.length !== count) throw new AggregationError('VECTOR_LENGTH', `${lanes.length} lanes, not ${count}`);
  const integers = new Float64Array(centre(lanes, plan.bits));
  const bit = integers[plan.dimension];
  return {
    sum: unrotate(integers.subarray(0, plan.dimension), seed, clip / plan.unitsPerClip),
    withinClip: plan.clipBit === null ? null : 0.5 + (bit ?? 0) / (2 * plan.clipBit.unit * survivors),
  };
}
