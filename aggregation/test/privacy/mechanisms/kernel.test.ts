import { keyStream } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withWorkspace } from '../../../src/privacy/mechanisms/lattice/kernel.ts';
import {
  flipReference,
  hadamardReference,
  normsReference,
  roundReference,
} from '../../../src/privacy/mechanisms/lattice/reference.ts';

const KEY = new Uint8Array(32).fill(7);

const numbersOf = (seed: number | string, length: number, scale: number): Float64Array => {
  const words = new Int32Array(seededRandom(seed).bytes(4 * length).buffer);
  return Float64Array.from(words, (word) => (word / 2 ** 31) * scale);
};

describe('the kernel does what its twin does, in every bit', () => {
  test.each(Array.from({ length: 16 }, (_, log) => log))('Hadamard transform of 2^%i numbers', (log) => {
    const expected = numbersOf(log, 2 ** log, 1e3);
    const found = withWorkspace(2 ** log + 5, (workspace) => {
      workspace.numbers.set(expected, 3);
      workspace.hadamard(3, log);
      // Nothing is written beside the numbers that were asked for.
      expect([...workspace.numbers.subarray(0, 3), ...workspace.numbers.subarray(2 ** log + 3)]).toEqual([
        0, 0, 0, 0, 0,
      ]);
      return workspace.numbers.slice(3, 2 ** log + 3);
    });
    hadamardReference(expected);
    expect(found).toEqual(expected);
  });

  test('the transform is the matrix of (-1)^(i . j)', () => {
    for (const j of [0, 1, 5, 12, 31]) {
      const column = withWorkspace(32, (workspace) => {
        workspace.numbers[j] = 1;
        workspace.hadamard(0, 5);
        return workspace.numbers.slice();
      });
      const parity = (bits: number): number => bits.toString(2).replaceAll('0', '').length % 2;
      expect([...column]).toEqual(Array.from({ length: 32 }, (_, i) => (parity(i & j) === 1 ? -1 : 1)));
    }
  });

  test('flipping', () => {
    const expected = numbersOf('flip', 1003, 1);
    const signs = new Uint8Array(126);
    keyStream(KEY, 3, 4).fill(signs);
    const found = withWorkspace(1003, (workspace) => {
      workspace.numbers.set(expected);
      workspace.flip(0, 1003, keyStream(KEY, 3, 4), 0.3);
      return workspace.numbers.slice();
    });
    flipReference(expected, signs, 0.3);
    expect(found).toEqual(expected);
  });

  test('rounding, at every edge of a fraction, over more than one part of coins', () => {
    const length = 40_001;
    const values = numbersOf('round', length, 2 ** 30);
    [0, -0, 0.5, -0.5, 1 - 2 ** -53, -(2 ** -40), 2 ** 30, -(2 ** 30), 2 ** -33, 7, -7].forEach(
      (x, i) => (values[i] = x),
    );
    const coins = new Uint32Array(40_004);
    const stream = keyStream(KEY, 0, 0);
    for (let at = 0; at < length; at += 16_384) {
      stream.fill(new Uint8Array(coins.buffer, 4 * at, 4 * Math.min(16_384, 40_004 - at)));
    }
    const found = withWorkspace(length, (workspace) => {
      workspace.numbers.set(values);
      expect(workspace.round(keyStream(KEY, 0, 0))).toBe(true);
      return workspace.integers.slice();
    });
    expect(found).toEqual(Int32Array.from(values, (value, i) => roundReference(value, coins[i]!)));
  });

  test.each([Number.NaN, Infinity, -Infinity, 2 ** 30 + 1, -(2 ** 30) - 1])('rounding tells of %s anywhere', (bad) => {
    for (const at of [0, 1, 2, 3, 17, 16_390]) {
      withWorkspace(16_391, (workspace) => {
        workspace.numbers[at] = bad;
        expect(workspace.round(keyStream(KEY, 0, 0))).toBe(false);
      });
    }
  });

  test('norms are exact, also far above 2^53 and at -2^31', () => {
    const integer = fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 0),
    );
    fc.assert(
      fc.property(fc.array(integer, { minLength: 1, maxLength: 70 }), (list) => {
        const values = Int32Array.from(list);
        const found = withWorkspace(values.length, (workspace) => {
          workspace.integers.set(values);
          return workspace.norms();
        });
        expect(found).toEqual(normsReference(values));
      }),
    );
    const many = new Int32Array(2 ** 20).fill(-(2 ** 31));
    many[5] = 1;
    withWorkspace(many.length, (workspace) => {
      workspace.integers.set(many);
      expect(workspace.norms().l2Squared).toBe((2n ** 20n - 1n) * 2n ** 62n + 1n);
    });
  });
});

describe('a workspace', () => {
  test('is wiped when its operation ends, and when it throws', () => {
    let kept: Float64Array | undefined;
    const spoil = (): void =>
      withWorkspace(100, (workspace) => {
        kept = workspace.numbers;
        workspace.numbers.fill(1);
        workspace.round(keyStream(KEY, 0, 0));
        throw new Error('half way');
      });
    expect(spoil).toThrow('half way');
    expect(new Uint8Array(kept!.buffer, 1024).every((byte) => byte === 0)).toBe(true);
  });

  test('within another one is another one', () => {
    withWorkspace(8, (outer) => {
      outer.numbers.fill(1);
      withWorkspace(8, (inner) => inner.numbers.fill(2));
      expect([...outer.numbers]).toEqual(new Array(8).fill(1));
    });
  });
});
