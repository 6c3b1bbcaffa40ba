/** Noise of a task inside the secure sum: as much as was promised with whoever survives, and charged at what is worst. */
import {
  effectiveNoiseMultiplier,
  describeDistributed,
  eventOf,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  openNoisyMean,
  parseTask,
  planOfTask,
  privacyEpsilon,
  sharesContextOf,
  sharesLanesOf,
} from '@carapace/aggregation';
import type { Task, UserPrivacy } from '@carapace/aggregation';
import { makeSharesWorld, runShares } from '@carapace/aggregation/testing';
import { systemRandom } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const PRIVACY: UserPrivacy = {
  placement: 'distributed',
  noise: 'skellam',
  noiseMultiplier: '1.5',
  clip: 0.5,
  colluding: 0,
  budgets: [],
};

function taskWith(
  privacy: Record<string, unknown>,
  cohort: Record<string, unknown> = { target: 20, minimum: 14 },
): Task {
  return parseTask({
    name: 'private',
    model: { name: 'm' },
    cohort,
    protection: { kind: 'secagg', privacy: { noiseMultiplier: '1.5', clip: 0.5, budgets: ['b'], ...privacy } },
  });
}

describe('the noise on the decoded mean', () => {
  const [clients, minimumSurvivors, dimension] = [20, 14, 4_000];
  const bits = 20;

  test.each([
    ['nobody', 20],
    ['a tenth', 18],
    ['nearly a third', 14],
  ])('with %s dropping out is at least what was promised, and as much as %i shares are', (_, survivors) => {
    const plan = noisePlan({ bits }, PRIVACY, { clients, minimumSurvivors }, dimension);
    const world = makeSharesWorld(`noise/${survivors}`, clients, {
      values: dimension,
      quantiser: noisyQuantiser({ bits }, PRIVACY),
      minimumSurvivors,
    });
    const context = sharesContextOf(world.session);
    const format = sharesLanesOf(world.session);
    const updates = world.people.map((_person, member) =>
      Float32Array.from({ length: dimension }, (_value, i) => (i % 20 === member ? 0.02 : 0)),
    );
    const present = Array.from({ length: survivors }, (_value, member) => member);
    let squares = 0;
    const rounds = 8;
    for (let round = 0; round < rounds; round++) {
      const lanes = updates.map((update) => noisyLanes(plan, PRIVACY, context, update, format, systemRandom));
      const { sums } = runShares(world, lanes, present);
      const mean = openNoisyMean(plan, PRIVACY, context, sums!, survivors, format)!;
      for (let i = 0; i < dimension; i++) {
        const plain = present.reduce((sum, member) => sum + updates[member]![i]!, 0) / survivors;
        squares += ((mean[i]! - plain) * survivors) ** 2;
      }
    }
    const variance = squares / (rounds * dimension);
    const sensitivity = (Math.sqrt(Number(plan.l2Squared)) / plan.unitsPerClip) * PRIVACY.clip;
    const promised = (1.5 * sensitivity) ** 2;
    const expected = (promised * survivors) / minimumSurvivors;
    // The mean of 32,000 squares deviates by 0.8 %; six of that is one false alarm in 10^9, and rounding adds a thousandth.
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.05);
    expect(variance).toBeGreaterThan(promised * 0.95);
  });

  test('a sum that does not count its clients is not opened', () => {
    const plan = noisePlan({ bits }, PRIVACY, { clients, minimumSurvivors }, 10);
    const world = makeSharesWorld('count', clients, { values: 10, quantiser: noisyQuantiser({ bits }, PRIVACY) });
    const [context, format] = [sharesContextOf(world.session), sharesLanesOf(world.session)];
    const sums = new Uint32Array(11);
    sums[10] = 15;
    expect(openNoisyMean(plan, PRIVACY, context, sums, 14, format)).toBeUndefined();
    expect(openNoisyMean(plan, PRIVACY, context, sums, 15, format)).toHaveLength(10);
  });
});

describe('what a round is charged', () => {
  test('is no less than any session of the task costs', () => {
    const cases = fc.record({
      target: fc.integer({ min: 4, max: 60 }),
      over: fc.constantFrom(1, 1.3, 2),
      colluding: fc.integer({ min: 0, max: 2 }),
      noise: fc.constantFrom('skellam' as const, 'discrete-gaussian' as const),
      dimension: fc.integer({ min: 10, max: 20_000 }),
      cohort: fc.double({ min: 0, max: 1, noNaN: true }),
      quorum: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(cases, ({ target, over, colluding, noise, dimension, cohort, quorum }) => {
        const minimum = Math.max(3, Math.ceil(target / 2));
        const task = taskWith({ noise, colluding }, { target, minimum, overSelection: over });
        const { protection } = task;
        if (protection.kind !== 'secagg') throw new Error('the task is secure');
        const worst = planOfTask(task, dimension)!;
        const clients = minimum + Math.round(cohort * (worst.clients - minimum));
        const minimumSurvivors = minimum + Math.round(quorum * (clients - minimum));
        const plan = noisePlan(protection, protection.privacy!, { clients, minimumSurvivors }, dimension);
        const epsilon = (of: typeof plan): number =>
          privacyEpsilon([{ event: eventOf(of), count: 10 }], 1e-6, { relation: 'zero-out' }).value;
        expect(epsilon(plan)).toBeLessThanOrEqual(epsilon(worst) * (1 + 1e-12));
        expect(effectiveNoiseMultiplier(describeDistributed(plan))).toBeCloseTo(1.5, 9);
      }),
      { numRuns: 60 },
    );
  });

  test('is close to what Gaussian noise of the same multiplier costs, and never less', () => {
    for (const noise of ['skellam', 'discrete-gaussian'] as const) {
      const plan = planOfTask(taskWith({ noise }), 100_000)!;
      const options = { relation: 'zero-out', engine: 'rdp' } as const;
      const integer = privacyEpsilon([{ event: eventOf(plan), count: 50 }], 1e-6, options).value;
      const gaussian = { kind: 'gaussian', noiseMultiplier: 1.5 } as const;
      const ideal = privacyEpsilon([{ event: gaussian, count: 50 }], 1e-6, options).value;
      expect(integer).toBeGreaterThanOrEqual(ideal * (1 - 1e-9));
      expect(integer).toBeLessThan(ideal * 1.001);
    }
  });
});

describe('a task document with privacy', () => {
  test('reads back, with its defaults', () => {
    const task = taskWith({});
    expect(task.protection).toMatchObject({
      privacy: { noise: 'skellam', noiseMultiplier: '1.5', clip: 0.5, colluding: 0, budgets: ['b'] },
    });
    expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no noise', { noiseMultiplier: '0' }, /privacy\.noiseMultiplier is "0".*from 0\.02/],
    ['negative noise', { noiseMultiplier: '-1' }, /privacy\.noiseMultiplier is "-1"/],
    ['a multiplier that is a number', { noiseMultiplier: 1.1 }, /privacy\.noiseMultiplier is 1\.1; allowed is a text/],
    ['a multiplier that is none', { noiseMultiplier: 'NaN' }, /privacy\.noiseMultiplier is "NaN"/],
    ['an infinite multiplier', { noiseMultiplier: '1e999' }, /privacy\.noiseMultiplier/],
    ['no clip', { clip: 0 }, /privacy\.clip is 0/],
    ['a clip that is not finite', { clip: Infinity }, /privacy\.clip is Infinity/],
    ['no budget', { budgets: [] }, /privacy\.budgets must name a budget/],
    ['a budget twice', { budgets: ['b', 'b'] }, /privacy\.budgets must name a budget at least, and none twice/],
    ['a budget that is no name', { budgets: ['B!'] }, /privacy\.budgets is "B!"/],
    ['more colluding than survive', { colluding: 14 }, /protection\.privacy cannot be: .*nobody is left to add noise/],
    ['a law of noise that is none', { noise: 'laplace' }, /privacy\.noise is "laplace"/],
    ['a misspelt key', { noisemultiplier: '2' }, /noisemultiplier is not a key here/],
  ])('is refused with %s', (_, privacy, why) => {
    expect(() => taskWith(privacy)).toThrow(why);
  });
});
