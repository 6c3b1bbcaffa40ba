import { describe, expect, it } from 'vitest';
import { parseRational } from '../../src/noise/rational.ts';
import type { Rational } from '../../src/noise/rational.ts';
import {
  digitDifferenceWeights,
  FRACTION_BITS,
  gaussianWeights,
  laplaceWeights,
  skellamWeights,
} from '../../src/noise/weights.ts';
import { expMinusReference } from './statistics.ts';

/** 2^-300 of the weight of 0: what the file promises. */
const TOLERANCE = 1n << (FRACTION_BITS - 300n);
const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a);
const some = (length: number): number[] => [0, 1, 2, 3, length >> 2, length >> 1, length - 2, length - 1];
const sum = (weights: readonly bigint[], of: (k: bigint) => bigint): bigint =>
  weights.reduce((total, weight, k) => total + weight * of(BigInt(k)) * (k === 0 ? 1n : 2n), 0n);

describe('the weights', () => {
  it.each(['0.04', '0.25', '1', '25', '900', '123456.789', '4194304'])(
    'of a discrete Gaussian of variance %s',
    (text) => {
      const { numerator, denominator } = parseRational(text);
      const weights = gaussianWeights({ numerator, denominator });
      for (const k of some(weights.length).filter((entry) => entry >= 0)) {
        const exponent: Rational = { numerator: BigInt(k * k) * denominator, denominator: 2n * numerator };
        expect(distance(weights[k]!, expMinusReference(exponent)) < TOLERANCE).toBe(true);
      }
    },
  );

  it.each(['0.04', '0.7', '12', '256'])('of a discrete Laplace of scale %s', (text) => {
    const { numerator, denominator } = parseRational(text);
    const weights = laplaceWeights({ numerator, denominator });
    for (const k of some(weights.length).filter((entry) => entry >= 0)) {
      const exponent: Rational = { numerator: BigInt(k) * denominator, denominator: numerator };
      expect(distance(weights[k]!, expMinusReference(exponent)) < TOLERANCE).toBe(true);
    }
  });

  it.each(['0.25', '4', '1000', '65536'])(
    'of Skellam noise of variance %s satisfy the recurrence of the Bessel functions',
    (text) => {
      const { numerator, denominator } = parseRational(text);
      const weights = skellamWeights({ numerator, denominator });
      // I_(k-1) - I_(k+1) = (2k / variance) I_k
      for (let k = 1; k + 1 < weights.length; k++) {
        const left = (weights[k - 1]! - weights[k + 1]!) * numerator;
        const right = 2n * BigInt(k) * denominator * weights[k]!;
        expect(distance(left, right) < TOLERANCE * (numerator + 2n * BigInt(k) * denominator)).toBe(true);
      }
    },
  );

  it('of Skellam noise are those of a difference of two Poisson variables', () => {
    const half = 2;
    const poisson = [Math.exp(-half)];
    for (let k = 1; k < 80; k++) poisson.push((poisson[k - 1]! * half) / k);
    const difference = (x: number): number => poisson.reduce((total, p, k) => total + p * (poisson[k + x] ?? 0), 0);
    skellamWeights(parseRational('4')).forEach((weight, k) => {
      if (k < 25) expect((Number(weight >> 64n) / 2 ** 320 / difference(k)) * difference(0)).toBeCloseTo(1, 11);
    });
  });

  it('of Skellam noise have the second and fourth moment of their variance, to 60 digits', () => {
    for (const text of ['4', '0.3', '1000', '4194304']) {
      const { numerator: n, denominator: d } = parseRational(text);
      const weights = skellamWeights({ numerator: n, denominator: d });
      const total = sum(weights, () => 1n);
      const second = sum(weights, (k) => k * k);
      const fourth = sum(weights, (k) => k ** 4n);
      expect(distance(second * d, total * n) * 10n ** 40n < total * n).toBe(true);
      // 3 v^2 + v
      expect(distance(fourth * d * d, total * (3n * n * n + n * d)) * 10n ** 30n < total * n * n).toBe(true);
    }
  });

  it('of the difference of two digits are what counting gives', () => {
    const scale = parseRational('3.5');
    const size = 9;
    const ratio = Math.exp(-1 / 3.5);
    const counted = Array.from({ length: size }, (_, k) => {
      let weight = 0;
      for (let low = 0; low + k < size; low++) weight += ratio ** (2 * low + k);
      return weight;
    });
    digitDifferenceWeights(scale, size).forEach((weight, k) => {
      const relative = Number(weight) / Number(digitDifferenceWeights(scale, size)[0]);
      expect(relative / (counted[k]! / counted[0]!)).toBeCloseTo(1, 12);
    });
  });

  it('reach down to 2^-192, so that what is cut off is below the rounding of the table', () => {
    const all = ['9', '1000', '4194304'].flatMap((text) => [
      gaussianWeights(parseRational(text)),
      skellamWeights(parseRational(text)),
    ]);
    for (const weights of [...all, laplaceWeights(parseRational('256'))]) {
      expect(weights.length).toBeLessThan(65_536);
      expect(weights.every((weight, k) => k === 0 || weight < weights[k - 1]!)).toBe(true);
      const last = weights.at(-1) ?? 0n;
      expect(last > 1n << (FRACTION_BITS - 192n)).toBe(true);
      expect(last < 1n << (FRACTION_BITS - 182n)).toBe(true);
    }
  });
});
