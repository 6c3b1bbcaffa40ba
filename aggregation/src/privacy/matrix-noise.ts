/**
 * Correlated noise of a task in the clear: what all of its rounds together are charged, and one step of the mechanism. A step is a function of the state before,
 * of the round's secret and of its sum, so that one that is done again gives the same bits.
 */
import { parseRational, toNumber } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import type { NoiseMatrix, UserPrivacy } from '../task.ts';
import type { PrivacyEvent } from './events/event.ts';
import { CentralSum } from './mechanisms/central.ts';
import type { MechanismDescription } from './mechanisms/description.ts';
import { bandedStep, describeBanded, EMPTY_BAND, planBanded } from './mechanisms/ftrl/banded.ts';
import type { BandedPlan } from './mechanisms/ftrl/banded.ts';
import { decodeBandedState, decodeTreeState, encodeBandedState, encodeTreeState } from './mechanisms/ftrl/states.ts';
import { describeTree, EMPTY_TREE, planTree, treeStep } from './mechanisms/ftrl/tree.ts';
import type { TreePlan } from './mechanisms/ftrl/tree.ts';
import type { LatticePlan } from './mechanisms/lattice-plan.ts';
import { sumNoise } from './mechanisms/sum-noise.ts';

export type MatrixPlan =
  { readonly kind: 'tree'; readonly plan: TreePlan } | { readonly kind: 'banded'; readonly plan: BandedPlan };

/** Sensitivities of thousands of steps take a second, and every round asks for that of its task. */
const plans = new Map<string, MatrixPlan>();
const MOST_PLANS = 16;
/** Entries of the matrix that one client's columns have: what its sensitivity is computed in seconds for. */
const MOST_ENTRIES = 2 ** 28;

/** Null where each round has noise of its own. @throws AggregationError `MECHANISM_PARAMETERS` */
export function matrixPlanOf(privacy: UserPrivacy, dimension: number): MatrixPlan | null {
  const { matrix, noiseMultiplier } = privacy;
  if (!matrix) return null;
  const { kind, steps, most, apart, band } = matrix;
  const key = JSON.stringify([kind, steps, most, apart, band, noiseMultiplier, dimension]);
  const plan = plans.get(key) ?? planOf(matrix, noiseMultiplier, dimension);
  plans.delete(key);
  plans.set(key, plan);
  if (plans.size > MOST_PLANS) plans.delete([...plans.keys()][0]!);
  return plan;
}

function planOf(matrix: NoiseMatrix, noiseMultiplier: string, dimension: number): MatrixPlan {
  const { kind, steps, most, apart, band = steps } = matrix;
  const settings = {
    dimension,
    steps,
    participation: { most, apart },
    noiseMultiplier: parseRational(noiseMultiplier),
  };
  const columns = Math.min(most, Math.ceil(steps / apart));
  if (kind !== 'tree' && columns * band > MOST_ENTRIES)
    throw new AggregationError(
      'MECHANISM_PARAMETERS',
      `${columns} participations times a band of ${band}: at most ${MOST_ENTRIES} together`,
    );
  return kind === 'tree'
    ? { kind, plan: planTree(settings) }
    : { kind: 'banded', plan: planBanded({ ...settings, band }) };
}

/** All steps, as the accountants see them: one release of a vector of all nodes, or all rows. */
export function matrixEvent(plan: MatrixPlan): PrivacyEvent {
  const [part] = descriptionOf(plan).parts;
  if (part === undefined) throw new Error('a matrix has one part');
  return {
    kind: 'distributed-discrete-gaussian',
    clients: 1,
    localDeviation: Math.sqrt(toNumber(part.localVariance)),
    l1: Number(part.l1),
    l2: Math.sqrt(Number(part.l2Squared)),
    dimension: part.dimension,
  };
}

export function matrixVariation(plan: MatrixPlan): number {
  return descriptionOf(plan).totalVariation;
}

function descriptionOf(plan: MatrixPlan): MechanismDescription {
  return plan.kind === 'tree' ? describeTree(plan.plan) : describeBanded(plan.plan);
}

/** Integers, their check, and the noise of one node or row. */
function latticeOf(plan: MatrixPlan): LatticePlan {
  return plan.kind === 'tree' ? plan.plan.node : plan.plan.row;
}

export interface ReleasedStep {
  /** To be durable before anything of the step is shown, and as secret as sums without noise. */
  readonly state: Uint8Array;
  readonly mean: Float64Array;
}

/** The sum of one round, clipped here, and its release. */
export class MatrixNoisySum {
  readonly #plan: MatrixPlan;
  readonly #clip: number;
  readonly #sum: CentralSum;
  #count = 0;

  constructor(plan: MatrixPlan, { clip }: UserPrivacy) {
    this.#plan = plan;
    this.#clip = clip;
    this.#sum = new CentralSum(latticeOf(plan), clip);
  }

  /** @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE` or `MECHANISM_NORM` */
  add(update: Float32Array): void {
    this.#sum.add(update);
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Once. @param state after the step before, null before the first; @param secret of the round; @param over what the sum is divided by: the same in every
   * step, or the noise of one would not cancel that of another. @throws AggregationError `MECHANISM_RELEASED`, `MESSAGE_INVALID` for a state that is none
   */
  open(state: Uint8Array | null, secret: Uint8Array, over: number): ReleasedStep {
    const sum = this.#sum.integers();
    const { variance, unitsPerClip } = latticeOf(this.#plan);
    const next = stepOf(this.#plan, state, sum, sumNoise(secret, sum, variance));
    const unit = this.#clip / unitsPerClip / over;
    return { state: next.state, mean: next.released.map((value) => value * unit) };
  }
}

function stepOf(
  matrix: MatrixPlan,
  state: Uint8Array | null,
  sum: Float64Array,
  random: ReturnType<typeof sumNoise>,
): { readonly state: Uint8Array; readonly released: Float64Array } {
  if (matrix.kind === 'tree') {
    const next = treeStep(matrix.plan, state === null ? EMPTY_TREE : decodeTreeState(state), sum, random);
    return { state: encodeTreeState(next.state), released: next.released };
  }
  const next = bandedStep(matrix.plan, state === null ? EMPTY_BAND : decodeBandedState(state), sum, random);
  return { state: encodeBandedState(next.state), released: next.released };
}
