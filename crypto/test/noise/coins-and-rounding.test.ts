import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bernoulliExp } from '../../src/noise/bernoulli.ts';
import { RandomWords } from '../../src/noise/random-words.ts';
import { roundStochastically } from '../../src/noise/stochastic-rounding.ts';
import { seededRandom } from '../../testing/index.ts';
import { dealing } from './dealing.ts';

describe('coins and rounding', () => {
  it('exp(-x) comes up with probability exp(-x)', () => {
    for (const [n, d] of [
      [0n, 1n],
      [1n, 3n],
      [1n, 1n],
      [7n, 2n],
    ] as const) {
      const words = new RandomWords(seededRandom(`coin ${n}/${d}`));
      const tosses = 20_000;
      let heads = 0;
      for (let i = 0; i < tosses; i++) heads += bernoulliExp(words, n, d) ? 1 : 0;
      const p = Math.exp(-Number(n) / Number(d));
      expect(Math.abs(heads - tosses * p)).toBeLessThanOrEqual(6 * Math.sqrt(tosses * p * (1 - p)));
    }
  });

  it('below(bound) stays below, and reaches both ends', () => {
    const words = new RandomWords(seededRandom('below'));
    for (const bound of [1n, 2n, 3n, 1n << 32n, (1n << 32n) + 1n, 1n << 100n]) {
      for (let i = 0; i < 50; i++) {
        const value = words.below(bound);
        expect(value >= 0n && value < bound).toBe(true);
      }
    }
    expect(new Set(Array.from({ length: 100 }, () => words.below(3n)))).toEqual(new Set([0n, 1n, 2n]));
  });

  it('words are the same whether the source hands out an array of its own or a part of a pool', () => {
    const source = seededRandom('pool');
    const pooled = (offset: number) => ({
      bytes: (length: number) => {
        const pool = new Uint8Array(length + 64).fill(0xaa);
        pool.set(source.bytes(length), offset);
        return pool.subarray(offset, offset + length);
      },
    });
    const own = new RandomWords(seededRandom('pool')).block(4096);
    expect(new RandomWords(pooled(24)).block(4096)).toEqual(own);
    expect(new RandomWords(pooled(3)).block(4096)).not.toContain(0xaaaaaaaa);
  });

  it('rounds to a neighbour, integers to themselves, and without bias', () => {
    fc.assert(
      fc.property(fc.float64Array({ noNaN: true, min: -1e9, max: 1e9 }), fc.integer(), (values, seed) => {
        const rounded = roundStochastically(new Float64Array(values), seededRandom(seed));
        rounded.forEach((value, i) => {
          expect(value === Math.floor(values[i]!) || value === Math.ceil(values[i]!)).toBe(true);
        });
      }),
    );
    const size = 40_000;
    const mean =
      roundStochastically(new Float64Array(size).fill(-2.7), seededRandom('bias')).reduce((a, b) => a + b, 0) / size;
    expect(Math.abs(mean + 2.7)).toBeLessThan(6 * Math.sqrt(0.21 / size));
  });

  it('compares a tie of 32 bits with the bits that follow', () => {
    const value = new Float64Array([0.5 + 2 ** -40]);
    expect(roundStochastically(value, dealing([2 ** 31, 2 ** 24 - 1]))[0]).toBe(1);
    expect(roundStochastically(value, dealing([2 ** 31, 2 ** 24]))[0]).toBe(0);
    expect(roundStochastically(value, dealing([2 ** 31 - 1]))[0]).toBe(1);
  });

  it.each([Number.NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31) - 1])('does not round %s', (value) => {
    expect(() => roundStochastically(new Float64Array([value]), seededRandom(1))).toThrow(/NOISE_PARAMETER/);
  });
});
