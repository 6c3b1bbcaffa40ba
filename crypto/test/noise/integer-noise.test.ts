import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CumulativeTable } from '../../src/noise/cumulative-table.ts';
import { discreteGaussian, discreteLaplace, skellam } from '../../src/noise/integer-noise.ts';
import type { IntegerNoise } from '../../src/noise/integer-noise.ts';
import { RandomWords } from '../../src/noise/random-words.ts';
import { parseRational, rationalOf, reduced, toNumber } from '../../src/noise/rational.ts';
import { rejectDiscreteGaussian, rejectDiscreteLaplace } from '../../src/noise/rejection.ts';
import { gaussianWeights, laplaceWeights, skellamWeights } from '../../src/noise/weights.ts';
import { bernoulliExp } from '../../src/noise/bernoulli.ts';
import { roundStochastically } from '../../src/noise/stochastic-rounding.ts';
import type { RandomSource } from '../../src/random.ts';
import { seededRandom } from '../../testing/index.ts';

const DRAWS = 1 << 17;
/** Chi-square quantile by Wilson and Hilferty; z = 5.6 is a false alarm in 10^8, and the seeds are fixed anyway. */
const chiSquareLimit = (cells: number): number => {
  const k = cells - 1;
  return k * (1 - 2 / (9 * k) + 5.6 * Math.sqrt(2 / (9 * k))) ** 3;
};

/** Pearson's statistic of `draws` against the law of `weights`, cells of less than 20 expected draws pooled at the ends. */
function chiSquare(draws: Int32Array, weights: readonly bigint[]): { statistic: number; cells: number } {
  const relative = weights.map((weight) => Number(weight >> 220n) / 2 ** 100);
  const total = 2 * relative.reduce((sum, weight) => sum + weight, 0) - relative[0]!;
  const reach = relative.findLastIndex((weight) => (draws.length * weight) / total >= 20);
  const observed = new Float64Array(2 * reach + 3);
  for (const draw of draws) observed[Math.max(-reach - 1, Math.min(reach + 1, draw)) + reach + 1]!++;
  let statistic = 0;
  let inner = 0;
  for (let x = -reach; x <= reach; x++) {
    const expected = (draws.length * relative[Math.abs(x)]!) / total;
    inner += expected;
    statistic += (observed[x + reach + 1]! - expected) ** 2 / expected;
  }
  const outer = draws.length - inner;
  const outside = observed[0]! + observed.at(-1);
  if (outer > 5) statistic += (outside - outer) ** 2 / outer;
  return { statistic, cells: 2 * reach + 2 };
}

const drawn = (noise: IntegerNoise, seed: string): Int32Array => {
  const values = new Int32Array(DRAWS);
  noise.addTo(values, seededRandom(seed));
  return values;
};

/** A source that deals the given 32-bit words, then zeros. */
const dealing = (words: readonly number[]): RandomSource => ({
  bytes: (length) => {
    const block = new Uint32Array(length / 4);
    block.set(words);
    return new Uint8Array(block.buffer);
  },
});

describe('the weights', () => {
  it.each(['0.04', '0.25', '1', '25', '900', '123456.789'])('of a discrete Gaussian of variance %s', (text) => {
    const variance = parseRational(text);
    gaussianWeights(variance).forEach((weight, k) => {
      const expected = Math.exp((-k * k) / (2 * toNumber(variance)));
      if (expected > 1e-30) expect(Number(weight) / 2 ** 320 / expected).toBeCloseTo(1, 12);
    });
  });

  it('of Skellam noise are those of a difference of two Poisson variables', () => {
    const half = 2;
    const poisson = [Math.exp(-half)];
    for (let k = 1; k < 80; k++) poisson.push((poisson[k - 1]! * half) / k);
    const difference = (x: number): number => poisson.reduce((sum, p, k) => sum + p * (poisson[k + x] ?? 0), 0);
    skellamWeights(parseRational('4')).forEach((weight, k) => {
      if (k < 25) expect((Number(weight) / 2 ** 320 / difference(k)) * difference(0)).toBeCloseTo(1, 11);
    });
  });

  it('reach down to 2^-160, so that what is cut off is below the rounding of the table', () => {
    for (const weights of [
      gaussianWeights(parseRational('9')),
      skellamWeights(parseRational('9')),
      skellamWeights(parseRational('0.01')),
    ]) {
      expect(weights.length).toBeGreaterThan(15);
      expect(weights.at(-1) < 1n << 172n).toBe(true);
      expect(weights.every((weight, k) => k === 0 || weight < weights[k - 1]!)).toBe(true);
    }
  });

  it('have the second moment of their variance, to 30 digits', () => {
    for (const text of ['4', '0.3', '1000']) {
      const variance = parseRational(text);
      const weights = skellamWeights(variance);
      const total = weights.reduce((sum, weight, k) => sum + (k === 0 ? weight : 2n * weight), 0n);
      const second = weights.reduce((sum, weight, k) => sum + 2n * BigInt(k * k) * weight, 0n);
      const error = second * variance.denominator - total * variance.numerator;
      expect((error < 0n ? -error : error) * 10n ** 30n < total * variance.numerator).toBe(true);
    }
  });
});

describe('the table', () => {
  it('inverts its cumulative probabilities on all 128 bits, ties included', () => {
    const weights = gaussianWeights(parseRational('2.5'));
    const table = new CumulativeTable(weights);
    const total = weights.reduce((sum, weight, k) => sum + (k === 0 ? weight : 2n * weight), 0n);
    let sum = 0n;
    const cumulative = weights.map((weight, k) => ((sum += k === 0 ? weight : 2n * weight), (sum << 128n) / total));
    const point = fc.oneof(
      fc.bigInt(0n, (1n << 128n) - 2n),
      fc.tuple(fc.nat(weights.length - 1), fc.bigInt(-2n, 2n)).map(([k, by]) => cumulative[k]! + by),
      fc.tuple(fc.nat(weights.length - 1), fc.bigInt(-(2n ** 64n), 2n ** 64n)).map(([k, by]) => cumulative[k]! + by),
      fc.tuple(fc.nat(weights.length - 1), fc.bigInt(-(2n ** 95n), 2n ** 95n)).map(([k, by]) => cumulative[k]! + by),
    );
    fc.assert(
      fc.property(point, (wanted) => {
        fc.pre(wanted >= 0n && wanted < (1n << 128n) - 1n);
        const words = [96n, 64n, 32n, 0n].map((shift) => Number((wanted >> shift) & 0xffff_ffffn));
        const expected = cumulative.findIndex((value) => wanted < value);
        const isTie = cumulative.some((value) => value >> 96n === wanted >> 96n);
        const value = new Int32Array(1);
        table.addTo(value, new RandomWords(dealing([...(isTie ? words : words.slice(0, 1)), 1])));
        // The last entry takes what is left of 2^128.
        expect(Math.abs(value[0]!)).toBe(expected < 0 ? weights.length - 1 : expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('tells a total variation that covers every rounding', () => {
    for (const text of ['0.5', '9', '10000']) {
      const { entries, totalVariation } = new CumulativeTable(gaussianWeights(parseRational(text)));
      expect(totalVariation).toBeGreaterThanOrEqual(entries * 2 ** -128);
      expect(totalVariation).toBeLessThan(2 ** -110);
    }
  });
});

describe('draws follow their law (chi-square, fixed seeds, false alarm 1e-8)', () => {
  const cases: [string, IntegerNoise, bigint[]][] = [
    ...['0.25', '1', '9.5', '900'].flatMap((text): [string, IntegerNoise, bigint[]][] => {
      const variance = parseRational(text);
      return [
        [`gaussian ${text}`, discreteGaussian(variance), gaussianWeights(variance)],
        [`skellam ${text}`, skellam(variance), skellamWeights(variance)],
      ];
    }),
    ['laplace 0.7', discreteLaplace(parseRational('0.7')), laplaceWeights(parseRational('0.7'))],
    ['laplace 12', discreteLaplace(parseRational('12')), laplaceWeights(parseRational('12'))],
  ];
  it.each(cases)('%s', (name, noise, weights) => {
    const { statistic, cells } = chiSquare(drawn(noise, name), weights);
    expect(statistic).toBeLessThan(chiSquareLimit(cells));
  });

  it('rejection and table are the same law', () => {
    for (const text of ['0.3', '2', '30.25']) {
      const variance = parseRational(text);
      const words = new RandomWords(seededRandom(`rejection ${text}`));
      const draws = Int32Array.from({ length: 1 << 14 }, () => Number(rejectDiscreteGaussian(words, variance)));
      const { statistic, cells } = chiSquare(draws, gaussianWeights(variance));
      expect(statistic).toBeLessThan(chiSquareLimit(cells));
      const laplace = Int32Array.from({ length: 1 << 14 }, () => Number(rejectDiscreteLaplace(words, variance)));
      const other = chiSquare(laplace, laplaceWeights(variance));
      expect(other.statistic).toBeLessThan(chiSquareLimit(other.cells));
    }
  });

  it('the checker objects to a variance that is 4 % off', () => {
    const draws = drawn(discreteGaussian(parseRational('936')), 'mutant');
    const { statistic, cells } = chiSquare(draws, gaussianWeights(parseRational('900')));
    expect(statistic).toBeGreaterThan(chiSquareLimit(cells));
  });

  it('beyond the tables: sums of Skellam parts and rejection have the variance that was asked for', () => {
    const large = skellam(parseRational('3000000'));
    const values = drawn(large, 'large skellam');
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(variance / 3e6).toBeCloseTo(1, 1.5);
    expect(large.totalVariation).toBeGreaterThan(skellam(parseRational('1000000')).totalVariation);
    const few = new Int32Array(2000);
    discreteGaussian(parseRational('4e10')).addTo(few, seededRandom('large gaussian'));
    expect(few.reduce((sum, x) => sum + x * x, 0) / few.length / 4e10).toBeCloseTo(1, 0.7);
    few.fill(0);
    discreteLaplace(parseRational('1000')).addTo(few, seededRandom('large laplace'));
    expect(few.reduce((sum, x) => sum + Math.abs(x), 0) / few.length / 1000).toBeCloseTo(1, 0.7);
  });

  it('adds to what is there, and draws anew each time', () => {
    const noise = discreteGaussian(parseRational('100'));
    const random = seededRandom('adds');
    const [a, b] = [new Int32Array(64).fill(1_000_000), new Int32Array(64)];
    noise.addTo(a, random);
    noise.addTo(b, random);
    expect(a.every((value) => Math.abs(value - 1_000_000) < 200)).toBe(true);
    expect([...b]).not.toEqual([...a].map((value) => value - 1_000_000));
  });
});

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

describe('rational parameters', () => {
  it('of a float64 are exact', () => {
    fc.assert(fc.property(fc.double({ min: 1e-290, max: 1e300, noNaN: true }), (x) => toNumber(rationalOf(x)) === x));
  });

  it('of a decimal are that decimal', () => {
    expect(parseRational('0.250')).toEqual(reduced(1n, 4n));
    expect(parseRational('1.5e-3')).toEqual(reduced(3n, 2000n));
    expect(parseRational('12e2')).toEqual(reduced(1200n, 1n));
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 999_999 }), (whole, fraction) => {
        const text = `${whole}.${String(fraction).padStart(6, '0')}`;
        expect(parseRational(text)).toEqual(reduced(BigInt(whole) * 1_000_000n + BigInt(fraction), 1_000_000n));
      }),
    );
  });

  it.each(['', '-1', '1/2', 'NaN', 'Infinity', '0x10', '1e9999', ' 1', '.5', '1.'])('"%s" is refused', (text) => {
    expect(() => parseRational(text)).toThrow(/NOISE_PARAMETER/);
  });

  it.each(['0', '0.0000001', '1e30'])('noise of variance %s is refused', (text) => {
    for (const make of [discreteGaussian, skellam, discreteLaplace]) {
      expect(() => make(parseRational(text))).toThrow(/NOISE_PARAMETER/);
    }
    expect(() => discreteGaussian({ numerator: 1n, denominator: 0n })).toThrow(/NOISE_PARAMETER/);
    expect(() => discreteGaussian({ numerator: -1n, denominator: 1n })).toThrow(/NOISE_PARAMETER/);
    expect(() => rationalOf(Number.NaN)).toThrow(/NOISE_PARAMETER/);
  });
});
