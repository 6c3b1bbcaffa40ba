import {
  CentralSum,
  describeTree,
  effectiveNoiseMultiplier,
  EMPTY_TREE,
  planTree,
  treeSensitivitySquared,
  treeStep,
} from '@carapace/aggregation';
import type { TreeState } from '@carapace/aggregation';
import { parseRational, toNumber } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forestHeights } from '../../../../src/privacy/mechanisms/ftrl/tree-sensitivity.ts';

/** Over all patterns, node by node. */
function bruteForce(steps: number, most: number, apart: number, restartEvery: number): number {
  const nodes: [from: number, to: number][] = [];
  let at = 0;
  for (const height of forestHeights(steps, restartEvery)) {
    for (let h = 0; h <= height; h++) {
      for (let from = at; from < at + 2 ** height; from += 2 ** h) nodes.push([from, from + 2 ** h]);
    }
    at += 2 ** height;
  }
  let best = 0;
  for (let pattern = 0; pattern < 2 ** steps; pattern++) {
    const chosen = Array.from({ length: steps }, (_, i) => i).filter((i) => (pattern >> i) & 1);
    if (chosen.length > most || chosen.some((step, i) => i > 0 && step - chosen[i - 1]! < apart)) continue;
    const value = nodes.reduce((sum, [from, to]) => sum + chosen.filter((s) => s >= from && s < to).length ** 2, 0);
    best = Math.max(best, value);
  }
  return best;
}

describe('the sensitivity of a tree', () => {
  // TensorFlow Privacy's tree_aggregation_accountant and its tests; it counts the steps between two participations, one less than `apart`.
  test.each([
    [8, 1, 8, 4],
    [32, 4, 6, 44],
    [1024, 6, 101, 142],
    [8, 8, 1, 120],
    [24, 8, 3, 88],
    [1600, 1, 1, 11],
    // Gboard, in google-research/federated dp_ftrl; the time is held by the bench.
    [2000, 6, 314, 79],
  ])('of %i steps, %i participations, %i apart is %i', (steps, most, apart, expected) => {
    expect(treeSensitivitySquared(steps, { most, apart })).toBe(expected);
  });

  test('is what going through all patterns gives, with restarts and without', () => {
    const rule = fc.record({
      steps: fc.integer({ min: 1, max: 13 }),
      most: fc.integer({ min: 1, max: 6 }),
      apart: fc.integer({ min: 1, max: 7 }),
      restartEvery: fc.integer({ min: 1, max: 14 }),
    });
    fc.assert(
      fc.property(rule, ({ steps, most, apart, restartEvery }) => {
        const found = treeSensitivitySquared(steps, { most, apart }, restartEvery);
        expect(found).toBe(bruteForce(steps, most, apart, restartEvery));
      }),
      { numRuns: 150 },
    );
  });

  test('grows with steps and participations, and falls with their distance', () => {
    const of = (steps: number, most: number, apart: number): number => treeSensitivitySquared(steps, { most, apart });
    for (const steps of [10, 100, 333]) {
      expect(of(steps + 1, 3, 20)).toBeGreaterThanOrEqual(of(steps, 3, 20));
      expect(of(steps, 4, 20)).toBeGreaterThanOrEqual(of(steps, 3, 20));
      expect(of(steps, 3, 21)).toBeLessThanOrEqual(of(steps, 3, 20));
    }
  });

  test.each([
    [0, 1, 1],
    [1, 0, 1],
    [1, 1, 0],
    [2.5, 1, 1],
    [2 ** 17, 1, 1],
    [5000, 5000, 1],
  ])('of %d steps, %d participations, %d apart is refused', (steps, most, apart) => {
    expect(() => treeSensitivitySquared(steps, { most, apart })).toThrow(/MECHANISM_PARAMETERS/);
  });
});

describe('the steps of a tree', () => {
  const dimension = 2000;
  const settings = { dimension, steps: 40, participation: { most: 1, apart: 1 }, noiseMultiplier: parseRational('1') };

  /** Prefix sums of what is released for sums that are all zero: the noise of every prefix. */
  function prefixes(plan: ReturnType<typeof planTree>, seed: string): Float64Array[] {
    const random = seededRandom(seed);
    let state: TreeState = EMPTY_TREE;
    const prefix = new Float64Array(dimension);
    return Array.from({ length: plan.steps }, () => {
      const step = treeStep(plan, state, new Float64Array(dimension), random);
      state = step.state;
      step.released.forEach((value, i) => (prefix[i]! += value));
      return prefix.slice();
    });
  }
  const variance = (values: Float64Array): number => values.reduce((sum, x) => sum + x * x, 0) / values.length;
  const ones = (value: number): number => value.toString(2).replaceAll('0', '').length;
  const alarm = 6 * Math.sqrt(2 / dimension);

  test('every prefix has the noise of as many nodes as its number has bits', () => {
    const plan = planTree(settings);
    prefixes(plan, 'bits').forEach((prefix, i) => {
      const nodes = variance(prefix) / toNumber(plan.node.variance);
      expect(Math.abs(nodes / ones(i + 1) - 1)).toBeLessThan(alarm);
    });
  });

  test('after a restart what was there stays, and a new tree begins', () => {
    const plan = planTree({ ...settings, restartEvery: 12 });
    prefixes(plan, 'restart').forEach((prefix, i) => {
      const nodes = Math.floor(i / 12) * ones(12) + (i % 12 === 11 ? ones(12) : ones((i % 12) + 1)) + 0;
      expect(Math.abs(variance(prefix) / toNumber(plan.node.variance) / nodes - 1)).toBeLessThan(alarm);
    });
  });

  test('sums come through exactly: noise is a whole number, and is the same with and without them', () => {
    const plan = planTree(settings);
    const [random, twin] = [seededRandom('through'), seededRandom('through')];
    let [state, other]: TreeState[] = [EMPTY_TREE, EMPTY_TREE];
    for (let t = 0; t < 9; t++) {
      const sum = new Float64Array(dimension).fill(1000 * t - 3);
      const step = treeStep(plan, state!, sum, random);
      const bare = treeStep(plan, other!, new Float64Array(dimension), twin);
      [state, other] = [step.state, bare.state];
      expect(step.released.every(Number.isSafeInteger)).toBe(true);
      expect(step.released).toEqual(bare.released.map((value) => value + 1000 * t - 3));
    }
  });

  test('a state is a key for each bit, and goes on after it was stored', () => {
    const plan = planTree(settings);
    let state: TreeState = EMPTY_TREE;
    const random = seededRandom('state');
    for (let t = 1; t <= 40; t++) {
      state = treeStep(plan, state, new Float64Array(dimension), random).state;
      if (t < 40) expect(state.open.map(({ height }) => 2 ** height).reduce((a, b) => a + b, 0)).toBe(t);
      if (t === 7) {
        const stored = structuredClone(state);
        const [a, b] = [seededRandom('next'), seededRandom('next')];
        const sum = new Float64Array(dimension);
        expect(treeStep(plan, stored, sum, a).released).toEqual(treeStep(plan, state, sum, b).released);
      }
    }
    expect(() => treeStep(plan, state, new Float64Array(dimension), random)).toThrow(/MECHANISM_RELEASED/);
  });

  test('a step that is done again draws a new node', () => {
    const plan = planTree(settings);
    const sum = new Float64Array(dimension);
    const random = seededRandom('again');
    expect(treeStep(plan, EMPTY_TREE, sum, random).released).not.toEqual(
      treeStep(plan, EMPTY_TREE, sum, random).released,
    );
  });

  test('takes sums of integers of its length alone', () => {
    const plan = planTree(settings);
    expect(() => treeStep(plan, EMPTY_TREE, new Float64Array(3), seededRandom(1))).toThrow(/VECTOR_LENGTH/);
    const half = new Float64Array(dimension).fill(0.5);
    expect(() => treeStep(plan, EMPTY_TREE, half, seededRandom(1))).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => planTree({ ...settings, restartEvery: 0 })).toThrow(/MECHANISM_PARAMETERS/);
  });

  test('the whole is one release with the sensitivity of all nodes', () => {
    const plan = planTree({
      dimension: 10,
      steps: 2000,
      participation: { most: 6, apart: 314 },
      noiseMultiplier: parseRational('7'),
    });
    // rho = 79 / (2 7^2) = 0.806: google-research/federated dp_ftrl, where 0.81 is published.
    expect(1 / (2 * effectiveNoiseMultiplier(describeTree(plan)) ** 2)).toBeCloseTo(0.80612244898, 10);
    expect(describeTree(plan).totalVariation).toBeLessThan(2 ** -110);
  });

  test('starts from the integers of a central sum', () => {
    const plan = planTree(settings);
    const sum = new CentralSum(plan.node, 1);
    sum.add(new Float32Array(dimension).fill(1));
    const { released } = treeStep(plan, EMPTY_TREE, sum.integers(), seededRandom(3));
    const exact = plan.node.unitsPerClip / Math.sqrt(dimension);
    const mean = released.reduce((total, x) => total + x, 0) / dimension;
    expect(Math.abs(mean - exact)).toBeLessThan(6 * Math.sqrt(toNumber(plan.node.variance) / dimension) + 1);
    expect(() => sum.release(seededRandom(1))).toThrow(/MECHANISM_RELEASED/);
  });
});
