/** Layout policies and the server's step against values computed by brute force from the clients' own data. */
import { applyDelta, deltaOf, layoutOf, serverStep, WeightedSum } from '@carapace/aggregation';
import type { Layout, Strategy } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layouts, vectors, weights } from './arbitraries.ts';

const FEDAVG: Strategy = { kind: 'fedavg', serverLearningRate: 1 };
/** Half a unit in the last place of a float32, relative. */
const HALF_ULP = 2 ** -24;

interface Contribution {
  readonly trained: Float32Array;
  readonly examples: number;
}

function federate(layout: Layout, base: Float32Array, clients: readonly Contribution[], rate = 1): Float32Array {
  const sum = new WeightedSum(layout.size);
  for (const { trained, examples } of clients) sum.accumulate(deltaOf(layout, base, trained), examples);
  return serverStep({ ...FEDAVG, serverLearningRate: rate }, layout, base, sum.mean());
}

function scenario(layout: fc.Arbitrary<Layout>) {
  return layout.chain((made) =>
    fc.record({
      layout: fc.constant(made),
      base: vectors(made.size, weights).map((base) => positiveVariances(made, base)),
      clients: fc.array(
        fc.record({
          trained: vectors(made.size, weights).map((trained) => positiveVariances(made, trained)),
          examples: fc.integer({ min: 1, max: 100_000 }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      rate: fc.constantFrom(0.1, 0.5, 1, 2),
    }),
  );
}

function positiveVariances({ slots }: Layout, vector: Float32Array): Float32Array {
  for (const { policy, offset, size } of slots)
    if (policy === 'pooled-variance') for (let i = offset; i < offset + size; i++) vector[i] = Math.abs(vector[i]!);
  return vector;
}

describe('against brute force', () => {
  test('mean: base plus rate times the mean of the differences, weighted by examples', () => {
    fc.assert(
      fc.property(scenario(layouts), ({ layout, base, clients, rate }) => {
        const next = federate(layout, base, clients, rate);
        const total = clients.reduce((sum, { examples }) => sum + examples, 0);
        for (const { name, policy, offset, size } of layout.slots) {
          if (policy !== 'mean') continue;
          const scale = layout.slots.some(({ meanTensor }) => meanTensor === name) ? 1 : rate;
          for (let i = offset; i < offset + size; i++) {
            const mean =
              clients.reduce((sum, { trained, examples }) => sum + examples * (trained[i]! - base[i]!), 0) / total;
            const expected = base[i]! + scale * mean;
            // One rounding in each client's delta (at most 6 here), one in the result.
            expect(Math.abs(next[i]! - expected)).toBeLessThanOrEqual(
              HALF_ULP * (scale * 6 + Math.abs(expected)) + 1e-12,
            );
          }
        }
      }),
    );
  });

  test('with a rate of 1 FedAvg is the average of the weights (McMahan et al. 2017, algorithm 1)', () => {
    const layout = layoutOf([{ name: 'w', shape: [3], policy: 'mean' }]);
    const clients = [
      { trained: Float32Array.of(1, 2, 3), examples: 100 },
      { trained: Float32Array.of(4, 8, 12), examples: 300 },
    ];
    expect([...federate(layout, Float32Array.of(7, 7, 7), clients)]).toEqual([3.25, 6.5, 9.75]);
  });

  test('keep: the server’s bits stay, whatever clients send in that place', () => {
    fc.assert(
      fc.property(scenario(layouts), ({ layout, base, clients, rate }) => {
        const hostile = new Float64Array(layout.size).fill(1e30);
        for (const next of [federate(layout, base, clients, rate), applyDelta(layout, base, hostile, rate)]) {
          for (const { policy, offset, size } of layout.slots)
            if (policy === 'keep') expect(next.slice(offset, offset + size)).toEqual(base.slice(offset, offset + size));
        }
        for (const { trained } of clients) {
          const delta = deltaOf(layout, base, trained);
          for (const { policy, offset, size } of layout.slots)
            if (policy === 'keep') expect([...delta.slice(offset, offset + size)]).toEqual(Array(size).fill(0));
        }
      }),
    );
  });

  test('pooled variance: mean and variance of all clients’ samples together, whatever the server’s rate', () => {
    const layout = layoutOf([
      { name: 'n/moving_variance', shape: [], policy: 'pooled-variance', meanTensor: 'n/moving_mean' },
      { name: 'kernel', shape: [], policy: 'mean' },
      { name: 'n/moving_mean', shape: [], policy: 'mean' },
    ]);
    const samples = fc.array(weights, { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(samples, { minLength: 1, maxLength: 6 }),
        fc.tuple(weights, weights),
        fc.constantFrom(0.01, 1, 3),
        (data, [mean, spread], rate) => {
          const clients = data.map((own) => {
            const { mean: m, variance: v } = momentsOf(own);
            return { trained: Float32Array.of(v, 0, m), examples: own.length };
          });
          const next = federate(layout, Float32Array.of(Math.abs(spread), 0, mean), clients, rate);
          const pooled = momentsOf(data.flat());
          // Second moments up to 18 are rounded to float32 on the way: about 10^-6 each.
          expect(Math.abs(next[2]! - pooled.mean)).toBeLessThan(2e-6);
          expect(Math.abs(next[0]! - pooled.variance)).toBeLessThan(2e-5);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('the mean of variances would be wrong: two clients that each know one value', () => {
    const layout = layoutOf([
      { name: 'm', shape: [], policy: 'mean' },
      { name: 'v', shape: [], policy: 'pooled-variance', meanTensor: 'm' },
    ]);
    const clients = [
      { trained: Float32Array.of(-2, 0), examples: 50 },
      { trained: Float32Array.of(2, 0), examples: 50 },
    ];
    expect([...federate(layout, Float32Array.of(0, 1), clients)]).toEqual([0, 4]);
  });
});

function momentsOf(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

describe('laws', () => {
  test('who did not move moves nothing', () => {
    fc.assert(
      fc.property(scenario(layouts), ({ layout, base, rate }) => {
        const delta = deltaOf(layout, base, base);
        expect(delta.every((value) => value === 0)).toBe(true);
        const next = federate(layout, base, [{ trained: base, examples: 3 }], rate);
        base.forEach((value, i) => expect(Math.abs(next[i]! - value)).toBeLessThanOrEqual(HALF_ULP * Math.abs(value)));
      }),
    );
  });

  test('a variance is never negative, even when the updates contradict each other', () => {
    fc.assert(
      fc.property(scenario(layouts), ({ layout, base, clients }) => {
        const sum = new WeightedSum(layout.size);
        for (const { trained, examples } of clients) sum.accumulate(trained, examples);
        const next = applyDelta(layout, base, sum.mean(), 1);
        for (const { policy, offset, size } of layout.slots)
          if (policy === 'pooled-variance')
            expect(next.slice(offset, offset + size).every((value) => value >= 0)).toBe(true);
      }),
    );
  });

  test('base and trained weights are not changed', () => {
    fc.assert(
      fc.property(scenario(layouts), ({ layout, base, clients }) => {
        const before = [base, ...clients.map(({ trained }) => trained)].map((vector) => Float32Array.from(vector));
        federate(layout, base, clients);
        expect([base, ...clients.map(({ trained }) => trained)]).toEqual(before);
      }),
    );
  });
});

describe('refused', () => {
  const layout = layoutOf([{ name: 'w', shape: [2], policy: 'mean' }]);
  const [one, two] = [new Float32Array(1), new Float32Array(2)];

  test('vectors of another length', () => {
    expect(() => deltaOf(layout, one, two)).toThrow(/^VECTOR_LENGTH/);
    expect(() => deltaOf(layout, two, one)).toThrow(/^VECTOR_LENGTH/);
    expect(() => applyDelta(layout, one, new Float64Array(2), 1)).toThrow(/^VECTOR_LENGTH/);
    expect(() => applyDelta(layout, two, new Float64Array(3), 1)).toThrow(/^VECTOR_LENGTH/);
  });

  test('a result that leaves float32', () => {
    const step = (delta: number, rate = 1) =>
      serverStep({ ...FEDAVG, serverLearningRate: rate }, layout, two, Float64Array.of(delta, 0));
    expect(() => step(3.5e38)).toThrow(/^AGGREGATE_NONFINITE/);
    expect(() => step(1e38, 100)).toThrow(/^AGGREGATE_NONFINITE/);
    expect(() => step(NaN)).toThrow(/^AGGREGATE_NONFINITE/);
    expect(step(3.4e38)[0]).toBe(Math.fround(3.4e38));
  });

  test('a variance that overflows or is not a number', () => {
    const norm = layoutOf([
      { name: 'm', shape: [], policy: 'mean' },
      { name: 'v', shape: [], policy: 'pooled-variance', meanTensor: 'm' },
    ]);
    for (const wrong of [1e300, NaN])
      expect(() => serverStep(FEDAVG, norm, two, Float64Array.of(0, wrong))).toThrow(/^AGGREGATE_NONFINITE/);
  });
});
