/**
 * Noise of updates that travel in the clear: the coordinator's on their sum (`central`), or each client's on its own (`local`). Every client
 * weighs the same.
 */
import { parseRational, toNumber } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import type { ClearUpdates, UserPrivacy } from '../task.ts';
import type { PrivacyEvent } from './events/event.ts';
import { CentralSum, describeCentral, planCentral, releaseCentral } from './mechanisms/central.ts';
import { clipping } from './mechanisms/clip.ts';
import { l1Bound } from './mechanisms/integer-norm.ts';
import type { LatticePlan } from './mechanisms/lattice-plan.ts';
import { addLocalNoise, planLocal } from './mechanisms/local.ts';
import { sumNoise } from './mechanisms/sum-noise.ts';
import { vectorLength, wholeClip, withClipBit } from './moving-clip.ts';

/** Null without noise. @param dimension values of an update, without a clip bit. @throws AggregationError `MECHANISM_PARAMETERS` */
export function clearNoisePlan({ privacy }: ClearUpdates, dimension: number): LatticePlan | null {
  if (!privacy) return null;
  const settings = {
    dimension: vectorLength(privacy, dimension),
    noiseMultiplier: parseRational(privacy.noiseMultiplier),
  };
  return privacy.placement === 'central' ? planCentral(settings) : planLocal(settings);
}

/** One release on a lattice, as the accountants see it: one discrete Gaussian on each value. */
export function latticeEvent({ dimension, l2Squared, variance }: LatticePlan): PrivacyEvent {
  return {
    kind: 'distributed-discrete-gaussian',
    clients: 1,
    localDeviation: Math.sqrt(toNumber(variance)),
    l1: Number(l1Bound(l2Squared, dimension)),
    l2: Math.sqrt(Number(l2Squared)),
    dimension,
  };
}

export function latticeVariation(plan: LatticePlan): number {
  return describeCentral(plan).totalVariation;
}

/** What a client sends: its update within the clip, with all of the noise where it is local. @throws AggregationError `MECHANISM_NONFINITE` */
export function clearContribution(
  plan: LatticePlan,
  { placement, clip }: UserPrivacy,
  update: Float32Array,
  random: RandomSource,
): Float32Array<ArrayBuffer> {
  if (placement === 'local') return addLocalNoise(plan, clip, update, random);
  const { factor } = clipping(update, clip);
  return Float32Array.from(update, (value) => value * factor);
}

/** Rounding to float32 makes an update longer by so much at most. */
const ROUNDING = 1e-6;

/** Whether a contribution is one that a client may send: with central noise, no longer than the clip. */
export function isWithinClip({ placement, clip }: UserPrivacy, update: Float32Array): boolean {
  return placement !== 'central' || clipping(update, clip).norm <= clip * (1 + ROUNDING);
}

/**
 * The mean of contributions with the coordinator's noise on it, clipped here once more. Where the clip moves, the bits are seen by the norms as they came
 * (what was clipped has the norm of the clip), and their mean is last.
 */
export class CentrallyNoisyMean {
  readonly #plan: LatticePlan;
  readonly #privacy: UserPrivacy;
  readonly #sum: CentralSum;
  #count = 0;

  constructor(plan: LatticePlan, privacy: UserPrivacy) {
    this.#plan = plan;
    this.#privacy = privacy;
    this.#sum = new CentralSum(plan, wholeClip(privacy));
  }

  /** @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE` or `MECHANISM_NORM` */
  add(update: Float32Array): void {
    this.#sum.add(withClipBit(this.#privacy, update, ROUNDING));
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** Once. @param secret of the round; @param over what the sum is divided by. @throws AggregationError `MECHANISM_RELEASED` */
  open(secret: Uint8Array, over: number): Float64Array<ArrayBuffer> {
    const sum = this.#sum.integers();
    const noisy = releaseCentral(this.#plan, wholeClip(this.#privacy), sum, sumNoise(secret, sum, this.#plan.variance));
    return noisy.map((value) => value / over);
  }
}
