/**
 * Central noise: a server that is trusted with the sum adds exact discrete Gaussian noise to it (McMahan et al. 2018 with the noise of
 * Canonne, Kamath and Steinke 2020). Float sums do not have the sensitivity that is computed for them (Casacuberta et al. 2022), so every
 * contribution is first put on an integer lattice, to its nearest point; that widens the sensitivity by the rounding distance, as in
 * OpenDP. Sums of integers are exact and depend on no order.
 */
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { clipping } from './clip.ts';
import type { MechanismDescription } from './description.ts';
import { integerNorms } from './integer-norm.ts';
import {
  checkContribution,
  checkDimension,
  checkIntegers,
  describeLattice,
  LARGEST_SUM,
  latticeNoise,
  latticePlan,
} from './lattice-plan.ts';
import type { LatticePlan, LatticeSettings } from './lattice-plan.ts';

/** Integers of a sum must stay exact in binary64. */
const MOST_CONTRIBUTIONS = 2 ** 28;

/**
 * The sensitivity is that of the clip and a thousandth more: sqrt(d) / 2 of rounding to at least 512 sqrt(d) units. Units are a power
 * of two, so that going there and back only moves a point. @throws AggregationError `MECHANISM_PARAMETERS`
 */
export function planCentral(settings: LatticeSettings): LatticePlan {
  checkDimension(settings.dimension);
  const units = 2 ** Math.ceil(Math.log2(512 * Math.sqrt(settings.dimension)));
  // The norm is summed up in binary64, which for 2^26 values may be 2^-28 of it too small.
  const longest = (units * (1 + 2 ** -27) + Math.sqrt(settings.dimension) / 2) ** 2;
  return latticePlan(settings, units, longest);
}

export function describeCentral(plan: LatticePlan): MechanismDescription {
  return describeLattice(plan, 'central');
}

/**
 * The nearest lattice point of a clipped contribution; the same on every run, so that a sum can be made again.
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE`, `MECHANISM_PARAMETERS` or `MECHANISM_NORM`
 */
export function nearestIntegers(
  plan: LatticePlan,
  clip: number,
  values: Float32Array | Float64Array,
): Int32Array<ArrayBuffer> {
  checkContribution(plan, clip, values.length);
  const { factor } = clipping(values, clip);
  const scale = (factor / clip) * plan.unitsPerClip;
  const integers = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) integers[i] = Math.round(values[i]! * scale);
  if (integerNorms(integers).l2Squared > plan.l2Squared) {
    throw new AggregationError('MECHANISM_NORM', `integers with a squared norm above ${plan.l2Squared}`);
  }
  return integers;
}

/** Adds contributions up and releases their sum once. */
export class CentralSum {
  readonly #plan: LatticePlan;
  readonly #clip: number;
  readonly #sum: Float64Array<ArrayBuffer>;
  #contributions = 0;
  #isReleased = false;

  /** @param clip L2 norm of one contribution at most */
  constructor(plan: LatticePlan, clip: number) {
    this.#plan = plan;
    this.#clip = clip;
    this.#sum = new Float64Array(plan.dimension);
  }

  /** One person's contribution, clipped here. Nothing changes when it throws what {@link nearestIntegers} does. */
  add(values: Float32Array | Float64Array): void {
    this.#checkOpen();
    const integers = nearestIntegers(this.#plan, this.#clip, values);
    if (++this.#contributions > MOST_CONTRIBUTIONS) {
      throw new AggregationError('MECHANISM_PARAMETERS', `more than ${MOST_CONTRIBUTIONS} contributions`);
    }
    for (let i = 0; i < integers.length; i++) this.#sum[i]! += integers[i]!;
  }

  /** The sum with noise, once: a second one would be a second release of the same data. @throws AggregationError `MECHANISM_RELEASED` */
  release(random: RandomSource): Float64Array<ArrayBuffer> {
    return releaseCentral(this.#plan, this.#clip, this.integers(), random);
  }

  /** The sum without noise, for a mechanism that adds its own, such as `treeStep`; once, as {@link release}. @throws AggregationError `MECHANISM_RELEASED` */
  integers(): Float64Array<ArrayBuffer> {
    this.#checkOpen();
    this.#isReleased = true;
    return this.#sum;
  }

  #checkOpen(): void {
    if (this.#isReleased) throw new AggregationError('MECHANISM_RELEASED', 'the sum was released before');
  }
}

/**
 * Noise on a sum of integer contributions, each of which passed the norm check of the plan, in place; then real numbers.
 * @throws AggregationError `VECTOR_LENGTH` or `MECHANISM_PARAMETERS`
 */
export function releaseCentral(
  plan: LatticePlan,
  clip: number,
  sum: Float64Array<ArrayBuffer>,
  random: RandomSource,
): Float64Array<ArrayBuffer> {
  checkContribution(plan, clip, sum.length);
  checkIntegers(sum, LARGEST_SUM);
  latticeNoise(plan).addTo(sum, random);
  const unit = clip / plan.unitsPerClip;
  for (let i = 0; i < sum.length; i++) sum[i]! *= unit;
  return sum;
}
