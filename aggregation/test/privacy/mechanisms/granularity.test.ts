import { DEFAULT_BETA, granularity, planDistributed, roundedNormSquared, wrapBound } from '@carapace/aggregation';
import type { DistributedSettings } from '@carapace/aggregation';
import { discreteGaussian, parseRational, skellam, toNumber } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wrapProbability } from '../../../src/privacy/mechanisms/granularity.ts';

describe('the step in closed form', () => {
  // Found by the search of google-research/federated distributed_dp (a5af8c4) for EMNIST: C = 0.03, d = 2^20, n = 100; its distributed
  // discrete Gaussian takes 4 deviations (local ones given), its Skellam 3 (central ones given; the scale is the reciprocal). It searches
  // for noise and step in turn, and stops when they agree to a millionth.
  test.each([
    ['discrete Gaussian', 12, 4, 100 * 0.005994043944577806 ** 2, 0.00011721651386385667],
    ['discrete Gaussian', 14, 4, 100 * 0.0027477322861228022 ** 2, 1.349275058392283e-5],
    ['discrete Gaussian', 16, 4, 100 * 0.0026813299255916984 ** 2, 3.292593044721045e-6],
    ['Skellam', 12, 3, 0.036184780352607984 ** 2, 1 / 18804.08804167961],
    ['Skellam', 14, 3, 0.02716209875991465 ** 2, 1 / 99952.39238797533],
    ['Skellam', 18, 3, 0.02677127737400104 ** 2, 1 / 1622313.958304532],
  ])('of %s noise in %i bits is what the search of the anchor found', (_, bits, deviations, constant, expected) => {
    const spread = { clients: 100, clip: 0.03, width: 2 ** 20, bits, deviations };
    expect(granularity(spread, { constant, linear: 0, quadratic: 0 })! / expected).toBeCloseTo(1, 5);
  });

  test('solves its equation, and there is none where it says so', () => {
    const settings = fc.record({
      clients: fc.integer({ min: 1, max: 10_000 }),
      clip: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      width: fc.constantFrom(1, 64, 2 ** 20),
      bits: fc.integer({ min: 1, max: 32 }),
      deviations: fc.double({ min: 3, max: 10, noNaN: true }),
    });
    const noise = fc.record({
      constant: fc.double({ min: 1e-6, max: 1e3, noNaN: true }),
      linear: fc.double({ min: 0, max: 1e3, noNaN: true }),
      quadratic: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    fc.assert(
      fc.property(settings, noise, (spread, variance) => {
        const step = granularity(spread, variance);
        const covered = (gamma: number): number => {
          const { constant, linear, quadratic } = variance;
          const signal = (spread.clip * spread.clients) ** 2 / spread.width + (spread.clients * gamma ** 2) / 4;
          const all = signal + constant + linear * gamma + quadratic * gamma ** 2;
          return (2 ** spread.bits * gamma) / (2 * spread.deviations * Math.sqrt(all));
        };
        if (step === undefined) expect(covered(1e12)).toBeLessThan(1.0001);
        else expect(covered(step)).toBeCloseTo(1, 6);
      }),
    );
  });
});

const settings: DistributedSettings = {
  noise: 'skellam',
  dimension: 100_000,
  clients: 100,
  floor: 70,
  noiseMultiplier: parseRational('1'),
  bits: 16,
};

describe('a plan', () => {
  test('covers the deviations that were asked for, with the noise that follows from its own sensitivity', () => {
    for (const beta of [0, 0.3, DEFAULT_BETA]) {
      for (const deviations of [3, 4, 5]) {
        // Few enough bits that resolution is bounded by them.
        const plan = planDistributed({ ...settings, bits: 15, beta, deviations });
        const local = toNumber(plan.localVariance);
        const variance = (100 * plan.unitsPerClip) ** 2 / 65_536 + 100 / 4 + 100 * local;
        expect(2 ** 14 / Math.sqrt(variance) / deviations).toBeCloseTo(1, 3);
        expect(Math.sqrt(70 * local) / Math.sqrt(Number(plan.l2Squared))).toBeCloseTo(1, 12);
        const bound = roundedNormSquared(plan.unitsPerClip, 100_000, beta);
        expect(Number(plan.l2Squared)).toBe(Math.floor(bound));
      }
    }
  });

  test('of more bits is finer, until finer is no better', () => {
    const units = [14, 16, 18, 20, 24, 32].map((bits) => planDistributed({ ...settings, bits }).unitsPerClip);
    expect(units.every((value, i) => i === 0 || value >= units[i - 1]!)).toBe(true);
    expect(units.at(-1)).toBe(units.at(-2));
    const finest = planDistributed({ ...settings, bits: 32 });
    expect(Math.sqrt(Number(finest.l2Squared)) / finest.unitsPerClip).toBeLessThan(1.001);
  });

  test.each([
    ['few bits', { bits: 6 }, /MECHANISM_MODULUS/],
    ['a cohort too large for the bits', { clients: 2 ** 24 }, /MECHANISM_MODULUS/],
    ['fewer than three deviations', { deviations: 2 }, /MECHANISM_MODULUS: 2 deviations/],
    ['a floor above the cohort', { floor: 101 }, /MECHANISM_PARAMETERS/],
    ['no floor', { floor: 0 }, /MECHANISM_PARAMETERS/],
    ['no noise', { noiseMultiplier: parseRational('0') }, /MECHANISM_PARAMETERS/],
    ['33 bits', { bits: 33 }, /MECHANISM_PARAMETERS/],
    ['half a value', { dimension: 0.5 }, /MECHANISM_PARAMETERS/],
    ['a beta of 1', { beta: 1 }, /MECHANISM_PARAMETERS/],
    ['Skellam noise too wide to sample', { bits: 32, noiseMultiplier: parseRational('1000') }, /MECHANISM_PARAMETERS/],
  ] as const)('with %s is refused', (_, change, code) => {
    expect(() => planDistributed({ ...settings, ...change })).toThrow(code);
  });

  test('of narrow shares of discrete Gaussian noise is refused: their sums are no discrete Gaussian', () => {
    const narrow = { ...settings, dimension: 10, clients: 10_000, floor: 10_000, bits: 16 };
    expect(() => planDistributed({ ...narrow, noise: 'discrete-gaussian' })).toThrow(/take more bits, or Skellam/);
    expect(toNumber(planDistributed(narrow).localVariance)).toBeLessThan(4);
  });
});

describe('wrapping', () => {
  test('happens no more often than is said', () => {
    const draws = 1 << 20;
    for (const noise of [
      skellam(parseRational('2')),
      skellam(parseRational('400')),
      discreteGaussian(parseRational('400')),
    ]) {
      const values = new Int32Array(draws);
      noise.addTo(values, seededRandom('wraps'));
      const variance = toNumber(noise.parameter);
      for (const deviations of [1.5, 3, 4]) {
        const limit = deviations * Math.sqrt(variance);
        const outside = values.reduce((count, x) => count + (Math.abs(x) >= limit ? 1 : 0), 0);
        const kind = noise.kind === 'skellam' ? 'skellam' : 'discrete-gaussian';
        const bound = wrapProbability(limit, 0, { kind, variance });
        expect(outside / draws).toBeLessThan(bound);
        expect(bound).toBeLessThan(2.1 * Math.exp(-(deviations ** 2) / (2 + (kind === 'skellam' ? 2 : 0))));
      }
    }
  });

  test('of a plan of four deviations is one in a thousand at most', () => {
    const bound = wrapBound(planDistributed(settings));
    expect(bound).toBeLessThan(1e-3);
    expect(bound).toBeGreaterThan(1e-5);
    expect(wrapBound(planDistributed({ ...settings, noise: 'discrete-gaussian', bits: 24 }))).toBeLessThan(1e-12);
  });
});
