/**
 * A task's privacy setting as a mechanism: the plan of the noise, what a round is charged, and the two halves around the secure sum. All of
 * it follows from the task and from what a session says of its cohort, so every party computes it for itself.
 */
import { parseRational, toNumber } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { laneCount } from '../secagg/quantiser.ts';
import type { LaneFormat, Quantiser } from '../secagg/quantiser.ts';
import type {
  ClearUpdates,
  Cohort,
  NoisePlacement,
  SecureAggregation,
  SharesAggregation,
  UserPrivacy,
} from '../task.ts';
import type { PrivacyEvent } from './events/event.ts';
import { vectorLength, wholeClip, withClipBit } from './moving-clip.ts';
import { describeDistributed, noiseOf, planDistributed } from './mechanisms/distributed.ts';
import type { DistributedPlan } from './mechanisms/distributed.ts';
import { addNoiseShare, boundedIntegers } from './mechanisms/distributed-client.ts';
import { openNoisySum } from './mechanisms/distributed-server.ts';
import { wrap } from './mechanisms/modulus.ts';
import { product } from './mechanisms/rational-arithmetic.ts';
import { rotationSeed } from './mechanisms/rotation.ts';
import { sumNoise } from './mechanisms/sum-noise.ts';

/** A protection that hides single updates, so that noise may be shared among them. */
export type Hiding = SecureAggregation | SharesAggregation;

/** Of such a protection, what noise depends on. */
export type HiddenNoise = Pick<Hiding, 'kind' | 'bits' | 'privacy'>;

/** Of a task's cohort, what noise depends on. */
export type CohortSize = Pick<Cohort, 'target' | 'minimum' | 'overSelection'>;

export interface NoisyTask {
  readonly protection: ClearUpdates | HiddenNoise;
  readonly cohort: CohortSize;
}

/** What a session says of its cohort. */
export interface NoisyCohort {
  readonly clients: number;
  /** No sum of fewer is ever opened. */
  readonly minimumSurvivors: number;
}

/**
 * Shares of noise are made for the survivors that are relied on; local noise for one; those of central noise, which the coordinator draws all
 * of, for whoever may be there. @param dimension values of an update, without a clip bit. @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS`
 */
export function noisePlan(
  { bits }: Pick<Hiding, 'bits'>,
  privacy: UserPrivacy,
  cohort: NoisyCohort,
  dimension: number,
): DistributedPlan {
  return planDistributed({
    noise: privacy.noise,
    dimension: vectorLength(privacy, dimension),
    clients: cohort.clients,
    floor: floorOf(privacy, cohort),
    noiseMultiplier: parseRational(privacy.noiseMultiplier),
    bits,
  });
}

function floorOf({ placement, colluding }: UserPrivacy, { clients, minimumSurvivors }: NoisyCohort): number {
  if (placement === 'central') return clients;
  if (placement === 'local') return 1;
  if (minimumSurvivors > colluding) return minimumSurvivors - colluding;
  throw new AggregationError(
    'MECHANISM_PARAMETERS',
    `of ${minimumSurvivors} survivors ${colluding} are not relied on: nobody is left to add noise`,
  );
}

/**
 * Of the largest cohort that a task may select, with the fewest survivors: no round of it has a noisier plan, so what this one costs is
 * never less than what a round does. Null for a task without privacy, or in the clear. @throws as {@link noisePlan}
 */
export function planOfTask({ protection, cohort }: NoisyTask, dimension: number): DistributedPlan | null {
  if (protection.kind === 'clear' || protection.privacy === null) return null;
  const clients = largestCohort(cohort);
  return noisePlan(protection, protection.privacy, { clients, minimumSurvivors: cohort.minimum }, dimension);
}

/** Clients that a round selects when enough are there. */
export function largestCohort({ target, overSelection }: Pick<CohortSize, 'target' | 'overSelection'>): number {
  return Math.ceil(Number((target * overSelection).toPrecision(12)));
}

/** One round, as the accountants see it: all of its cohort known to whoever looks, so nothing is gained by sampling. */
export function eventOf(plan: DistributedPlan, placement: NoisePlacement = 'distributed'): PrivacyEvent {
  const { parts, floor } = describeDistributed(plan);
  const [part, ...others] = parts;
  if (part === undefined || others.length > 0) throw new Error('a plan without a clip bit has one part');
  const [l1, l2] = [Number(part.l1), Math.sqrt(Number(part.l2Squared))];
  const localDeviation = Math.sqrt(toNumber(part.localVariance));
  const deviation = Math.sqrt(floor) * localDeviation;
  if (plan.noise === 'skellam') return { kind: 'skellam-vector', scale: 1, deviation, l1, l2 };
  const drawn =
    placement === 'central' ? { clients: 1, localDeviation: deviation } : { clients: floor, localDeviation };
  return { kind: 'distributed-discrete-gaussian', ...drawn, l1, l2, dimension: plan.dimension };
}

/** What is added to a delta for noise that is drawn from tables: so much a round, times 1 + e^epsilon. */
export function totalVariationOf(plan: DistributedPlan): number {
  return describeDistributed(plan).totalVariation;
}

/** Lanes of the width of the modulus, all clients with the weight 1. */
export function noisyQuantiser({ bits }: Pick<Hiding, 'bits'>, { clip }: UserPrivacy): Quantiser {
  return { clip, bits, maxWeight: 1 };
}

/** One client's integers: its clipped update, with its noise unless that is the coordinator's, and its weight. @throws AggregationError `MECHANISM_NONFINITE` */
export function noisyLanes(
  plan: DistributedPlan,
  privacy: UserPrivacy,
  context: Uint8Array,
  update: Float32Array,
  format: LaneFormat,
  random: RandomSource,
): Uint32Array {
  const lanes = new Uint32Array(laneCount(format));
  const round = { clip: wholeClip(privacy), seed: rotationSeed(context) };
  const whole = withClipBit(privacy, update);
  const hasOwnNoise = privacy.placement !== 'central';
  lanes.set(
    hasOwnNoise
      ? addNoiseShare(plan, round, whole, random)
      : wrap(boundedIntegers(plan, round, whole, random), plan.bits),
  );
  lanes[format.values] = 1;
  return lanes;
}

/**
 * The noisy mean behind summed lanes, with that of clip bits last where there are some, or undefined when they do not count as many clients as there are. @param secret of the round, for noise
 * that the coordinator adds; null where clients added theirs
 */
export function openNoisyMean(
  plan: DistributedPlan,
  privacy: UserPrivacy,
  context: Uint8Array,
  sums: Uint32Array,
  survivors: number,
  format: LaneFormat,
  secret: Uint8Array | null = null,
): Float64Array | undefined {
  if (sums[format.values] !== survivors) return undefined;
  const values = sums.subarray(0, format.values);
  const lanes = privacy.placement === 'central' ? withCentralNoise(plan, values, requireSecret(secret)) : values;
  const { sum } = openNoisySum(plan, { clip: wholeClip(privacy), seed: rotationSeed(context) }, lanes, survivors);
  return sum.map((value) => value / survivors);
}

/** Before the modulus is looked at: noise on a sum that has wrapped covers it as well as the same noise on the sum that has not. */
function withCentralNoise(plan: DistributedPlan, sums: Uint32Array, secret: Uint8Array): Uint32Array<ArrayBuffer> {
  const sum = wrap(new Int32Array(sums), plan.bits);
  const noisy = new Int32Array(sum);
  const variance = product(plan.localVariance, plan.floor);
  noiseOf(plan.noise, variance).addTo(noisy, sumNoise(secret, sum, variance));
  return wrap(noisy, plan.bits);
}

function requireSecret(secret: Uint8Array | null): Uint8Array {
  if (secret !== null) return secret;
  throw new AggregationError('MECHANISM_PARAMETERS', 'noise of the coordinator needs the secret of its round');
}
