/** What holds for every budget. The exact engine and the certified one share the pairs and nothing else. */
import { privacyDelta, privacyEpsilon, RELATIONS } from '@carapace/aggregation';
import type { Charge } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { charges, delta, noise, probability, sampledGaussian, steps } from './charges.ts';

const relation = 'add-or-remove';
const relations = fc.constantFrom(...RELATIONS);
/** Bounds come from lattices that differ from query to query: what is monotone of the truth is so of them up to this. */
const JITTER = 1 + 1e-3;

function certified(all: readonly Charge[], of: number): number {
  return privacyEpsilon(all, of, { relation }).value;
}

describe('certified and exact, each the other’s check', () => {
  test('exact <= certified <= exact x 1.001', () => {
    fc.assert(
      fc.property(charges, delta, relations, (all, of, under) => {
        const upper = privacyEpsilon(all, of, { relation: under });
        const exact = privacyEpsilon(all, of, { relation: under, engine: 'exact' });
        // The exact engine says itself how far it got: about a second's work of terms.
        const error = 1e-8 + 2 * exact.errorBound!;
        expect(error).toBeLessThan(1e-3);
        expect(upper.value).toBeGreaterThanOrEqual(exact.value * (1 - error));
        expect(upper.value).toBeLessThanOrEqual(exact.value * (1 + 1e-3 + error) + 2e-6);
      }),
      { numRuns: 60 },
    );
  });

  test('of delta as well, down to 1e-15', () => {
    fc.assert(
      fc.property(probability, noise, steps, fc.double({ min: 4, max: 15, noNaN: true }), (q, z, count, exponent) => {
        const all = [sampledGaussian(Math.min(q, 0.5), z, count)];
        const { value: at, errorBound } = privacyEpsilon(all, 10 ** -exponent, { relation, engine: 'exact' });
        fc.pre(at > 1e-3 && at < 10_000 && errorBound! < 1e-9);
        const upper = privacyDelta(all, at, { relation }).value;
        expect(upper).toBeGreaterThanOrEqual(10 ** -exponent * (1 - 1e-6));
        expect(upper).toBeLessThanOrEqual(10 ** -exponent * (1 + 1.2e-3));
      }),
      { numRuns: 25 },
    );
  });

  test('a tolerance of 1e-5 is kept too', () => {
    const all = [sampledGaussian(0.01, 1, 1000)];
    const exact = privacyEpsilon(all, 1e-5, { relation, engine: 'exact' }).value;
    const { value } = privacyEpsilon(all, 1e-5, { relation, tolerance: 1e-5 });
    expect(value / exact - 1).toBeGreaterThanOrEqual(0);
    expect(value / exact - 1).toBeLessThan(1e-5);
  });
});

describe('monotone', () => {
  const factor = fc.double({ min: 1.05, max: 3, noNaN: true });

  test('falling in noise and in delta, rising in sampling and in steps', () => {
    fc.assert(
      fc.property(probability, noise, steps, delta, factor, (q, z, count, of, more) => {
        const least = certified([sampledGaussian(q, z, count)], of);
        const slack = 2e-6;
        expect(certified([sampledGaussian(q, z * more, count)], of)).toBeLessThanOrEqual(least * JITTER + slack);
        expect(certified([sampledGaussian(q, z, count)], of * more)).toBeLessThanOrEqual(least * JITTER + slack);
        expect(
          certified([sampledGaussian(Math.min(1, q * more), z, count)], of) * JITTER + slack,
        ).toBeGreaterThanOrEqual(least);
        expect(certified([sampledGaussian(q, z, Math.ceil(count * more))], of) * JITTER + slack).toBeGreaterThanOrEqual(
          least,
        );
      }),
      { numRuns: 60 },
    );
  });
});

describe('composition', () => {
  test('order and grouping do not change a bit of the answer', () => {
    fc.assert(
      fc.property(charges, delta, (all, of) => {
        const split = all.flatMap(({ event, count }) =>
          count > 1
            ? [
                { event, count: count - 1 },
                { event, count: 1 },
              ]
            : [{ event, count }],
        );
        expect(certified(split.toReversed(), of)).toBe(certified(all, of));
      }),
      { numRuns: 20 },
    );
  });

  test('a probability of 1 is no sampling', () => {
    fc.assert(
      fc.property(noise, steps, delta, (z, count, of) => {
        const gaussian = { kind: 'gaussian', noiseMultiplier: z } as const;
        const plain = privacyEpsilon([{ event: gaussian, count }], of, { relation, engine: 'exact' }).value;
        const sampled = [{ event: { kind: 'poisson', probability: 1, event: gaussian }, count }] as const;
        expect(privacyEpsilon(sampled, of, { relation, engine: 'exact' }).value / plain).toBeCloseTo(1, 7);
      }),
      { numRuns: 20 },
    );
  });

  test('T Gaussians are one with the noise over the square root of T', () => {
    fc.assert(
      fc.property(noise, steps, delta, (z, count, of) => {
        const many = certified([sampledGaussian(1, 2 * z, count)], of);
        const one = privacyEpsilon([sampledGaussian(1, Math.max(0.02, (2 * z) / Math.sqrt(count)), 1)], of, {
          relation,
        }).value;
        fc.pre((2 * z) / Math.sqrt(count) > 0.02);
        expect(many / one).toBeCloseTo(1, 9);
      }),
      { numRuns: 50 },
    );
  });
});

test('epsilon of delta of epsilon is the same epsilon', () => {
  fc.assert(
    fc.property(probability, noise, steps, delta, (q, z, count, of) => {
      const all = [sampledGaussian(q, z, count)];
      const options = { relation, engine: 'exact' } as const;
      const first = privacyEpsilon(all, of, options).value;
      fc.pre(first > 1e-3 && first < 500);
      const back = privacyDelta(all, first, options).value;
      fc.pre(back > 1e-20);
      expect(privacyEpsilon(all, back, options).value / first).toBeCloseTo(1, 6);
    }),
    { numRuns: 20 },
  );
});

test('bounds by Renyi divergence are bounds, and no event is cheaper under replacement', () => {
  fc.assert(
    fc.property(probability, noise, steps, delta, (q, z, count, of) => {
      const all = [sampledGaussian(q, z, count)];
      const exact = privacyEpsilon(all, of, { relation, engine: 'exact' }).value;
      expect(privacyEpsilon(all, of, { relation, engine: 'rdp' }).value).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
      const replaced = privacyEpsilon(all, of, { relation: 'replace-one', engine: 'exact' }).value;
      expect(replaced).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
    }),
    { numRuns: 60 },
  );
});
