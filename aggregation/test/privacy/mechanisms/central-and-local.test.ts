import {
  addLocalNoise,
  CentralSum,
  deltaCost,
  describeCentral,
  describeLocal,
  effectiveNoiseMultiplier,
  integerNorms,
  nearestIntegers,
  noisyGradientSum,
  planCentral,
  planLocal,
  releaseCentral,
} from '@carapace/aggregation';
import { parseRational, toNumber } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const ALARM = 6;
const DIMENSION = 4000;
const z = parseRational('0.8');
const central = planCentral({ dimension: DIMENSION, noiseMultiplier: z });
const vectorOf = (k: number, scale: number): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_, i) => scale * Math.cos(i + k));
const varianceOf = (errors: Float64Array): number => errors.reduce((sum, x) => sum + x * x, 0) / errors.length;

describe('central noise', () => {
  test('the released sum is the sum of the clipped contributions with the variance that was promised', () => {
    const sum = new CentralSum(central, 2);
    const exact = new Float64Array(DIMENSION);
    for (let k = 0; k < 10; k++) {
      // Half of them are clipped.
      const values = vectorOf(k, k < 5 ? 0.001 : 1);
      const factor = Math.min(1, 2 / Math.hypot(...values));
      values.forEach((value, i) => (exact[i]! += value * factor));
      sum.add(values);
    }
    const released = sum.release(seededRandom('central'));
    const expected = (0.8 ** 2 * Number(central.l2Squared) * 4) / central.unitsPerClip ** 2;
    expect(expected / (1.6 * 1.6)).toBeCloseTo(1, 2);
    const variance = varianceOf(released.map((value, i) => value - exact[i]!));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(ALARM * Math.sqrt(2 / DIMENSION));
  });

  test('a sum is released once', () => {
    const sum = new CentralSum(central, 1);
    sum.release(seededRandom(1));
    expect(() => sum.release(seededRandom(2))).toThrow(/MECHANISM_RELEASED/);
    expect(() => sum.add(vectorOf(1, 1))).toThrow(/MECHANISM_RELEASED/);
  });

  test('integers depend on no order, and every one of them is as short as was said', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.constantFrom(0, 1e-45, 1e-3, 1, 3e38),
        fc.constantFrom(1e-30, 1e-3, 1, 1e30),
        (dimension, size, clip) => {
          const plan = planCentral({ dimension, noiseMultiplier: z });
          const integers = nearestIntegers(plan, clip, new Float32Array(dimension).fill(size));
          expect(integerNorms(integers).l2Squared <= plan.l2Squared).toBe(true);
        },
      ),
    );
    // The widening is what it must be: the worst vector for rounding is longer than the clip.
    const plan = planCentral({ dimension: 3, noiseMultiplier: z });
    expect(plan.l2Squared > BigInt(plan.unitsPerClip) ** 2n).toBe(true);
  });

  test('contributions that are not finite, or of another length, change nothing', () => {
    const [sum, other] = [new CentralSum(central, 1), new CentralSum(central, 1)];
    for (const bad of [Number.NaN, Infinity]) {
      const values = vectorOf(1, 1);
      values[7] = bad;
      expect(() => sum.add(values)).toThrow(/MECHANISM_NONFINITE/);
    }
    expect(() => sum.add(new Float32Array(3))).toThrow(/VECTOR_LENGTH/);
    sum.add(vectorOf(2, 1));
    other.add(vectorOf(2, 1));
    expect(sum.release(seededRandom('same'))).toEqual(other.release(seededRandom('same')));
  });

  test('sums of something else than integers are not noised', () => {
    expect(() => releaseCentral(central, 1, new Float64Array(DIMENSION).fill(0.5), seededRandom(1))).toThrow(
      /integers/,
    );
    expect(() => releaseCentral(central, 1, new Float64Array(DIMENSION).fill(Number.NaN), seededRandom(1))).toThrow(
      /integers/,
    );
  });

  test('is described for an accountant', () => {
    const description = describeCentral(central);
    expect(description).toMatchObject({ model: 'central', noise: 'discrete-gaussian', floor: 1 });
    expect(effectiveNoiseMultiplier(description)).toBeCloseTo(0.8, 12);
    expect(deltaCost(description, 3)).toBe((1 + Math.exp(3)) * description.totalVariation);
    expect(deltaCost(description, 3)).toBeLessThan(2 ** -110);
  });

  test.each([0, 2 ** 26 + 1, 1.5, Number.NaN])('of %d values is refused', (dimension) => {
    expect(() => planCentral({ dimension, noiseMultiplier: z })).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => planLocal({ dimension, noiseMultiplier: z })).toThrow(/MECHANISM_PARAMETERS/);
  });

  test('with no noise is refused', () => {
    expect(() => planCentral({ dimension: 3, noiseMultiplier: parseRational('0') })).toThrow(/MECHANISM_PARAMETERS/);
  });
});

describe('local noise', () => {
  const plan = planLocal({ dimension: DIMENSION, noiseMultiplier: z });

  test('each release has all of the noise, and is unbiased', () => {
    const update = vectorOf(1, 0.001);
    const released = addLocalNoise(plan, 1, update, seededRandom('local'));
    const errors = Float64Array.from(released, (value, i) => value - update[i]!);
    const expected = (0.64 * Number(plan.l2Squared)) / plan.unitsPerClip ** 2;
    expect(expected / 0.64).toBeLessThan(1.003);
    expect(Math.abs(varianceOf(errors) / expected - 1)).toBeLessThan(ALARM * Math.sqrt(2 / DIMENSION));
    const mean = errors.reduce((sum, x) => sum + x, 0) / DIMENSION;
    expect(Math.abs(mean)).toBeLessThan(ALARM * Math.sqrt(expected / DIMENSION));
  });

  test('is on the lattice of its plan: nothing finer than an integer unit is told', () => {
    const released = addLocalNoise(plan, 1, vectorOf(1, 0.5), seededRandom('lattice'));
    released.forEach((value) => {
      const units = value * plan.unitsPerClip;
      expect(Math.abs(units - Math.round(units))).toBeLessThan(1e-6 * Math.max(1, Math.abs(units)));
    });
  });

  test('refuses what is not finite, and is described', () => {
    const bad = vectorOf(1, 1);
    bad[0] = Number.NaN;
    expect(() => addLocalNoise(plan, 1, bad, seededRandom(1))).toThrow(/MECHANISM_NONFINITE/);
    expect(() => addLocalNoise(plan, 0, vectorOf(1, 1), seededRandom(1))).toThrow(/MECHANISM_PARAMETERS/);
    const description = describeLocal(plan);
    expect(description).toMatchObject({ model: 'local', floor: 1 });
    expect(effectiveNoiseMultiplier(description)).toBeCloseTo(0.8, 12);
  });
});

describe('the gradients of a batch', () => {
  const dimension = 500;
  const plan = planCentral({ dimension, noiseMultiplier: z });

  test('are clipped one by one, summed, and noised', () => {
    const examples = 32;
    const gradients = Float32Array.from(
      { length: examples * dimension },
      (_, i) => Math.sin(i) * (i < 4000 ? 10 : 1e-3),
    );
    const exact = new Float64Array(dimension);
    for (let e = 0; e < examples; e++) {
      const row = gradients.subarray(e * dimension, (e + 1) * dimension);
      const factor = Math.min(1, 1 / Math.hypot(...row));
      row.forEach((value, i) => (exact[i]! += value * factor));
    }
    const errors: number[] = [];
    for (let run = 0; run < 10; run++) {
      noisyGradientSum(plan, 1, gradients, seededRandom(run)).forEach((value, i) => errors.push(value - exact[i]!));
    }
    const expected = (toNumber(plan.variance) / plan.unitsPerClip ** 2) * 1;
    expect(Math.abs(varianceOf(Float64Array.from(errors)) / expected - 1)).toBeLessThan(ALARM * Math.sqrt(2 / 5000));
  });

  test('one example moves the sum by no more than its clip, whatever its gradient', () => {
    const without = noisyGradientSum(plan, 1, new Float32Array(dimension), seededRandom('pair'));
    const example = new Float32Array(dimension).fill(1e30);
    const moved = noisyGradientSum(plan, 1, example, seededRandom('pair')).map((value, i) => value - without[i]!);
    expect(Math.hypot(...moved)).toBeLessThanOrEqual(Math.sqrt(Number(plan.l2Squared)) / plan.unitsPerClip);
    expect(Math.hypot(...moved)).toBeCloseTo(1, 2);
  });

  test('of no examples are noise, and rows that do not fit or are not finite are refused', () => {
    expect(varianceOf(noisyGradientSum(plan, 1, new Float32Array(0), seededRandom(1)))).toBeGreaterThan(0.3);
    expect(() => noisyGradientSum(plan, 1, new Float32Array(dimension + 1), seededRandom(1))).toThrow(/VECTOR_LENGTH/);
    const bad = new Float32Array(2 * dimension);
    bad[dimension + 3] = Number.NaN;
    expect(() => noisyGradientSum(plan, 1, bad, seededRandom(1))).toThrow(/MECHANISM_NONFINITE/);
  });
});
