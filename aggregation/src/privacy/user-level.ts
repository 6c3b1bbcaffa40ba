/**
 * A task's privacy setting as a mechanism: the plan of the noise, what a round is charged, and the two halves around the secure sum. All of
 * it follows from the task and from what a session says of its cohort, so every party computes it for itself.
 */
import { parseRational, toNumber } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { laneCount } from '../secagg/quantiser.ts';
import type { LaneFormat, Quantiser } from '../secagg/quantiser.ts';
import type { SecureAggregation, SharesAggregation, Task, UserPrivacy } from '../task.ts';
import type { PrivacyEvent } from './events/event.ts';
import { describeDistributed, planDistributed } from './mechanisms/distributed.ts';
import type { DistributedPlan } from './mechanisms/distributed.ts';
import { addNoiseShare } from './mechanisms/distributed-client.ts';
import { openNoisySum } from './mechanisms/distributed-server.ts';
import { rotationSeed } from './mechanisms/rotation.ts';

/** A protection that hides single updates, so that noise may be shared among them. */
export type Hiding = SecureAggregation | SharesAggregation;

/** What a session says of its cohort. */
export interface NoisyCohort {
  readonly clients: number;
  /** No sum of fewer is ever opened. */
  readonly minimumSurvivors: number;
}

/** @param dimension values of an update. @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS` */
export function noisePlan(
  { bits }: Pick<Hiding, 'bits'>,
  privacy: UserPrivacy,
  { clients, minimumSurvivors }: NoisyCohort,
  dimension: number,
): DistributedPlan {
  const floor = minimumSurvivors - privacy.colluding;
  if (floor < 1)
    throw new AggregationError(
      'MECHANISM_PARAMETERS',
      `of ${minimumSurvivors} survivors ${privacy.colluding} are not relied on: nobody is left to add noise`,
    );
  return planDistributed({
    noise: privacy.noise,
    dimension,
    clients,
    floor,
    noiseMultiplier: parseRational(privacy.noiseMultiplier),
    bits,
  });
}

/**
 * Of the largest cohort that a task may select, with the fewest survivors: no round of it has a noisier plan, so what this one costs is
 * never less than what a round does. Null for a task without privacy. @throws as {@link noisePlan}
 */
export function planOfTask({ protection, cohort }: Task, dimension: number): DistributedPlan | null {
  if (protection.kind === 'clear' || protection.privacy === null) return null;
  const clients = Math.ceil(Number((cohort.target * cohort.overSelection).toPrecision(12)));
  return noisePlan(protection, protection.privacy, { clients, minimumSurvivors: cohort.minimum }, dimension);
}

/** One round, as the accountants see it: all of its cohort known to whoever looks, so nothing is gained by sampling. */
export function eventOf(plan: DistributedPlan): PrivacyEvent {
  const { parts, floor } = describeDistributed(plan);
  const [part, ...others] = parts;
  if (part === undefined || others.length > 0) throw new Error('a plan without a clip bit has one part');
  const [l1, l2] = [Number(part.l1), Math.sqrt(Number(part.l2Squared))];
  const localDeviation = Math.sqrt(toNumber(part.localVariance));
  return plan.noise === 'skellam'
    ? { kind: 'skellam-vector', scale: 1, deviation: Math.sqrt(floor) * localDeviation, l1, l2 }
    : { kind: 'distributed-discrete-gaussian', clients: floor, localDeviation, l1, l2, dimension: plan.dimension };
}

/** What is added to a delta for noise that is drawn from tables: so much a round, times 1 + e^epsilon. */
export function totalVariationOf(plan: DistributedPlan): number {
  return describeDistributed(plan).totalVariation;
}

/** Lanes of the width of the modulus, all clients with the weight 1. */
export function noisyQuantiser({ bits }: Pick<Hiding, 'bits'>, { clip }: UserPrivacy): Quantiser {
  return { clip, bits, maxWeight: 1 };
}

/** One client's integers: its clipped update with its share of noise, and its weight. @throws AggregationError `MECHANISM_NONFINITE` */
export function noisyLanes(
  plan: DistributedPlan,
  { clip }: UserPrivacy,
  context: Uint8Array,
  update: Float32Array,
  format: LaneFormat,
  random: RandomSource,
): Uint32Array {
  const lanes = new Uint32Array(laneCount(format));
  lanes.set(addNoiseShare(plan, { clip, seed: rotationSeed(context) }, update, random));
  lanes[format.values] = 1;
  return lanes;
}

/** The noisy mean behind summed lanes, or undefined when they do not count as many clients as there are. */
export function openNoisyMean(
  plan: DistributedPlan,
  { clip }: UserPrivacy,
  context: Uint8Array,
  sums: Uint32Array,
  survivors: number,
  format: LaneFormat,
): Float64Array | undefined {
  if (sums[format.values] !== survivors) return undefined;
  const { sum } = openNoisySum(plan, { clip, seed: rotationSeed(context) }, sums.subarray(0, format.values), survivors);
  return sum.map((value) => value / survivors);
}
