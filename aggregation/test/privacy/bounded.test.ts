/**
 * Inputs that once made an engine wrong, or made it not end. Random draws found them; the values beside them are from elsewhere: sums over all
 * atoms in 64-bit arithmetic with compensation, or the least that one atom alone forces.
 */
import { privacyDelta, privacyEpsilon } from '@carapace/aggregation';
import type { Charge, PrivacyEvent } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { cumulant } from '../../src/privacy/contour/cumulant.ts';
import { dominatingPairs } from '../../src/privacy/pairs/dominating.ts';
import { deltaAt } from '../../src/privacy/pld/bound.ts';
import { layerFor } from '../../src/privacy/pld/layer.ts';
import { sampledGaussian } from './charges.ts';

const relation = 'add-or-remove';
const gaussian = { kind: 'gaussian', noiseMultiplier: 1 } as const;
const laplace = { kind: 'laplace', scale: 1 } as const;
const discreteLaplace = { kind: 'discrete-laplace', scale: 1, sensitivity: 1 } as const;

function once(...events: readonly PrivacyEvent[]): readonly Charge[] {
  return events.map((event) => ({ event, count: 1 }));
}

describe('next to the highest loss', () => {
  test('a bound that overflows proves nothing: 1.9975 was said where 2 - 4.6e-8 is the truth', () => {
    // Both losses are 1 with the probability (1 - tail) / 2 = 1/2 and e / (1 + e): delta = 0.3655 (1 - e^{epsilon - 2}) there.
    const both = (0.5 * Math.E) / (1 + Math.E);
    const truth = 2 + Math.log1p(-1.68529e-8 / both);
    const { value, errorBound } = privacyEpsilon(once(laplace, discreteLaplace), 1.68529e-8, { relation });
    expect(value).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
    expect(value).toBeLessThan(truth * (1 + 1e-6));
    expect(errorBound).toBeLessThan(1e-3);
  });

  test('a delta that is no number counts as 1', () => {
    expect(deltaAt({ layers: [], infinite: NaN, gap: 0, isFinest: true, tilt: 1 }, 1)).toBe(1);
    expect(deltaAt({ layers: [], infinite: 0.25, gap: 0, isFinest: true, tilt: 1 }, 1)).toBe(0.25);
  });
});

describe('among atoms the exact engine settles only when the rest has ended', () => {
  test('a Gaussian and 20,000 discrete Laplace (7e-8 too high, said to have no error)', () => {
    const charges = [...once(gaussian), { event: discreteLaplace, count: 20_000 }];
    // delta there is 9.99999915e-5, the sum over 3,000 binomial atoms of the Gaussian's.
    const { value, errorBound } = privacyEpsilon(charges, 1e-4, { relation, engine: 'exact' });
    expect(Math.abs(value / 9706.2908208 - 1)).toBeLessThan(1e-9 + errorBound!);
    expect(privacyEpsilon(charges, 1e-4, { relation }).value).toBeGreaterThanOrEqual(9706.29082);
  });

  test('a kink of nearly all mass below the answer (1.0002 with an error of 4e-11, for 1.00366)', () => {
    const rare: PrivacyEvent = {
      kind: 'truncated-poisson',
      population: 59_511,
      probability: 0.1,
      cap: 1,
      noiseMultiplier: 2,
    };
    const charges = once(rare, { kind: 'epsilon-delta', epsilon: 1, delta: 0 });
    const exact = privacyEpsilon(charges, 1e-12, { relation, engine: 'exact' });
    const certified = privacyEpsilon(charges, 1e-12, { relation });
    expect(certified.value / exact.value).toBeGreaterThanOrEqual(1 - 2 * exact.errorBound!);
    expect(certified.value / exact.value).toBeLessThan(1.001);
    // By the two values that the other step can have, from its closed form.
    const single = (epsilon: number): number => privacyDelta(once(rare), epsilon, { relation }).value;
    const share = 1 / (1 + Math.exp(-1));
    expect((share * single(exact.value - 1) + (1 - share) * single(exact.value + 1)) / 1e-12).toBeCloseTo(1, 2);
  });
});

describe('losses in the thousands', () => {
  const harsh = sampledGaussian(2.26832e-6, 0.02, 1);

  test('cumulants are numbers: e^{sL} is not formed without the mass that makes it small', () => {
    const { remove } = dominatingPairs(harsh.event, 'zero-out')!;
    for (let s = 1e-4; s < 100; s *= 1.5) expect(cumulant(remove, s).value).toBeGreaterThan(0);
  });

  test('the lattice ended never: its size was no number', () => {
    const charges = [...once(gaussian, gaussian), harsh];
    const { value } = privacyDelta(charges, 1, { relation: 'zero-out' });
    // The rare step adds little to two Gaussians, which are one of mu = sqrt 2.
    const { value: two } = privacyDelta(once(gaussian, gaussian), 1, { relation: 'zero-out' });
    expect(value / two).toBeGreaterThanOrEqual(1);
    expect(value / two).toBeLessThan(1.001);
  });

  test('a plan that is no number ends with a bound that proves nothing', () => {
    const { remove } = dominatingPairs(gaussian, 'zero-out')!;
    const composition = [{ key: 'a plan that is none', pair: remove, count: 2 }];
    const value = { value: NaN, mean: NaN, variance: NaN };
    const saddle = { step: 0, tilt: 1, cumulant: value, epsilon: NaN, logDelta: NaN };
    const plan = { saddle, relevance: NaN, around: NaN, curvature: NaN };
    const layer = layerFor(composition, { epsilon: 1, delta: 1e-6, slope: 0, aim: 0.1 }, plan, 1);
    expect(layer.isFinest).toBe(true);
  });
});

test('a lattice too fine for its cells ends, and says how far it is off', () => {
  const charges = [...once({ kind: 'laplace', scale: 30 }), sampledGaussian(1e-4, 1, 1)];
  const { value, errorBound } = privacyEpsilon(charges, 3.57985e-12, { relation });
  expect(value).toBeGreaterThanOrEqual(0.055435);
  expect(value).toBeLessThan(0.05543581 * 1.001);
  expect(errorBound).toBeLessThan(1e-3);
});
