/**
 * One round of canaries through the mechanism of production. Canary i is a client with a coordinate of its own: by its coin it sends the longest
 * update along it, or nothing (`zero-out`), which is as far as neighbours can be apart; so no other clients tell an attack more.
 */
import type { RandomSource } from '@carapace/crypto';
import type { CohortMean } from '../utility/cohort-mean.ts';
import type { CanaryScore } from './membership.ts';

export interface CanaryRun {
  readonly canaries: number;
  readonly clip: number;
  /** Opens the sum of a cohort whose size and dimension are the canaries. */
  readonly open: () => CohortMean;
}

/** @param coins fair, and none of the mechanism's own */
export function runCanaries({ canaries, clip, open }: CanaryRun, coins: RandomSource): CanaryScore[] {
  const isIn = Array.from(coins.bytes(canaries), (byte) => (byte & 1) === 1);
  const cohort = open();
  for (const [i, sends] of isIn.entries()) {
    const update = new Float32Array(canaries);
    if (sends) update[i] = clip;
    cohort.add(update);
  }
  const mean = cohort.mean();
  return isIn.map((wasIn, i) => ({ wasIn, score: mean[i]! }));
}
