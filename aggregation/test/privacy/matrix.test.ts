/** Correlated noise of a task: steps that can be done again, states that come back to the bit, and one charge for all of them. */
import {
  matrixEvent,
  MatrixNoisySum,
  matrixPlanOf,
  parseTask,
  privacyEpsilon,
  roundChargeOf,
  treeSensitivitySquared,
} from '@carapace/aggregation';
import type { NoiseMatrix, UserPrivacy } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';

const DIMENSION = 500;
const STEPS = 12;
const privacyWith = (matrix: Partial<NoiseMatrix>): UserPrivacy => ({
  placement: 'central',
  noise: 'discrete-gaussian',
  noiseMultiplier: '1.5',
  clip: 0.5,
  colluding: 0,
  budgets: [],
  matrix: { kind: 'tree', steps: STEPS, most: 3, apart: 4, ...matrix },
});
const KINDS: readonly Partial<NoiseMatrix>[] = [{ kind: 'tree' }, { kind: 'toeplitz' }, { kind: 'banded', band: 4 }];
const updateOf = (seed: number): Float32Array => new Float32Array(DIMENSION).fill(((seed % 5) - 2) / 200);
const secretOf = (step: number): Uint8Array => new Uint8Array(32).fill(step);

interface Run {
  readonly means: Float64Array[];
  readonly states: Uint8Array[];
}

function run(privacy: UserPrivacy, steps: number, clients = 3): Run {
  const plan = matrixPlanOf(privacy, DIMENSION)!;
  const [means, states]: [Float64Array[], Uint8Array[]] = [[], []];
  for (let step = 0; step < steps; step++) {
    const sum = new MatrixNoisySum(plan, privacy);
    for (let client = 0; client < clients; client++) sum.add(updateOf(step + client));
    const released = sum.open(states.at(-1) ?? null, secretOf(step), clients);
    means.push(Float64Array.from(released.mean));
    states.push(released.state);
  }
  return { means, states };
}

describe.each(KINDS)('%j', (matrix) => {
  const privacy = privacyWith(matrix);
  const plan = matrixPlanOf(privacy, DIMENSION)!;

  test('a step that is done again, from the bytes of its state, gives the same bits; with another sum, nothing in common', () => {
    const { means, states } = run(privacy, STEPS);
    for (const step of [0, 1, 5, 11]) {
      const again = (seed: number) => {
        const sum = new MatrixNoisySum(plan, privacy);
        for (let client = 0; client < 3; client++) sum.add(updateOf(step + client + seed));
        return sum.open(states[step - 1] ?? null, secretOf(step), 3);
      };
      expect(Float64Array.from(again(0).mean)).toEqual(means[step]);
      expect(again(0).state).toEqual(states[step]);
      expect(Float64Array.from(again(1).mean)).not.toEqual(means[step]);
    }
  });

  test('the last step is the last', () => {
    const { states } = run(privacy, STEPS);
    const sum = new MatrixNoisySum(plan, privacy);
    expect(() => sum.open(states.at(-1), secretOf(99), 3)).toThrow(/MECHANISM_RELEASED/);
  });

  test('the noise of all steps together is less than independent noise of the same charge would be', () => {
    const { means } = run(privacy, STEPS);
    const plain = Array.from(
      { length: STEPS },
      (_value, step) => [0, 1, 2].reduce((sum, of) => sum + updateOf(step + of)[0]!, 0) / 3,
    );
    const total = plain.reduce((sum, value) => sum + value, 0);
    const noise = Array.from(
      { length: DIMENSION },
      (_value, i) => (means.reduce((sum, mean) => sum + mean[i]!, 0) - total) * 3,
    );
    const variance = noise.reduce((sum, value) => sum + value ** 2, 0) / DIMENSION;
    // The tree's last prefix has two nodes; a square root's has the squared norm of a column; in squares of (z C).
    const nodes = variance / (1.5 * 0.5) ** 2;
    expect(nodes).toBeGreaterThan(0.5);
    expect(nodes).toBeLessThan(4);
  });

  test('a state of the other kind, or a torn one, is none', () => {
    const { states } = run(privacy, 3);
    const sum = (): MatrixNoisySum => {
      const fresh = new MatrixNoisySum(plan, privacy);
      fresh.add(updateOf(0));
      return fresh;
    };
    const torn = states[2]!.slice(0, -1);
    expect(() => sum().open(torn, secretOf(3), 3)).toThrow(/MESSAGE_INVALID/);
    const other = Uint8Array.from(states[2]!);
    other[0] = 3 - other[0]!;
    expect(() => sum().open(other, secretOf(3), 3)).toThrow(/MESSAGE_INVALID/);
  });

  test('all steps are charged as one Gaussian of their sensitivity, and never less', () => {
    const task = parseTask({
      name: 'ftrl',
      model: { name: 'm' },
      cohort: { target: 3 },
      protection: { kind: 'clear', privacy: { ...privacy, budgets: ['b'] } },
      rounds: STEPS,
    });
    const charge = roundChargeOf(task, DIMENSION)!;
    expect(charge).toMatchObject({ server: null, once: true });
    expect(charge.model.event).toEqual(matrixEvent(plan));
    const epsilon = privacyEpsilon([{ event: charge.model.event, count: 1 }], 1e-6, { relation: 'zero-out' }).value;
    const sensitivity =
      plan.kind === 'tree'
        ? Math.sqrt(treeSensitivitySquared(STEPS, { most: 3, apart: 4 }))
        : Math.sqrt(Number(plan.plan.sensitivitySquared)) / 2 ** 12;
    const gaussian = { kind: 'gaussian', noiseMultiplier: 1.5 / sensitivity } as const;
    const ideal = privacyEpsilon([{ event: gaussian, count: 1 }], 1e-6, { relation: 'zero-out', engine: 'rdp' }).value;
    expect(epsilon).toBeGreaterThanOrEqual(ideal * (1 - 1e-9));
    expect(epsilon).toBeLessThan(ideal * 1.003);
    // Cheaper than three rounds of that noise whole, were each of them known in each of twelve prefixes.
    expect(charge.model.totalVariation).toBeLessThan(1e-24);
  });
});

describe('a task document with a matrix', () => {
  const taskWith = (
    matrix: Record<string, unknown>,
    rest: Record<string, unknown> = {},
    privacy: Record<string, unknown> = {},
  ) =>
    parseTask({
      name: 'ftrl',
      model: { name: 'm' },
      cohort: { target: 20, minimum: 14 },
      protection: {
        kind: 'clear',
        privacy: { placement: 'central', noiseMultiplier: '2', clip: 1, budgets: ['b'], matrix, ...privacy },
      },
      rounds: 8,
      ...rest,
    });
  const TREE = { kind: 'tree', steps: 8, most: 2 };

  test('reads back', () => {
    const task = taskWith({ kind: 'banded', band: 3, steps: 8, most: 2, apart: 3 });
    expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
    expect(taskWith(TREE).protection.privacy?.matrix).toEqual({ ...TREE, apart: 1 });
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'rounds without end',
      () => taskWith(TREE, { rounds: null }),
      /matrix\.steps is 8, but the task has any number of rounds/,
    ],
    ['more rounds than steps', () => taskWith(TREE, { rounds: 9 }), /matrix\.steps is 8, but the task has 9 rounds/],
    ['local noise', () => taskWith(TREE, {}, { placement: 'local' }), /privacy\.matrix needs the sum/],
    [
      'secagg',
      () =>
        taskWith(TREE, {
          protection: {
            kind: 'secagg',
            privacy: { placement: 'central', noiseMultiplier: '2', clip: 1, budgets: ['b'], matrix: TREE },
          },
        }),
      /privacy\.matrix needs the sum/,
    ],
    [
      'coins',
      () => taskWith(TREE, { cohort: { target: 1, selection: { kind: 'poisson', rate: '0.1' } } }),
      /PRIVACY_UNPROVED/,
    ],
    [
      'a cap beside its own',
      () => taskWith(TREE, { cohort: { target: 1, participation: { most: 3 } } }),
      /cohort\.participation is what privacy\.matrix says/,
    ],
    ['a band of none', () => taskWith({ kind: 'banded', steps: 8, most: 2 }), /matrix\.band is missing/],
    [
      'a band above its steps',
      () => taskWith({ kind: 'banded', band: 9, steps: 8, most: 2 }),
      /MECHANISM_PARAMETERS: a band of 9/,
    ],
    ['a band of a tree', () => taskWith({ ...TREE, band: 3 }), /band is not a key here/],
    ['no end of participations', () => taskWith({ kind: 'tree', steps: 8 }), /matrix\.most is missing/],
  ])('is refused with %s', (_name, make, why) => {
    expect(make).toThrow(why);
  });
});
