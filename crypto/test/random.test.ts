import { sample, systemRandom, uniformInteger } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

/** Gives out these 32-bit words, little-endian. */
function words(...values: readonly number[]): RandomSource {
  const left = [...values];
  return {
    bytes: (length) => {
      expect(length).toBe(4);
      const word = left.shift();
      if (word === undefined) throw new Error('no word left');
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, word, true);
      return bytes;
    },
  };
}

describe('uniform integers', () => {
  test('lie in their range', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.nat(), (bound, seed) => {
        const value = uniformInteger(seededRandom(seed), bound);
        expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
      }),
    );
  });

  // 2^32 = 3 x 1431655765 + 1: with the last word, 0 would come up once more than 1 and 2.
  test('the words that would favour small values are passed over', () => {
    expect(uniformInteger(words(2 ** 32 - 1, 5), 3)).toBe(2);
    expect(uniformInteger(words(2 ** 32 - 2), 3)).toBe(2);
    expect(uniformInteger(words(2 ** 32 - 1), 2 ** 32)).toBe(2 ** 32 - 1);
  });

  test('a bound that is none is refused', () => {
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN])
      expect(() => uniformInteger(systemRandom, bound)).toThrow(expect.objectContaining({ code: 'RANDOM_RANGE' }));
  });
});

describe('a sample', () => {
  test('has distinct elements, as many as asked for or as there are, and leaves the items as they were', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { maxLength: 30 }), fc.nat(40), fc.nat(), (items, count, seed) => {
        const before = [...items];
        const taken = sample(seededRandom(seed), items, count);
        expect(items).toEqual(before);
        expect(taken).toHaveLength(Math.min(count, items.length));
        expect(new Set(taken).size).toBe(taken.length);
        expect(taken.every((item) => items.includes(item))).toBe(true);
      }),
    );
  });

  // Six orders, 1000 expected of each, variance 833: five deviations are 145. The seed is fixed.
  test('every order of three comes equally often', () => {
    const random = seededRandom('orders');
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 6_000; draw++) {
      const order = sample(random, ['a', 'b', 'c'], 3).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(145);
  });
});

test('the system’s bytes are as many as asked for, and fresh', () => {
  expect([0, 1, 32, 70_000].map((length) => systemRandom.bytes(length).length)).toEqual([0, 1, 32, 70_000]);
  expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
});
