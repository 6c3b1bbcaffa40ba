import {
  bandedStep,
  describeBanded,
  effectiveNoiseMultiplier,
  EMPTY_BAND,
  planBanded,
  toeplitzSquareRoot,
} from '@carapace/aggregation';
import type { BandedPlan, BandedState } from '@carapace/aggregation';
import { parseRational, toNumber } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bandedSquareRoot, toeplitzSensitivitySquared } from '../../../../src/privacy/mechanisms/ftrl/factorisation.ts';

describe('the square root of the prefix sums', () => {
  test('is its root: convolved with itself it is all ones', () => {
    const root = toeplitzSquareRoot(200);
    for (let k = 0; k < 200; k++) {
      let sum = 0;
      for (let j = 0; j <= k; j++) sum += root[j]! * root[k - j]!;
      expect(sum).toBeCloseTo(1, 12);
    }
  });

  // Fichtenberger, Henzinger and Upadhyay 2023; computed.
  test.each([
    [16, 1.943878847157],
    [1024, 3.272554150273],
  ])('has a first column of squared norm of %i steps %d', (steps, expected) => {
    expect(toeplitzSquareRoot(steps).reduce((sum, c) => sum + c * c, 0) / expected).toBeCloseTo(1, 11);
    const exact = toeplitzSensitivitySquared(bandedSquareRoot(steps), steps, { most: 1, apart: 1 });
    expect(Number(exact) / 2 ** 24 / expected).toBeCloseTo(1, 3);
  });
});

describe('the sensitivity', () => {
  /** Over all patterns, with the columns cut off at the last step. */
  function bruteForce(coefficients: Int32Array, steps: number, most: number, apart: number): number {
    let best = 0;
    for (let pattern = 1; pattern < 2 ** steps; pattern++) {
      const at = Array.from({ length: steps }, (_, i) => i).filter((i) => (pattern >> i) & 1);
      if (at.length > most || at.some((step, i) => i > 0 && step - at[i - 1]! < apart)) continue;
      const rows = Array.from({ length: steps }, (_, row) =>
        at.reduce((sum, column) => sum + (row >= column ? (coefficients[row - column] ?? 0) : 0), 0),
      );
      best = Math.max(
        best,
        rows.reduce((sum, x) => sum + x * x, 0),
      );
    }
    return best;
  }

  test('is what going through all patterns gives', () => {
    const rule = fc.record({
      steps: fc.integer({ min: 1, max: 11 }),
      band: fc.integer({ min: 1, max: 11 }),
      most: fc.integer({ min: 1, max: 5 }),
      apart: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(rule, ({ steps, band, most, apart }) => {
        const coefficients = bandedSquareRoot(Math.min(band, steps));
        const found = toeplitzSensitivitySquared(coefficients, steps, { most, apart });
        expect(Number(found)).toBe(bruteForce(coefficients, steps, most, apart));
      }),
      { numRuns: 120 },
    );
  });

  test('of a band no wider than the distance is the number of participations times one column', () => {
    // pfl-research and Choquette-Choo et al. 2023: sqrt(50) for 50 participations 40 apart in 2000 steps.
    const coefficients = bandedSquareRoot(40);
    const column = coefficients.reduce((sum, c) => sum + BigInt(c) ** 2n, 0n);
    expect(toeplitzSensitivitySquared(coefficients, 2000, { most: 50, apart: 40 })).toBe(50n * column);
  });
});

describe('the steps of a band', () => {
  const dimension = 1500;
  const settings = {
    dimension,
    steps: 24,
    band: 6,
    participation: { most: 2, apart: 8 },
    noiseMultiplier: parseRational('1.5'),
  };

  function run(plan: BandedPlan, sumAt: (t: number) => number, seed: string): Float64Array[] {
    const random = seededRandom(seed);
    let state: BandedState = EMPTY_BAND;
    return Array.from({ length: plan.steps }, (_, t) => {
      const step = bandedStep(plan, state, new Float64Array(dimension).fill(sumAt(t)), random);
      state = step.state;
      expect(state.sums.length).toBeLessThanOrEqual(Math.max(0, plan.coefficients.length - 1));
      return step.released;
    });
  }

  test('sums come through: what is released is they and noise that does not depend on them', () => {
    const plan = planBanded(settings);
    const [bare, full] = [run(plan, () => 0, 'same'), run(plan, (t) => 5000 - 77 * t, 'same')];
    full.forEach((released, t) => {
      released.forEach((value, i) => expect(Math.abs(value - bare[t]![i]! - (5000 - 77 * t))).toBeLessThan(1e-6));
    });
  });

  test.each([1, 6, 24])('with a band of %i the noise of prefix sums is that of the inverse', (band) => {
    const plan = planBanded({ ...settings, band });
    const coefficients = Float64Array.from(plan.coefficients, (c) => c / 2 ** 12);
    // Row t of A C^-1 is the prefix sums of the inverse's coefficients.
    const inverse: number[] = [];
    for (let t = 0; t < plan.steps; t++) {
      let value = t === 0 ? 1 : 0;
      for (let j = 1; j <= t; j++) value -= (coefficients[j] ?? 0) * inverse[t - j]!;
      inverse.push(value);
    }
    const prefix = new Float64Array(dimension);
    const sigma = toNumber(plan.row.variance) / 2 ** 24;
    let [row, expected] = [0, 0];
    const rows: number[] = [];
    run(plan, () => 0, `prefix/${band}`).forEach((released, t) => {
      released.forEach((value, i) => (prefix[i]! += value));
      row += inverse[t]!;
      rows.push(row);
      expected = rows.reduce((sum, x) => sum + x * x, 0) * sigma;
      const variance = prefix.reduce((sum, x) => sum + x * x, 0) / dimension;
      expect(Math.abs(variance / expected - 1)).toBeLessThan(6 * Math.sqrt(2 / dimension));
    });
  });

  test('noise cancels: the last prefix has less of it than independent noise of the same privacy', () => {
    const long = { ...settings, dimension: 3000, steps: 128, participation: { most: 1, apart: 1 } };
    const last = (band: number): number => {
      const plan = planBanded({ ...long, band });
      const prefix = new Float64Array(3000);
      const random = seededRandom(`cancels/${band}`);
      let state: BandedState = EMPTY_BAND;
      for (let t = 0; t < 128; t++) {
        const step = bandedStep(plan, state, new Float64Array(3000), random);
        state = step.state;
        step.released.forEach((value, i) => (prefix[i]! += value));
      }
      const variance = prefix.reduce((sum, x) => sum + x * x, 0) / 3000 / toNumber(plan.row.variance);
      return variance * 2 ** 24 * (Number(plan.sensitivitySquared) / 2 ** 24);
    };
    // In units of the privacy: 128 for independent noise, some 2.6^2 for the whole square root.
    expect(last(1)).toBeGreaterThan(100);
    expect(last(128)).toBeLessThan(9);
  });

  test('rows are integers: the noise is on the lattice of C x, whatever the sums', () => {
    const plan = planBanded(settings);
    const random = seededRandom('lattice');
    const first = bandedStep(plan, EMPTY_BAND, new Float64Array(dimension).fill(7), random);
    first.released.forEach((value) => expect(Number.isInteger(value * 2 ** 12)).toBe(true));
    const second = bandedStep(plan, first.state, new Float64Array(dimension).fill(9), random);
    second.released.forEach((value, i) => {
      const row = value * plan.coefficients[0]! + plan.coefficients[1]! * first.released[i]!;
      expect(Number.isInteger(row)).toBe(true);
    });
  });

  test('is one release with the sensitivity of all rows', () => {
    const plan = planBanded(settings);
    const description = describeBanded(plan);
    const expected = 1.5 / Math.sqrt(Number(plan.sensitivitySquared) / 2 ** 24);
    expect(effectiveNoiseMultiplier(description)).toBeCloseTo(expected, 12);
    expect(description.parts[0]!.dimension).toBe(24 * dimension);
  });

  test('refuses sums of other lengths, of no integers, too large, and more steps than were planned', () => {
    const plan = planBanded({ ...settings, steps: 6 });
    const step = (sum: Float64Array, state: BandedState = EMPTY_BAND) => bandedStep(plan, state, sum, seededRandom(1));
    expect(() => step(new Float64Array(2))).toThrow(/VECTOR_LENGTH/);
    expect(() => step(new Float64Array(dimension).fill(0.1))).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => step(new Float64Array(dimension).fill(2 ** 45))).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => step(new Float64Array(dimension), { ...EMPTY_BAND, step: 6 })).toThrow(/MECHANISM_RELEASED/);
    for (const band of [0, 7, 1.5])
      expect(() => planBanded({ ...settings, steps: 6, band })).toThrow(/MECHANISM_PARAMETERS/);
  });
});
