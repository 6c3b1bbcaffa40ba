/**
 * DP-FTRL by the binary tree mechanism, for cohorts that cannot be sampled: what is released is every prefix sum of the rounds, with the
 * noise of the nodes that it consists of (Kairouz et al. 2021; Honaker 2015 without his estimator). A step is released as the increment
 * of that prefix: the noise of its new node comes, that of the nodes which it completes goes.
 *
 * Node noise is integer noise on integer sums, so a prefix is exactly a sum of noisy nodes. It is drawn from a key for each node, which
 * is kept only as long as the node is open: a state is some 32 bytes for every bit of the step number, whatever the dimension.
 */
import { DOMAINS, deriveKey, keyStream } from '@carapace/crypto';
import type { RandomSource, Rational } from '@carapace/crypto';
import { AggregationError } from '../../../errors.ts';
import { planCentral } from '../central.ts';
import { totalVariationOf } from '../description.ts';
import type { MechanismDescription } from '../description.ts';
import { l1Bound } from '../integer-norm.ts';
import { checkIntegers, LARGEST_SUM, latticeNoise } from '../lattice-plan.ts';
import type { LatticePlan } from '../lattice-plan.ts';
import type { Participation } from './participation.ts';
import { forestHeights, treeSensitivitySquared } from './tree-sensitivity.ts';

export interface TreeSettings {
  readonly dimension: number;
  readonly steps: number;
  /** A new tree after so many steps; without it one tree holds all. */
  readonly restartEvery?: number;
  readonly participation: Participation;
  /** z: deviation of the noise of one node over the norm of one contribution. */
  readonly noiseMultiplier: Rational;
}

export interface TreePlan {
  readonly steps: number;
  readonly restartEvery: number;
  /** In squared contributions, over all nodes. */
  readonly sensitivitySquared: number;
  /** Integers, their check, and the noise of one node. */
  readonly node: LatticePlan;
}

/** Between steps. To be kept as durably, and as secretly, as sums without noise would be. */
export interface TreeState {
  /** Steps that were released. */
  readonly step: number;
  /** Nodes of the next prefix, by falling height. */
  readonly open: readonly OpenNode[];
}

export interface OpenNode {
  readonly height: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

export const EMPTY_TREE: TreeState = { step: 0, open: [] };

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function planTree(settings: TreeSettings): TreePlan {
  const { steps, participation, restartEvery = steps } = settings;
  if (!Number.isInteger(restartEvery) || restartEvery < 1) {
    throw new AggregationError('MECHANISM_PARAMETERS', `a restart every ${restartEvery} steps`);
  }
  const sensitivitySquared = treeSensitivitySquared(steps, participation, restartEvery);
  return { steps, restartEvery, sensitivitySquared, node: planCentral(settings) };
}

/** The whole training is one release of all nodes. */
export function describeTree({ steps, restartEvery, sensitivitySquared, node }: TreePlan): MechanismDescription {
  const nodes = forestHeights(steps, restartEvery).reduce((sum, height) => sum + 2 ** (height + 1) - 1, 0);
  const dimension = nodes * node.dimension;
  const l2Squared = node.l2Squared * BigInt(sensitivitySquared);
  return {
    model: 'central',
    noise: 'discrete-gaussian',
    floor: 1,
    parts: [{ dimension, l2Squared, l1: l1Bound(l2Squared, dimension), localVariance: node.variance }],
    totalVariation: totalVariationOf(latticeNoise(node), dimension),
  };
}

export interface TreeStep {
  readonly state: TreeState;
  /** The sum of the step with the noise of its increment, as integers; times `clip / unitsPerClip` in real units. */
  readonly released: Float64Array<ArrayBuffer>;
}

/**
 * One step: `sum` is the integer sum of contributions that each passed the norm check of `node` (`nearestIntegers`, or a `CentralSum`
 * before its noise). The new state must be kept before anything of the step is shown: a step that is done again from the old one
 * draws a new node, and is a further release of its data.
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_PARAMETERS` or, after the last step, `MECHANISM_RELEASED`
 */
export function treeStep(plan: TreePlan, state: TreeState, sum: Float64Array, random: RandomSource): TreeStep {
  checkStep(plan, state, sum);
  const released = sum.slice();
  const leaf = (state.step % plan.restartEvery) + 1;
  const height = trailingZeros(leaf);
  const key = random.bytes(32).slice();
  addNodeNoise(plan.node, key, released, 1);
  for (const node of state.open) if (node.height < height) addNodeNoise(plan.node, node.key, released, -1);
  const open = [...state.open.filter((node) => node.height > height), { height, key }];
  return {
    // After a restart the noise of the old tree stays in the prefix, and its keys are not needed.
    state: { step: state.step + 1, open: leaf === plan.restartEvery ? [] : open },
    released,
  };
}

function addNodeNoise(plan: LatticePlan, key: Uint8Array, values: Float64Array, sign: 1 | -1): void {
  const noise = new Float64Array(values.length);
  const stream = keyStream(deriveKey(key, DOMAINS.noiseNode, new Uint8Array()), 0, 0);
  latticeNoise(plan).addTo(noise, {
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      stream.fill(bytes);
      return bytes;
    },
  });
  for (let i = 0; i < values.length; i++) values[i]! += sign * noise[i]!;
}

function checkStep({ node, steps }: TreePlan, { step }: TreeState, sum: Float64Array): void {
  if (sum.length !== node.dimension) {
    throw new AggregationError('VECTOR_LENGTH', `${sum.length} values, the plan has ${node.dimension}`);
  }
  // Noise of two nodes for each height comes on top.
  checkIntegers(sum, LARGEST_SUM / 64);
  if (step >= steps) throw new AggregationError('MECHANISM_RELEASED', `the plan is for ${steps} steps, all released`);
}

function trailingZeros(value: number): number {
  return 31 - Math.clz32(value & -value);
}
