import { AggregationError, calibrate, parseCharges, privacyDelta, privacyEpsilon } from '@carapace/aggregation';
import type { Charge, PrivacyEngine, PrivacyEvent, Relation } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { sampledGaussian } from './charges.ts';

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(AggregationError);
    expect((error as AggregationError).message.length).toBeGreaterThan(30);
    return (error as AggregationError).code;
  }
  return 'nothing';
}

const relation = 'add-or-remove';
const gaussian = (noiseMultiplier: number): readonly Charge[] => [sampledGaussian(1, noiseMultiplier, 1)];

describe('parameters that are no numbers, negative or absurd', () => {
  test.each([Number.NaN, Infinity, -Infinity, -1, 0, 1e-300, 1e300])('noise %f', (z) => {
    expect(codeOf(() => privacyEpsilon(gaussian(z), 1e-5, { relation }))).toBe('PRIVACY_EVENT_INVALID');
  });

  test.each([Number.NaN, Infinity, -0.1, 0, 1.0001, 1e-300])('probability %f', (q) => {
    expect(codeOf(() => privacyEpsilon([sampledGaussian(q, 1, 1)], 1e-5, { relation }))).toBe('PRIVACY_EVENT_INVALID');
  });

  test.each([Number.NaN, Infinity, -10, 0, 1.5, 1e18])('count %f', (count) => {
    expect(codeOf(() => privacyEpsilon([sampledGaussian(0.1, 1, count)], 1e-5, { relation }))).toBe(
      'PRIVACY_EVENT_INVALID',
    );
  });

  test.each([Number.NaN, Infinity, -1e-5, 0, 1, 2, 1e-300])('delta %f', (delta) => {
    expect(codeOf(() => privacyEpsilon(gaussian(1), delta, { relation }))).toBe('PRIVACY_QUERY_INVALID');
  });

  test.each([Number.NaN, Infinity, -1, 1e9])('epsilon %f', (epsilon) => {
    expect(codeOf(() => privacyDelta(gaussian(1), epsilon, { relation }))).toBe('PRIVACY_QUERY_INVALID');
  });

  test.each([Number.NaN, Infinity, -1, 0])('target %f', (epsilon) => {
    const chargesAt = (z: number): readonly Charge[] => gaussian(z);
    const search = { chargesAt, protects: 'more', low: 0.1, high: 10 } as const;
    expect(codeOf(() => calibrate({ ...search, relation, epsilon, delta: 1e-5 }))).toBe('PRIVACY_QUERY_INVALID');
  });

  test('counts that add up to more than is allowed', () => {
    const twice = [sampledGaussian(0.1, 1, 1e9), sampledGaussian(0.1, 1, 1)];
    expect(codeOf(() => privacyEpsilon(twice, 1e-5, { relation }))).toBe('PRIVACY_EVENT_INVALID');
  });
});

describe('documents', () => {
  test.each([
    [{}],
    [[{ kind: 'gauss', noiseMultiplier: 1 }]],
    [[{ kind: 'gaussian' }]],
    [[{ kind: 'gaussian', noiseMultiplier: '1', extra: 1 }]],
    [[{ kind: 'gaussian', noiseMultiplier: '0x10' }]],
    [[{ kind: 'gaussian', noiseMultiplier: 'NaN' }]],
    [[{ event: { kind: 'gaussian', noiseMultiplier: 1 }, count: '1e3', more: 1 }]],
    [[{ kind: 'poisson', probability: '0.1', event: { kind: 'tree', noiseMultiplier: 1, rounds: 4 } }]],
    [[{ kind: 'mixture-of-gaussians', deviation: 1, sensitivities: [0, 1], probabilities: [0.5, 0.6] }]],
    [[{ kind: 'mixture-of-gaussians', deviation: 1, sensitivities: [0, -1], probabilities: [0.5, 0.5] }]],
    [[{ kind: 'without-replacement', population: 10, sample: 11, noiseMultiplier: 1 }]],
    [[null]],
    ['events'],
  ])('%j', (document) => {
    expect(codeOf(() => parseCharges(document))).toBe('PRIVACY_EVENT_INVALID');
  });

  test('decimal strings and numbers are the same', () => {
    expect(parseCharges([{ event: { kind: 'gaussian', noiseMultiplier: '1.25e0' }, count: '12' }])).toEqual(
      parseCharges([{ event: { kind: 'gaussian', noiseMultiplier: 1.25 }, count: 12 }]),
    );
  });
});

describe('what no bound is known for is refused, alone and among others', () => {
  const events: Readonly<Record<string, PrivacyEvent>> = {
    vector: { kind: 'skellam-vector', scale: 100, deviation: 2, l1: 10, l2: 1 },
    cohort: { kind: 'without-replacement', population: 1000, sample: 10, noiseMultiplier: 2 },
    answer: { kind: 'randomised-response', noise: 0.5, buckets: 3 },
    group: { kind: 'mixture-of-gaussians', deviation: 1, sensitivities: [0, 1], probabilities: [0.5, 0.5] },
    skellam: { kind: 'skellam', variance: 10, sensitivity: 1 },
    box: { kind: 'epsilon-delta', epsilon: 1, delta: 1e-9 },
  };
  test.each<[string, Relation, PrivacyEngine]>([
    ['vector', 'add-or-remove', 'exact'],
    ['vector', 'add-or-remove', 'zcdp'],
    ['cohort', 'add-or-remove', 'certified'],
    ['answer', 'add-or-remove', 'certified'],
    ['group', 'replace-one', 'certified'],
    ['skellam', 'zero-out', 'zcdp'],
    ['box', 'zero-out', 'zcdp'],
  ])('%s under %s by %s', (name, under, engine) => {
    const charge = { event: events[name]!, count: 1 };
    const ask = (all: readonly Charge[]) => () => privacyEpsilon(all, 1e-5, { relation: under, engine });
    expect(codeOf(ask([charge]))).toBe('PRIVACY_EVENT_UNSUPPORTED');
    expect(codeOf(ask([sampledGaussian(1, 1, 1), charge]))).toBe('PRIVACY_EVENT_UNSUPPORTED');
    expect(() => ask([charge])()).toThrow(new RegExp(`${events[name]!.kind} under ${under}`));
  });

  test('an event without a pair is bounded by its Renyi curve in the certified engine', () => {
    const all = [{ event: events['vector']!, count: 10 }, sampledGaussian(0.1, 2, 10)];
    const answer = privacyEpsilon(all, 1e-5, { relation });
    expect(answer).toMatchObject({ engine: 'certified', method: 'Renyi divergence' });
    expect(answer.value).toBe(privacyEpsilon(all, 1e-5, { relation, engine: 'rdp' }).value);
  });
});
