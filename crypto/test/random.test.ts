import { sample, systemRandom, uniformInteger } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

/** Chi-square quantile by Wilson and Hilferty; z = 5.6 is a false alarm in 10^8, and the seeds are fixed anyway. */
const chiSquareLimit = (cells: number): number => {
  const k = cells - 1;
  return k * (1 - 2 / (9 * k) + 5.6 * Math.sqrt(2 / (9 * k))) ** 3;
};
/** Pearson's statistic of how often each of `cells` equally likely outcomes occurred. */
const chiSquare = (cells: number, draws: readonly number[]): number => {
  const counts = new Float64Array(cells);
  for (const draw of draws) counts[draw]! += 1;
  const expected = draws.length / cells;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
};
const draws = (count: number, draw: () => number): number[] => Array.from({ length: count }, draw);

/** A source that deals the given 32-bit words in turn. */
const dealing = (...words: number[]): RandomSource => ({
  bytes: () => new Uint8Array(Uint32Array.of(words.shift()!).buffer),
});

describe('a uniform integer', () => {
  test('is in [0, bound), and depends on the source alone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.integer(), (bound, seed) => {
        const value = uniformInteger(seededRandom(seed), bound);
        expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
        expect(uniformInteger(seededRandom(seed), bound)).toBe(value);
      }),
    );
  });

  test.each([2, 3, 7, 10, 256, 1_000])('is each value below %d equally often', (bound) => {
    const random = seededRandom(`uniform ${bound}`);
    const values = draws(60_000, () => uniformInteger(random, bound));
    expect(chiSquare(bound, values)).toBeLessThan(chiSquareLimit(bound));
  });

  // Of these bounds 2^32 is no multiple by far: a plain remainder would fall twice as often on the low values.
  test.each([3 * 2 ** 30, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32])('is without bias for the large bound %d', (bound) => {
    const random = seededRandom(`large ${bound}`);
    const values = draws(20_000, () => Math.floor((uniformInteger(random, bound) / bound) * 12));
    expect(chiSquare(12, values)).toBeLessThan(chiSquareLimit(12));
    expect(chiSquare(12, values)).toBeGreaterThan(0);
  });

  test('rejects from the largest multiple of the bound on', () => {
    const limit = 2 ** 32 - (2 ** 32 % 10);
    expect(uniformInteger(dealing(limit - 1), 10)).toBe(9);
    expect(uniformInteger(dealing(limit, 2 ** 32 - 1, 37), 10)).toBe(7);
    expect(uniformInteger(dealing(2 ** 32 - 1), 2 ** 32)).toBe(2 ** 32 - 1);
    expect(uniformInteger(dealing(2 ** 32 - 1), 1)).toBe(0);
  });

  test('reads the bytes it was given, also when they lie within a larger buffer', () => {
    const pool = Uint8Array.of(9, 9, 9, 9, 5, 0, 0, 0);
    expect(uniformInteger({ bytes: () => pool.subarray(4) }, 100)).toBe(5);
  });

  test.each([0, -1, 0.5, 2 ** 32 + 1, Number.NaN, Number.POSITIVE_INFINITY])('has no bound %s', (bound) => {
    expect(() => uniformInteger(systemRandom, bound)).toThrow('RANDOM_RANGE');
  });
});

describe('a sample', () => {
  const items = fc.uniqueArray(fc.integer(), { maxLength: 30 });

  test('of all is a permutation, and leaves the items alone', () => {
    fc.assert(
      fc.property(items, fc.nat(5), fc.integer(), (all, more, seed) => {
        const before = [...all];
        const taken = sample(seededRandom(seed), all, all.length + more);
        expect(all).toEqual(before);
        expect(taken.toSorted((a, b) => a - b)).toEqual(before.toSorted((a, b) => a - b));
      }),
    );
  });

  test('of some is that many distinct items', () => {
    fc.assert(
      fc.property(items, fc.nat(30), fc.integer(), (all, count, seed) => {
        const taken = sample(seededRandom(seed), all, count);
        expect(taken).toHaveLength(Math.min(count, all.length));
        expect(new Set(taken).size).toBe(taken.length);
        expect(taken.every((item) => all.includes(item))).toBe(true);
      }),
    );
  });

  test('keeps items that are equal as often as they occur', () => {
    expect(sample(seededRandom('equal'), ['a', 'b', 'a', 'a'], 4).toSorted()).toEqual(['a', 'a', 'a', 'b']);
  });

  test('of a negative number is empty', () => {
    expect(sample(seededRandom('negative'), [1, 2, 3], -1)).toEqual([]);
  });

  test('is each of the 24 orders of 4 items, and each of the 12 ordered pairs, equally often', () => {
    const random = seededRandom('orders');
    const cellOf = (taken: readonly number[]): number => taken.reduce((cell, item) => 4 * cell + item, 0);
    for (const count of [4, 2]) {
      const cells = draws(24_000, () => cellOf(sample(random, [0, 1, 2, 3], count)));
      const names = [...new Set(cells)];
      const orders = count === 4 ? 24 : 12;
      expect(names).toHaveLength(orders);
      const statistic = chiSquare(
        orders,
        cells.map((cell) => names.indexOf(cell)),
      );
      expect(statistic).toBeLessThan(chiSquareLimit(orders));
    }
  });
});

test('the system source gives as many bytes as asked for, fresh ones', () => {
  expect(systemRandom.bytes(0)).toHaveLength(0);
  expect(systemRandom.bytes(100_000)).toHaveLength(100_000);
  expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
});
