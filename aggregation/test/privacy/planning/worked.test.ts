/** Plans against values that were computed elsewhere: the reference file, closed forms written out here, and sums over all cases. */
import { parsePlanQuestion, planPrivacy, repeatedRounds, shareInputBytes } from '@carapace/aggregation';
import type { PlannedRun, PlanQuestion, Releases } from '@carapace/aggregation';
import { makeSharesWorld } from '@carapace/aggregation/testing';
import { describe, expect, test } from 'vitest';
import { curveOf } from '../../../src/privacy/planning/curve.ts';
import { participationsOf } from '../../../src/privacy/planning/participations.ts';
import { epsilonOf } from '../../../src/privacy/planning/price.ts';
import reference from '../../vectors/dp-reference.json' with { type: 'json' };

const ASKED = { relation: 'zero-out', mode: 'planned' } as const;
const run = (document: Record<string, unknown>): PlannedRun => {
  const { run: planned, warnings } = planPrivacy(parsePlanQuestion(document));
  if (planned === null) throw new Error(JSON.stringify(warnings));
  return planned;
};
const question = (document: Record<string, unknown>): PlanQuestion => parsePlanQuestion(document);
const expectedOf = (id: string): number => reference.entries.find((entry) => entry.id === id)!.expected as number;
const gaussian = (noiseMultiplier: number): Releases => {
  const event = { kind: 'gaussian', noiseMultiplier } as const;
  const charge = { event, totalVariation: 0 };
  return repeatedRounds({ model: charge, server: charge });
};

describe('epsilons', () => {
  test.each([
    ['gauss-eps-s10-T100-d1e-06', 10, 100, 1e-6],
    ['gauss-eps-s1-T10-d1e-05', 1, 10, 1e-5],
    ['gauss-eps-s30-T1000-d1e-08', 30, 1000, 1e-8],
  ])('of Gaussian rounds are those of the reference file: %s', (id, noise, rounds, delta) => {
    const epsilon = epsilonOf({ ...ASKED, delta }, gaussian(noise), 'model', rounds, rounds);
    expect(epsilon / expectedOf(id)).toBeCloseTo(1, 8);
  });

  test('of a tree over all rounds, whose releases are one event', () => {
    const tree: Releases = {
      charges: (_view, rounds) => [
        { event: { kind: 'tree', noiseMultiplier: 1.13, rounds, participations: 1, separation: 0 }, count: 1 },
      ],
      totalVariation: () => 0,
    };
    const asked = question({ cohort: 100, rounds: 1600, delta: 1e-6, noiseMultiplier: '1' });
    const curve = curveOf(asked, tree, 1600, { basis: 'stated', after: () => 1 });
    expect(curve.at(-1).model / expectedOf('tree-eps-z1.13-n1600')).toBeCloseTo(1, 6);
    expect(curve[0]!.model).toBeLessThan(curve.at(-1).model / 3);
  });

  test('of noise that clients share are the Renyi bound of a Gaussian of the same multiplier', () => {
    // The integers are so fine that the law of the noise does not show in six digits.
    for (const [z, rounds, delta] of [
      [2, 20, 1e-6],
      [4.5, 100, 1e-8],
    ] as const) {
      const { epsilon } = run({ cohort: 100, rounds, delta, noiseMultiplier: String(z), parameters: 1000 });
      expect(epsilon.model / gaussianRenyi(rounds / (2 * z * z), delta)).toBeCloseTo(1, 5);
    }
  });

  test('of replaced clients are those of half the noise', () => {
    const settings = { cohort: 100, rounds: 20, parameters: 1000 };
    const replaced = run({ ...settings, noiseMultiplier: '4', relation: 'replace-one' });
    expect(replaced.epsilon.model / run({ ...settings, noiseMultiplier: '2' }).epsilon.model).toBeCloseTo(1, 4);
  });
});

/** Least over the orders of rho a + log(1 - 1/a) - log(a delta) / (a - 1), on a fine grid: Canonne, Kamath and Steinke 2020, proposition 12. */
function gaussianRenyi(rho: number, delta: number): number {
  let best = Infinity;
  for (let order = 1.01; order < 200; order *= 1.0005)
    best = Math.min(best, rho * order + Math.log1p(-1 / order) - Math.log(order * delta) / (order - 1));
  return best;
}

describe('participations', () => {
  test('are predicted so that more than one client in a hundred populations is never above', () => {
    const asked = question({ cohort: 100, population: 1000, rounds: 40, noiseMultiplier: '2' });
    const { basis, after } = participationsOf(asked);
    expect(basis).toBe('predicted');
    const riskOf = (k: number): number => 1000 * tail(40, 0.1, k + 1);
    const most = after(40);
    expect(riskOf(most)).toBeLessThanOrEqual(0.01);
    expect(riskOf(most - 1)).toBeGreaterThan(0.01);
    expect(after(1)).toBe(1);
  });

  test.each([
    ['stated', { participations: 6, population: 1000 }, 6],
    ['every round', {}, 40],
    ['every round', { population: 100 }, 40],
  ])('are %s with %o', (basis, more, most) => {
    const { participations } = run({ cohort: 100, rounds: 40, noiseMultiplier: '5', parameters: 100, ...more });
    expect(participations).toEqual({ basis, most, risk: 0 });
  });
});

/** Every term by itself, from products of ratios: nothing of it is the planner's. */
function tail(trials: number, probability: number, least: number): number {
  let sum = 0;
  for (let k = least; k <= trials; k++) {
    let term = 1;
    for (let i = 1; i <= k; i++) term *= ((trials - k + i) / i) * probability;
    sum += term * (1 - probability) ** (trials - k);
  }
  return sum;
}

describe('the other figures', () => {
  test('quorum odds are the binomial tail', () => {
    const { quorum } = run({ cohort: 30, minimum: 25, rounds: 1, noiseMultiplier: '2', dropout: 0.1, parameters: 10 });
    expect(quorum.probability).toBeCloseTo(tail(30, 0.9, 25), 12);
    expect(quorum.attempts).toBeCloseTo(1 / tail(30, 0.9, 25), 12);
    const coins = run({
      ...{ cohort: 30, population: 100, selection: 'poisson', protection: 'clear' },
      ...{ rounds: 1, noiseMultiplier: '2', dropout: 0.1, parameters: 10 },
    });
    expect(coins.quorum).toMatchObject({ quorum: 0, probability: 1 });
  });

  test('noise over signal is z sqrt(d / (f k))', () => {
    const { signal } = run({
      ...{ cohort: 200, minimum: 150, rounds: 16, dropout: 0.1, colluding: 10 },
      ...{ noiseMultiplier: '1.5', parameters: 1_000_000 },
    });
    const expected = 1.5 * Math.sqrt(1e6 / ((150 - 10) * 180));
    expect(signal.survivors).toBe(180);
    // Rounding widens the sensitivity, and the noise with it, by less than a hundredth.
    expect(signal.noiseToSignal / expected).toBeGreaterThan(1);
    expect(signal.noiseToSignal / expected).toBeLessThan(1.01);
    expect(signal.noiseToSignalOverRun).toBeCloseTo(signal.noiseToSignal / 4, 12);
    expect(signal.deviation * 1000).toBeCloseTo(signal.noiseToSignal, 9);
    // At that cohort they are level indeed.
    const level = run({
      ...{ cohort: signal.levelCohort, minimum: Math.ceil(0.75 * signal.levelCohort), rounds: 16, dropout: 0.1 },
      ...{ colluding: Math.round(0.05 * signal.levelCohort), noiseMultiplier: '1.5', parameters: 1_000_000 },
    });
    expect(level.signal.noiseToSignal).toBeCloseTo(1, 1);
  });

  test.each([
    ['central', 1 / 180],
    ['local', 1 / Math.sqrt(180)],
  ])('%s noise is that much of the longest mean, hidden or in the clear', (placement, perMean) => {
    for (const protection of ['clear', 'secagg', 'shares']) {
      const { signal } = run({
        ...{ cohort: 200, rounds: 16, dropout: 0.1, noiseMultiplier: '1.5', parameters: 10_000 },
        ...{ protection, placement, noise: 'discrete-gaussian', bits: 20 },
      });
      expect(signal.noiseToSignal / (1.5 * 100 * perMean)).toBeGreaterThan(1);
      expect(signal.noiseToSignal / (1.5 * 100 * perMean)).toBeLessThan(1.01);
    }
  });

  test('bytes are those of a message of such a session', () => {
    const dimension = 5_000;
    const { traffic } = run({
      ...{ cohort: 20, rounds: 1, noiseMultiplier: '1', protection: 'shares', bits: 20, parameters: dimension },
    });
    const { session } = makeSharesWorld('plan', 20, {
      values: dimension,
      quantiser: { clip: 1, bits: 20, maxWeight: 1 },
    });
    expect(traffic.upBytes).toBe(shareInputBytes(session));
    expect(traffic).toMatchObject({ lanes: { bits: 20, lanesPerWord: 2, laneBits: 32 }, downBytes: 20_000 });
    expect(traffic.roundUpBytes).toBe(20 * traffic.upBytes);
  });
});
