/** The noise of a utility experiment: the least multiplier with which all of its rounds together cost no more than the target. */
import { calibrate, eventOf, noisePlan, privacyEpsilon } from '@carapace/aggregation';
import { distributedPrivacy, LANE_BITS } from './cohort-mean.ts';
import type { CohortSettings } from './cohort-mean.ts';

export interface UtilityTarget extends Pick<CohortSettings, 'clients' | 'dimension' | 'clip'> {
  readonly rounds: number;
  readonly epsilon: number;
  readonly delta: number;
}

export interface UtilityPlan {
  /** For both noises; a decimal. */
  readonly noiseMultiplier: string;
  /** What distributed noise costs by the certified engine: at most the target. */
  readonly distributedEpsilon: number;
  /** What central Gaussian noise of the same multiplier costs: less, for its bound is tighter. */
  readonly centralEpsilon: number;
}

/**
 * Every client takes part in every round, so nothing is gained by sampling and nothing need be secret: a round is priced as the coordinator
 * prices it. @throws AggregationError `PRIVACY_TARGET_UNREACHABLE` or `MECHANISM_MODULUS`
 */
export function planUtility({ clients, dimension, clip, rounds, epsilon, delta }: UtilityTarget): UtilityPlan {
  const relation = 'zero-out';
  const eventAt = (multiplier: number): ReturnType<typeof eventOf> => {
    const privacy = distributedPrivacy({ clients, dimension, clip, noiseMultiplier: String(multiplier) });
    return eventOf(noisePlan({ bits: LANE_BITS }, privacy, { clients, minimumSurvivors: clients }, dimension));
  };
  const { value, answer } = calibrate({
    epsilon,
    delta,
    relation,
    chargesAt: (multiplier) => [{ event: eventAt(multiplier), count: rounds }],
    protects: 'more',
    low: 0.05,
    high: 1_000,
  });
  const gaussian = { kind: 'gaussian', noiseMultiplier: value } as const;
  return {
    noiseMultiplier: String(value),
    distributedEpsilon: answer.value,
    centralEpsilon: privacyEpsilon([{ event: gaussian, count: rounds }], delta, { relation }).value,
  };
}
