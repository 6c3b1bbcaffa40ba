import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CumulativeTable } from '../../src/noise/cumulative-table.ts';
import { discreteGaussian, discreteLaplace, skellam } from '../../src/noise/integer-noise.ts';
import type { IntegerNoise } from '../../src/noise/integer-noise.ts';
import { convolvedGaussian, FINE_VARIANCE, STEP } from '../../src/noise/large-scale.ts';
import { RandomWords } from '../../src/noise/random-words.ts';
import { parseRational } from '../../src/noise/rational.ts';
import type { RandomSource } from '../../src/random.ts';
import { digitDifferenceWeights, gaussianWeights, laplaceWeights, skellamWeights } from '../../src/noise/weights.ts';
import { seededRandom } from '../../testing/index.ts';
import { dealing } from './dealing.ts';
import { ALARM_DEVIATIONS, chiSquare, momentDeviations } from './statistics.ts';

const DRAWS = 1 << 18;

const drawn = (noise: IntegerNoise, seed: string, count: number = DRAWS): Int32Array => {
  const values = new Int32Array(count);
  noise.addTo(values, seededRandom(seed));
  return values;
};

const expectLaw = (draws: Int32Array | Float64Array, weights: readonly bigint[]): void => {
  const { statistic, limit } = chiSquare(draws, weights);
  expect(statistic).toBeLessThan(limit);
  const { mean, second, fourth } = momentDeviations(draws, weights);
  expect(Math.max(mean, second)).toBeLessThan(ALARM_DEVIATIONS);
  // The law of a fourth moment has a longer tail than the normal one.
  expect(fourth).toBeLessThan(2 * ALARM_DEVIATIONS);
};

describe('the table', () => {
  it('inverts its cumulative probabilities on all 159 bits, ties included', () => {
    const weights = gaussianWeights(parseRational('2.5'));
    const table = new CumulativeTable(weights);
    const total = weights.reduce((sum, weight, k) => sum + (k === 0 ? weight : 2n * weight), 0n);
    let sum = 0n;
    const cumulative = weights.map((weight, k) => ((sum += k === 0 ? weight : 2n * weight), (sum << 159n) / total));
    const near = (by: bigint) =>
      fc.tuple(fc.nat(weights.length - 1), fc.bigInt(-by, by)).map(([k, offset]) => cumulative[k]! + offset);
    const point = fc.oneof(
      fc.bigInt(0n, (1n << 159n) - 2n),
      near(2n),
      near(2n ** 33n),
      near(2n ** 65n),
      near(2n ** 97n),
      near(2n ** 127n),
    );
    fc.assert(
      fc.property(point, fc.boolean(), (wanted, negative) => {
        fc.pre(wanted >= 0n && wanted < (1n << 159n) - 1n);
        const high = Number(wanted >> 128n) * 2 + (negative ? 1 : 0);
        const rest = [96n, 64n, 32n, 0n].map((shift) => Number((wanted >> shift) & 0xffff_ffffn));
        const found = cumulative.findIndex((value) => wanted < value);
        // The last entry takes what is left of 2^159.
        const magnitude = found < 0 ? weights.length - 1 : found;
        const value = new Int32Array(1);
        table.draw(value, new RandomWords(dealing([high, ...rest])));
        expect(value[0]).toBe(negative ? -magnitude | 0 : magnitude);
      }),
      { numRuns: 3000 },
    );
  });

  it('tells a total variation that covers every rounding, and bounds the one that its integers have', () => {
    for (const weights of [gaussianWeights(parseRational('0.5')), skellamWeights(parseRational('1000'))]) {
      const { entries, totalVariation } = new CumulativeTable(weights);
      const total = weights.reduce((sum, weight, k) => sum + (k === 0 ? weight : 2n * weight), 0n);
      let [sum, before, distance] = [0n, 0n, 0n];
      weights.forEach((weight, k) => {
        sum += k === 0 ? weight : 2n * weight;
        const rounded = k === entries - 1 ? 1n << 159n : (sum << 159n) / total;
        const excess = (rounded - before) * total - ((k === 0 ? weight : 2n * weight) << 159n);
        distance += excess < 0n ? -excess : excess;
        before = rounded;
      });
      expect(Number(distance / 2n / (total >> 128n)) / 2 ** 287).toBeLessThan(totalVariation);
      expect(totalVariation).toBeLessThan(2 ** -140);
    }
  });

  it('is refused without entries, and with more than have numbers', () => {
    expect(() => new CumulativeTable([])).toThrow(/0 entries/);
    expect(() => new CumulativeTable(new Array<bigint>(65_537).fill(1n))).toThrow(/65537 entries/);
  });
});

describe('draws follow their law (chi-square and moments, fixed seeds, false alarms 1e-9)', () => {
  const cases: [string, IntegerNoise, bigint[]][] = [
    ...['0.25', '1', '9.5', '900', '90000'].flatMap((text): [string, IntegerNoise, bigint[]][] => {
      const variance = parseRational(text);
      return [
        [`gaussian ${text}`, discreteGaussian(variance), gaussianWeights(variance)],
        [`skellam ${text}`, skellam(variance), skellamWeights(variance)],
      ];
    }),
    ['laplace 0.7', discreteLaplace(parseRational('0.7')), laplaceWeights(parseRational('0.7'))],
    ['laplace 12', discreteLaplace(parseRational('12')), laplaceWeights(parseRational('12'))],
  ];
  it.each(cases)('%s', (name, noise, weights) => expectLaw(drawn(noise, name), weights));

  it.each(['0.3', '2', '30.25'])('by rejection, of variance and scale %s', (text) => {
    const parameter = parseRational(text);
    expectLaw(drawn(discreteGaussian(parameter, 'rejection'), text, 1 << 15), gaussianWeights(parameter));
    expectLaw(drawn(discreteLaplace(parameter, 'rejection'), text, 1 << 15), laplaceWeights(parameter));
    expect(discreteGaussian(parameter, 'rejection').totalVariation).toBeLessThan(2 ** -600);
  });

  const signBit: IntegerNoise['addTo'] = (values, random) => {
    discreteGaussian(parseRational('900')).addTo(values, random);
    for (let i = 0; i < values.length; i += 50) values[i] = Math.abs(values[i]!);
  };
  const mutants: [string, IntegerNoise['addTo']][] = [
    ['a variance 2 % too large', (v, r) => discreteGaussian(parseRational('918')).addTo(v, r)],
    ['a variance 2 % too small', (v, r) => discreteGaussian(parseRational('882')).addTo(v, r)],
    ['a sign that is never negative in one draw of fifty', signBit],
    [
      'draws shifted by one',
      (v, r) => (discreteGaussian(parseRational('900')).addTo(v, r), v.forEach((x, i) => (v[i] = x + 1))),
    ],
    [
      'draws that skip every odd 16th',
      (v, r) => (
        discreteGaussian(parseRational('900')).addTo(v, r),
        v.forEach((x, i) => (v[i] = x % 16 === 1 ? x + 1 : x))
      ),
    ],
  ];
  it.each(mutants)('the checker objects to %s', (name, addTo) => {
    const values = new Int32Array(DRAWS);
    addTo(values, seededRandom(name));
    const weights = gaussianWeights(parseRational('900'));
    const { statistic, limit } = chiSquare(values, weights);
    const { mean, second } = momentDeviations(values, weights);
    expect(statistic > limit || Math.max(mean, second) > ALARM_DEVIATIONS).toBe(true);
  });
});

describe('beyond one table', () => {
  /** The draws of a wide law counted in cells, as draws of the law of those cells. */
  const binned = (draws: Float64Array | Int32Array, cell: number): Int32Array =>
    Int32Array.from(draws, (x) => Math.round(Math.abs(x) / cell) * Math.sign(x));
  /** A wide discrete Gaussian in cells of its own deviation / 30 is all but a normal law in those cells. */
  const normalCells = (reach: number): bigint[] => {
    const density = (x: number): number => Math.exp((-x * x) / 1800);
    const inCell = (k: number): number => [-0.375, -0.125, 0.125, 0.375].reduce((sum, at) => sum + density(k + at), 0);
    return Array.from({ length: reach }, (_, k) => BigInt(Math.round((inCell(k) / inCell(0)) * 2 ** 100)));
  };

  it.each(['5000000', '4194305', '250000000000.5', '1e24'])('a Gaussian of variance %s is one', (text) => {
    const noise = discreteGaussian(parseRational(text));
    const values = new Float64Array(DRAWS);
    noise.addTo(values, seededRandom(text));
    expect(values.every(Number.isSafeInteger)).toBe(true);
    expectLaw(binned(values, Math.sqrt(Number(text)) / 30), normalCells(300));
    expect(noise.totalVariation).toBeLessThan(2 ** -140);
  });

  it('its lowest digit is uniform: nothing of the step between fine and coarse shows', () => {
    const values = drawn(discreteGaussian(parseRational('5000000')), 'digit');
    const observed = new Float64Array(128);
    values.forEach((x) => observed[((x % 128) + 128) % 128]!++);
    const expected = DRAWS / 128;
    const statistic = observed.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(statistic).toBeLessThan(127 + ALARM_DEVIATIONS * Math.sqrt(2 * 127) + 36);
  });

  it('the convolution is the discrete Gaussian, entry by entry to 2^-160 of the largest', () => {
    // The smallest variance that is convolved, in exact arithmetic: fine and coarse weights against those of the whole.
    const whole = 4_194_305n;
    const rest = { numerator: whole - BigInt(FINE_VARIANCE), denominator: BigInt(STEP) ** 2n };
    expect(convolvedGaussian({ numerator: whole, denominator: 1n }).map(({ factor }) => factor)).toEqual([1, STEP]);
    const fine = gaussianWeights({ numerator: BigInt(FINE_VARIANCE), denominator: 1n });
    const coarse = gaussianWeights(rest);
    const direct = gaussianWeights({ numerator: whole, denominator: 1n });
    const at = (y: number): bigint => {
      let sum = 0n;
      for (let x = -coarse.length + 1; x < coarse.length; x++) {
        sum += (coarse[Math.abs(x)]! * (fine[Math.abs(y - STEP * x)] ?? 0n)) >> 384n;
      }
      return sum;
    };
    const zero = at(0);
    for (const y of [1, 17, 63, 64, 65, 127, 128, 1000, 2048, 9999]) {
      const error = at(y) * direct[0]! - zero * direct[y]!;
      expect((error < 0n ? -error : error) << 160n < zero * direct[0]!).toBe(true);
    }
  });

  it.each(['300', '1000', '1e6'])('a discrete Laplace of scale %s is one', (text) => {
    const scale = Number(text);
    const noise = discreteLaplace(parseRational(text));
    const values = new Float64Array(DRAWS);
    noise.addTo(values, seededRandom(text));
    // P(|x| > t) = 2 r^(t+1) / (1 + r): the quantiles of the exact law, in 64 cells.
    const ratio = Math.exp(-1 / scale);
    const observed = new Float64Array(64);
    const expected = new Float64Array(64);
    const above = (t: number): number => (2 * ratio ** t) / (1 + ratio);
    for (const x of values) observed[Math.min(63, Math.floor(Math.abs(x) / (scale / 8)))]!++;
    for (let cell = 0; cell < 64; cell++) {
      const [from, to] = [Math.ceil((cell * scale) / 8), Math.ceil(((cell + 1) * scale) / 8)];
      expected[cell] = DRAWS * ((cell === 0 ? 1 : above(from)) - (cell === 63 ? 0 : above(to)));
    }
    const statistic = observed.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!, 0);
    expect(statistic).toBeLessThan(63 + ALARM_DEVIATIONS * Math.sqrt(2 * 63) + 36);
    const mean = values.reduce((sum, x) => sum + x, 0) / DRAWS;
    expect(Math.abs(mean)).toBeLessThan(ALARM_DEVIATIONS * scale * Math.sqrt(2 / DRAWS));
  });

  it('splitting a Laplace is exact: small scales by digits have the weights of the direct table', () => {
    const scale = parseRational('40');
    const digit = digitDifferenceWeights(scale, 16);
    const rest = laplaceWeights({ numerator: 40n, denominator: 16n });
    const direct = laplaceWeights(scale);
    const at = (y: number): bigint => {
      let sum = 0n;
      for (let x = -rest.length + 1; x < rest.length; x++) {
        sum += (rest[Math.abs(x)]! * (digit[Math.abs(y - 16 * x)] ?? 0n)) >> 384n;
      }
      return sum;
    };
    const zero = at(0);
    for (const y of [1, 7, 8, 15, 16, 17, 100, 1000]) {
      const error = at(y) * direct[0]! - zero * direct[y]!;
      expect((error < 0n ? -error : error) << 150n < zero * direct[0]!).toBe(true);
    }
  });

  it('Skellam noise is a sum of equal parts, which cost as often', () => {
    const [one, three] = [skellam(parseRational('4194304')), skellam(parseRational('12000000'))];
    const values = drawn(three, 'large skellam');
    const variance = values.reduce((sum, x) => sum + x * x, 0) / DRAWS;
    expect(Math.abs(variance / 12e6 - 1)).toBeLessThan(ALARM_DEVIATIONS * Math.sqrt(2 / DRAWS));
    expect(three.totalVariation).toBeGreaterThan(2 * one.totalVariation);
  });
});

describe('adding', () => {
  it('adds to what is there, and draws anew each time', () => {
    const noise = discreteGaussian(parseRational('100'));
    const random = seededRandom('adds');
    const [a, b] = [new Int32Array(64).fill(1_000_000), new Int32Array(64)];
    noise.addTo(a, random);
    noise.addTo(b, random);
    expect(a.every((value) => Math.abs(value - 1_000_000) < 200)).toBe(true);
    expect([...b]).not.toEqual([...a].map((value) => value - 1_000_000));
  });

  it('gives integers and numbers the same draws, and integers wrap modulo 2^32', () => {
    for (const noise of [skellam(parseRational('50')), discreteGaussian(parseRational('1e12'))]) {
      const numbers = new Float64Array(5000).fill(2 ** 31 - 1);
      const integers = new Int32Array(5000).fill(2 ** 31 - 1);
      noise.addTo(numbers, seededRandom('both'));
      noise.addTo(integers, seededRandom('both'));
      expect(integers).toEqual(Int32Array.from(numbers));
      expect(numbers.some((value) => value >= 2 ** 31)).toBe(true);
    }
  });

  it('takes every word once, and none from a float or a global source', () => {
    const taken: number[] = [];
    const counting: RandomSource = {
      bytes: (length) => (taken.push(length), seededRandom(taken.length).bytes(length)),
    };
    discreteGaussian(parseRational('100')).addTo(new Int32Array(10_000), counting);
    expect(taken.filter((length) => length !== 4 * 4096)).toEqual([4 * (10_000 - 2 * 4096)]);
    expect(taken).toHaveLength(3);
  });
});
