import { WeightedSum } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { float32s, vectors } from './arbitraries.ts';

interface Item {
  readonly client: string;
  readonly delta: Float32Array;
  readonly weight: number;
}

const SIZE = 4;
const items: fc.Arbitrary<Item[]> = fc.uniqueArray(
  fc.record({
    client: fc.stringMatching(/^[a-z2-7]{4}$/),
    delta: vectors(SIZE, float32s),
    weight: fc.integer({ min: 1, max: 4_294_967_295 }),
  }),
  { selector: ({ client }) => client, minLength: 1, maxLength: 12 },
);

/** As the coordinator adds: in the order of the client ids. */
function sumOf(arrived: readonly Item[]): WeightedSum {
  const sum = new WeightedSum(SIZE);
  for (const { delta, weight } of [...arrived].sort((a, b) => (a.client < b.client ? -1 : 1)))
    sum.accumulate(delta, weight);
  return sum;
}

const bits = (values: Float64Array): string => Buffer.from(values.buffer).toString('hex');

/** A binary64 or binary32 number of at least 2^-260, as an integer of 2^-300: exact. */
const exact = (value: number): bigint => BigInt(value * 2 ** 300);
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

describe('laws', () => {
  test('the order of arrival changes no bit', () => {
    const shuffled = items.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, arrived]) => {
        expect(bits(sumOf(arrived).mean())).toBe(bits(sumOf(all).mean()));
      }),
    );
  });

  test('the mean is within n units of rounding of the exact rational one', () => {
    fc.assert(
      fc.property(items, (all) => {
        const mean = sumOf(all).mean();
        const total = all.reduce((sum, { weight }) => sum + BigInt(weight), 0n);
        for (let i = 0; i < SIZE; i++) {
          const terms = all.map(({ delta, weight }) => BigInt(weight) * exact(delta[i]!));
          const sum = terms.reduce((a, b) => a + b, 0n);
          const magnitudes = terms.reduce((a, b) => a + magnitude(b), 0n);
          const error = magnitude(exact(mean[i]!) * total - sum);
          expect(error * 2n ** 53n <= BigInt(all.length + 2) * magnitudes).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('of whole numbers it is exact, in any order and in any shards', () => {
    const whole = vectors(SIZE, fc.integer({ min: -1_000, max: 1_000 }));
    const parts = fc.array(fc.array(fc.tuple(whole, fc.integer({ min: 1, max: 1_000 }))), { minLength: 1 });
    fc.assert(
      fc.property(parts, (shards) => {
        const all = shards.flat();
        const merged = new WeightedSum(SIZE);
        for (const shard of shards) {
          const partial = new WeightedSum(SIZE);
          for (const [delta, weight] of shard) partial.accumulate(delta, weight);
          merged.merge(partial);
        }
        expect(merged.count).toBe(all.length);
        expect(merged.weight).toBe(all.reduce((sum, [, weight]) => sum + weight, 0));
        if (all.length === 0) return;
        const mean = Array.from(
          { length: SIZE },
          (_value, i) => all.reduce((sum, [delta, weight]) => sum + weight * delta[i]!, 0) / merged.weight,
        );
        expect([...merged.mean()].map((value) => value + 0)).toEqual(mean.map((value) => value + 0));
      }),
    );
  });

  test('one-hot updates: whatever is counted twice or not at all shows', () => {
    const sum = new WeightedSum(8);
    for (const client of [0, 1, 2, 5, 7]) {
      const delta = new Float32Array(8);
      delta[client] = 1;
      sum.accumulate(delta, 1);
    }
    expect([...sum.mean()].map((value) => value * 5)).toEqual([1, 1, 1, 0, 0, 1, 0, 1]);
  });
});

describe('refused', () => {
  test('a vector of another length, and nothing changes', () => {
    const sum = new WeightedSum(2);
    sum.accumulate(Float32Array.of(1, 2), 3);
    expect(() => sum.accumulate(Float32Array.of(9), 9)).toThrow(/^VECTOR_LENGTH/);
    expect(() => sum.accumulate(Float32Array.of(9, 9, 9), 9)).toThrow(/^VECTOR_LENGTH/);
    expect(() => sum.merge(new WeightedSum(3))).toThrow(/^VECTOR_LENGTH/);
    expect([sum.count, sum.weight, ...sum.mean()]).toEqual([1, 3, 1, 2]);
  });

  test('the mean of nothing', () => {
    expect(() => new WeightedSum(2).mean()).toThrow(/^AGGREGATE_EMPTY/);
    const weightless = new WeightedSum(1);
    weightless.accumulate(Float32Array.of(1), 0);
    expect(() => weightless.mean()).toThrow(/^AGGREGATE_EMPTY/);
  });

  test('a mean that is not finite', () => {
    const sum = new WeightedSum(2);
    sum.accumulate(Float32Array.of(0, Infinity), 1);
    expect(() => sum.mean()).toThrow(/^AGGREGATE_NONFINITE/);
  });
});

test('sums of the largest updates do not overflow', () => {
  const sum = new WeightedSum(1);
  const largest = Float32Array.of(3.4028234663852886e38);
  for (let client = 0; client < 1_000; client++) sum.accumulate(largest, 4_294_967_295);
  expect(Math.fround(sum.mean()[0]!)).toBe(largest[0]);
});
