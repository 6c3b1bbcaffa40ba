import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dirichlet, gamma } from '../../src/partition/gamma.ts';
import { seededRandom } from '../../src/seeded-random.ts';

const DRAWS = 20_000;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Four standard errors of a mean with this variance; seeds are fixed, so a bound holds always or never. */
const tolerance = (variance: number): number => 4 * Math.sqrt(variance / DRAWS);

describe.each([0.05, 0.5, 0.9999, 1, 2.5, 40])('gamma variates of shape %d', (shape) => {
  const random = seededRandom(`gamma/${shape}`);
  const draws = Array.from({ length: DRAWS }, () => gamma(random, shape));

  test('are positive, or have underflowed to zero', () => {
    expect(draws.every((value) => value >= 0 && Number.isFinite(value))).toBe(true);
    if (shape >= 1) expect(draws.every((value) => value > 0)).toBe(true);
  });

  test('have the mean and the variance of their shape', () => {
    expect(Math.abs(mean(draws) - shape)).toBeLessThan(tolerance(shape));
    // The fourth central moment of gamma is 3 k^2 + 6 k, so the variance of the squares is 2 k^2 + 6 k.
    const squares = draws.map((value) => (value - shape) ** 2);
    expect(Math.abs(mean(squares) - shape)).toBeLessThan(tolerance(2 * shape ** 2 + 6 * shape));
  });

  test('have the mean logarithm of their shape: the digamma function', () => {
    const logarithms = draws.filter((value) => value > 0).map(Math.log);
    if (logarithms.length < DRAWS) return;
    expect(Math.abs(mean(logarithms) - digamma(shape))).toBeLessThan(tolerance(trigamma(shape)));
  });
});

test('shape 1 is the exponential distribution: shares above 1, 2 and 3', () => {
  const random = seededRandom('exponential');
  const draws = Array.from({ length: DRAWS }, () => gamma(random, 1));
  for (const border of [1, 2, 3]) {
    const share = Math.exp(-border);
    const found = draws.filter((value) => value > border).length / DRAWS;
    expect(Math.abs(found - share)).toBeLessThan(tolerance(share * (1 - share)));
  }
});

describe('Dirichlet vectors', () => {
  test('are not negative and sum to 1, however small alpha is', () => {
    const alphas = fc.oneof(fc.double({ min: 1e-9, max: 100, noNaN: true }), fc.constantFrom(1e-9, 1e-6, 1e-3, 1e6));
    fc.assert(
      fc.property(fc.string(), alphas, fc.integer({ min: 1, max: 50 }), (seed, alpha, length) => {
        const vector = dirichlet(seededRandom(seed), alpha, length);
        expect(vector.length).toBe(length);
        expect(vector.every((part) => part >= 0 && part <= 1)).toBe(true);
        expect(Math.abs(vector.reduce((sum, part) => sum + part, 0) - 1)).toBeLessThan(1e-12);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    [0.1, 5],
    [1, 3],
    [10, 4],
  ])('of alpha %d in %d parts have the moments of their distribution', (alpha, length) => {
    const random = seededRandom(`dirichlet/${alpha}/${length}`);
    const draws = Array.from({ length: DRAWS }, () => dirichlet(random, alpha, length));
    const variance = ((1 / length) * (1 - 1 / length)) / (length * alpha + 1);
    for (let part = 0; part < length; part++) {
      const values = draws.map((vector) => vector[part]!);
      expect(Math.abs(mean(values) - 1 / length)).toBeLessThan(tolerance(variance));
      const squares = values.map((value) => (value - 1 / length) ** 2);
      // Squares lie in [0, 1], so their variance is at most their mean.
      expect(Math.abs(mean(squares) - variance)).toBeLessThan(tolerance(variance));
    }
  });

  test('when every part underflows one has everything, each as often as the others', () => {
    const random = seededRandom('underflow');
    const winners = [0, 0, 0, 0];
    for (let i = 0; i < 4_000; i++) {
      const vector = dirichlet(random, 1e-9, 4);
      expect([...vector].sort()).toEqual([0, 0, 0, 1]);
      winners[vector.indexOf(1)]! += 1;
    }
    for (const count of winners) expect(Math.abs(count - 1_000)).toBeLessThan(4 * Math.sqrt(4_000 * 0.25 * 0.75));
  });
});

/** By recurrence to large arguments, and the asymptotic series there (Abramowitz and Stegun 6.3.5, 6.3.18). */
function digamma(x: number): number {
  if (x < 10) return digamma(x + 1) - 1 / x;
  return Math.log(x) - 1 / (2 * x) - 1 / (12 * x ** 2) + 1 / (120 * x ** 4) - 1 / (252 * x ** 6);
}

/** Abramowitz and Stegun 6.4.6, 6.4.12. */
function trigamma(x: number): number {
  if (x < 10) return trigamma(x + 1) + 1 / x ** 2;
  return 1 / x + 1 / (2 * x ** 2) + 1 / (6 * x ** 3) - 1 / (30 * x ** 5);
}
