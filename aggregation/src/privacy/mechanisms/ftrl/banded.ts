/**
 * DP-FTRL by matrix factorisation in a stream: at each step the server forms the integer vector C x of the sums so far, adds exact
 * discrete Gaussian noise z to it, and undoes C in what it then has. Beside what it holds, only C x + z is used for the release, so
 * privacy rests on integers here too. Adding the correlated noise C^-1 z to x in binary64 would not do: what is rounded off would
 * depend on x and z apart.
 *
 * Noise is independent from row to row, and no choice of sums, however it follows from earlier releases, has rows of a larger total norm
 * than the sensitivity: an accountant whose filter adds up per row (zCDP, RDP, GDP) covers adaptive training.
 */
import type { RandomSource, Rational } from '@carapace/crypto';
import { AggregationError } from '../../../errors.ts';
import { planCentral } from '../central.ts';
import { totalVariationOf } from '../description.ts';
import type { MechanismDescription } from '../description.ts';
import { l1Bound } from '../integer-norm.ts';
import { checkIntegers, LARGEST_SUM, latticeNoise } from '../lattice-plan.ts';
import type { LatticePlan } from '../lattice-plan.ts';
import { product } from '../rational-arithmetic.ts';
import { bandedSquareRoot, FRACTION_BITS, toeplitzSensitivitySquared } from './factorisation.ts';
import type { Participation } from './participation.ts';

export interface BandedSettings {
  readonly dimension: number;
  readonly steps: number;
  /** Steps that share noise. All of them is the whole square root; memory is 2 (band - 1) vectors. */
  readonly band: number;
  readonly participation: Participation;
  /** z: deviation of the noise of one step over the norm of one contribution. */
  readonly noiseMultiplier: Rational;
}

export interface BandedPlan {
  readonly steps: number;
  readonly coefficients: Int32Array;
  /** In squared contributions times 2^24, over all steps. */
  readonly sensitivitySquared: bigint;
  /** Integers, their check, and the noise on one row of C x, which is 2^12 times as wide as x. */
  readonly row: LatticePlan;
}

/** Between steps: as secret as sums without noise, which it holds. */
export interface BandedState {
  readonly step: number;
  /** The latest sums, and what was released for them; latest first, `band` - 1 at most. */
  readonly sums: readonly Float64Array[];
  readonly released: readonly Float64Array[];
}

export const EMPTY_BAND: BandedState = { step: 0, sums: [], released: [] };

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function planBanded(settings: BandedSettings): BandedPlan {
  const { steps, band, participation } = settings;
  if (!Number.isInteger(band) || band < 1 || band > steps) {
    throw new AggregationError('MECHANISM_PARAMETERS', `a band of ${band} for ${steps} steps`);
  }
  const coefficients = bandedSquareRoot(band);
  const sensitivitySquared = toeplitzSensitivitySquared(coefficients, steps, participation);
  const plan = planCentral(settings);
  const row = { ...plan, variance: product(plan.variance, 1n << BigInt(2 * FRACTION_BITS)) };
  return { steps, coefficients, sensitivitySquared, row };
}

/** The whole training is one release of all rows. */
export function describeBanded({ steps, sensitivitySquared, row }: BandedPlan): MechanismDescription {
  const dimension = steps * row.dimension;
  const l2Squared = row.l2Squared * sensitivitySquared;
  return {
    model: 'central',
    noise: 'discrete-gaussian',
    floor: 1,
    parts: [{ dimension, l2Squared, l1: l1Bound(l2Squared, dimension), localVariance: row.variance }],
    totalVariation: totalVariationOf(latticeNoise(row), dimension),
  };
}

export interface BandedStep {
  readonly state: BandedState;
  /** The sum of the step with noise that cancels over later steps, in integer units; times `clip / unitsPerClip` in real ones. */
  readonly released: Float64Array<ArrayBuffer>;
}

/**
 * One step: `sum` is the integer sum of contributions that each passed the norm check of `row` (`nearestIntegers`). The new state must be
 * kept before anything of the step is shown: a step that is done again from the old one is a further release of its data.
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_PARAMETERS` or, after the last step, `MECHANISM_RELEASED`
 */
export function bandedStep(plan: BandedPlan, state: BandedState, sum: Float64Array, random: RandomSource): BandedStep {
  checkStep(plan, state, sum);
  const { coefficients } = plan;
  const row = new Float64Array(sum.length);
  addRows(row, [sum, ...state.sums], coefficients);
  latticeNoise(plan.row).addTo(row, random);
  // From here on everything is computed from what has noise.
  addRows(row, state.released, coefficients.subarray(1), -1);
  for (let i = 0; i < row.length; i++) row[i]! /= coefficients[0]!;
  const keep = <T>(latest: T, rest: readonly T[]): T[] => [latest, ...rest].slice(0, coefficients.length - 1);
  return {
    state: { step: state.step + 1, sums: keep(sum.slice(), state.sums), released: keep(row, state.released) },
    released: row.slice(),
  };
}

function addRows(
  row: Float64Array,
  vectors: readonly Float64Array[],
  coefficients: Int32Array,
  sign: 1 | -1 = 1,
): void {
  vectors.slice(0, coefficients.length).forEach((vector, k) => {
    const factor = sign * coefficients[k]!;
    for (let i = 0; i < row.length; i++) row[i]! += factor * vector[i]!;
  });
}

function checkStep({ row, steps, coefficients }: BandedPlan, { step }: BandedState, sum: Float64Array): void {
  if (sum.length !== row.dimension) {
    throw new AggregationError('VECTOR_LENGTH', `${sum.length} values, the plan has ${row.dimension}`);
  }
  // Then every row, and every part of it, is exact: the sums of earlier steps passed here too.
  checkIntegers(sum, Math.floor(LARGEST_SUM / coefficients.reduce((total, value) => total + value, 0)));
  if (step >= steps) throw new AggregationError('MECHANISM_RELEASED', `the plan is for ${steps} steps, all released`);
}
