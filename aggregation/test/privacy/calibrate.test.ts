import { AggregationError, calibrate, privacyEpsilon } from '@carapace/aggregation';
import type { Calibrated, Charge, PrivacyEngine } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { sampledGaussian } from './charges.ts';

const relation = 'add-or-remove';

function noiseFor(q: number, count: number, epsilon: number, delta: number): Calibrated {
  const chargesAt = (z: number): readonly Charge[] => [sampledGaussian(q, z, count)];
  return calibrate({ relation, epsilon, delta, chargesAt, protects: 'more', low: 0.02, high: 1e4 });
}

describe('noise', () => {
  test.each([
    [0.029411764705882353, 1500, 10, 1 / 3400, 0.7912875091],
    [0.004266666666666667, 14040, 1, 1e-5, 2.023476582],
    [0.04, 2000, 8, 1e-5, 1.289967807],
    [0.001, 1500, 2, 1e-6, 0.6161447589],
    [1, 1000, 2, 1e-8, 83.89291052686],
  ])('q %f, %i steps, epsilon %f, delta %f', (q, count, epsilon, delta, least) => {
    const { value, answer } = noiseFor(q, count, epsilon, delta);
    expect(value).toBeGreaterThanOrEqual(least * (1 - 1e-9));
    expect(value).toBeLessThan(least * (1 + 1e-3));
    expect(answer).toEqual(privacyEpsilon([sampledGaussian(q, value, count)], delta, { relation }));
    expect(answer.value).toBeLessThanOrEqual(epsilon);
  });
});

describe('rounds', () => {
  const mostRounds = (engine: PrivacyEngine, tolerance: number): number => {
    const chargesAt = (count: number): readonly Charge[] => [sampledGaussian(0.005, 1, count)];
    const search = { chargesAt, protects: 'less', low: 1, high: 1e6, whole: true } as const;
    return calibrate({ relation, engine, tolerance, epsilon: 2, delta: 1e-6, ...search }).value;
  };

  test('4112 are allowed, 4113 are not', () => {
    expect(mostRounds('exact', 1e-3)).toBe(4112);
    expect(mostRounds('certified', 1e-6)).toBe(4112);
  });

  test('the certified engine gives none away that is not safe', () => {
    const rounds = mostRounds('certified', 1e-3);
    expect(rounds).toBeLessThanOrEqual(4112);
    expect(rounds).toBeGreaterThan(4112 * 0.995);
  });
});

test('the sampling probability, rounded down', () => {
  const chargesAt = (q: number): readonly Charge[] => [sampledGaussian(q, 1, 1000)];
  const target = { relation, epsilon: 1, delta: 1e-6, chargesAt, protects: 'less', low: 1e-6, high: 1 } as const;
  const { value, answer } = calibrate(target);
  expect(answer.value).toBeLessThanOrEqual(1);
  expect(answer.value).toBeGreaterThan(0.998);
  expect(Number(value.toPrecision(6))).toBe(value);
});

test('what cannot be met says what the best value reaches', () => {
  const chargesAt = (z: number): readonly Charge[] => [sampledGaussian(1, z, 1000)];
  const search = { chargesAt, protects: 'more', low: 0.1, high: 10 } as const;
  expect(() => calibrate({ relation, epsilon: 0.1, delta: 1e-6, ...search })).toThrow(AggregationError);
  expect(() => calibrate({ relation, epsilon: 0.1, delta: 1e-6, ...search })).toThrow(
    /PRIVACY_TARGET_UNREACHABLE.*10 gives/,
  );
});

test('a target that the least value meets gives that value', () => {
  const chargesAt = (z: number): readonly Charge[] => [sampledGaussian(1e-3, z, 1)];
  const search = { chargesAt, protects: 'more', low: 5, high: 10 } as const;
  expect(calibrate({ relation, epsilon: 3, delta: 1e-3, ...search }).value).toBe(5);
});
