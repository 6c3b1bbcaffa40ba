/** A clip that follows a quantile: charged as the plain mechanism, the noise split as in the paper, and the quantile found. */
import {
  atClip,
  CentrallyNoisyMean,
  clearContribution,
  clearNoisePlan,
  clipAfter,
  laneFormat,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  openNoisyMean,
  parseTask,
  privacyEpsilon,
  privacyOf,
  roundChargeOf,
  vectorLength,
  wholeClip,
  withClipBit,
  withoutClipBit,
} from '@carapace/aggregation';
import type { ClearUpdates, Task, UserPrivacy } from '@carapace/aggregation';
import { parseRational, systemRandom, toNumber } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

interface Choice {
  readonly kind?: string;
  readonly privacy?: Record<string, unknown>;
  readonly cohort?: Record<string, unknown>;
}

const taskWith = ({ kind = 'secagg', privacy = {}, cohort = { target: 20, minimum: 14 } }: Choice): Task =>
  parseTask({
    name: 'adaptive',
    model: { name: 'm' },
    cohort,
    protection: { kind, privacy: { noiseMultiplier: '1.5', clip: 0.5, budgets: ['b'], ...privacy } },
  });
const adaptiveOf = (choice: Choice): NonNullable<UserPrivacy['adaptive']> =>
  privacyOf(taskWith({ ...choice, privacy: { adaptive: {}, ...choice.privacy } }).protection)!.adaptive!;

describe('what a round is charged', () => {
  test('is what the plain mechanism of the multiplier is charged, of one value more', () => {
    const cases = fc.record({
      of: fc.constantFrom(
        { kind: 'secagg', placement: 'distributed', noise: 'skellam' },
        { kind: 'secagg', placement: 'distributed', noise: 'discrete-gaussian' },
        { kind: 'secagg', placement: 'central', noise: 'skellam' },
        { kind: 'secagg', placement: 'local', noise: 'skellam' },
        { kind: 'clear', placement: 'central', noise: 'discrete-gaussian' },
      ),
      z: fc.integer({ min: 3, max: 40 }).map((tenths) => (tenths / 10).toFixed(1)),
      share: fc.integer({ min: 6, max: 200 }),
      dimension: fc.integer({ min: 1, max: 20_000 }),
    });
    fc.assert(
      fc.property(cases, ({ of: { kind, ...rest }, z, share, dimension }) => {
        const bitDeviation = ((Number(z) * share) / 10).toFixed(3);
        const plain = { ...rest, noiseMultiplier: z };
        const moving = roundChargeOf(taskWith({ kind, privacy: { ...plain, adaptive: { bitDeviation } } }), dimension);
        expect(moving).toEqual(roundChargeOf(taskWith({ kind, privacy: plain }), dimension + 1));
      }),
      { numRuns: 100 },
    );
  });

  test('does not depend on the clip of the round, and hardly on there being a bit', () => {
    const task = taskWith({ privacy: { adaptive: {} } });
    const later: Task = { ...task, protection: atClip(task.protection, 0.0123) };
    expect(roundChargeOf(later, 1_000)).toEqual(roundChargeOf(task, 1_000));
    const epsilon = (of: Task): number => {
      const { event } = roundChargeOf(of, 10_000)!.model;
      return privacyEpsilon([{ event, count: 50 }], 1e-6, { relation: 'zero-out' }).value;
    };
    expect(epsilon(task) / epsilon(taskWith({}))).toBeCloseTo(1, 3);
  });

  test('of a secret cohort is sampled as without', () => {
    const cohort = { selection: { kind: 'poisson', rate: '0.01' }, target: 20 };
    const privacy = { placement: 'central' };
    const moving = taskWith({ kind: 'clear', cohort, privacy: { ...privacy, adaptive: {} } });
    expect(roundChargeOf(moving, 99)).toEqual(roundChargeOf(taskWith({ kind: 'clear', cohort, privacy }), 100));
  });
});

describe('the noise', () => {
  test.each([
    ['distributed', 14],
    ['central', 20],
    ['local', 1],
  ] as const)('of %s placement on updates and on the count is that of theorem 1', (placement, floor) => {
    const [clients, dimension, rounds, bits] = [20, 40, 400, 20];
    const adaptive = { quantile: 0.5, rate: 0.2, bitDeviation: '2' };
    const privacy: UserPrivacy = {
      ...privacyOf(taskWith({ privacy: { placement } }).protection)!,
      adaptive,
    };
    const plan = noisePlan({ bits }, privacy, { clients, minimumSurvivors: 14 }, dimension);
    const format = laneFormat(noisyQuantiser({ bits }, privacy), vectorLength(privacy, dimension), clients);
    // A third is within the clip of 0.5, the others are twice that and are clipped.
    const updates = Array.from({ length: clients }, (_value, i) =>
      new Float32Array(dimension).fill((i % 3 === 0 ? 0.25 : 1) / Math.sqrt(dimension)),
    );
    const [clipped, within] = [(7 * 0.25 + 13 * 0.5) / Math.sqrt(dimension), 7];
    let [values, counts, sumOfCounts] = [0, 0, 0];
    for (let round = 0; round < rounds; round++) {
      const context = systemRandom.bytes(32);
      const sums = new Uint32Array(format.values + 1);
      for (const update of updates)
        noisyLanes(plan, privacy, context, update, format, systemRandom).forEach((lane, i) => (sums[i]! += lane));
      const secret = placement === 'central' ? systemRandom.bytes(32) : null;
      const opened = openNoisyMean(plan, privacy, context, sums, clients, format, secret)!;
      const { mean, within: share } = withoutClipBit(privacy, opened);
      for (const value of mean) values += (value * clients - clipped) ** 2;
      counts += (share! * clients - within) ** 2;
      sumOfCounts += share! * clients;
    }
    // 1 / z^2 = 1 / z_delta^2 + 1 / (2 sigma_b)^2, and what survives beyond the floor adds to it.
    const more = clients / floor;
    const left = 1 / (1 / 1.5 ** 2 - 1 / (2 * 2) ** 2);
    // The mean of 16,000 squares deviates by 1.1 %, of 400 by 7.1 %, of 400 counts by 0.1 sqrt(more): six of each is one false alarm in 10^9.
    expect(Math.abs(values / (rounds * dimension) / (left * 0.5 ** 2 * more) - 1)).toBeLessThan(0.09);
    expect(Math.abs(counts / rounds / (2 ** 2 * more) - 1)).toBeLessThan(0.45);
    expect(Math.abs(sumOfCounts / rounds - within)).toBeLessThan(0.65 * Math.sqrt(more));
  });

  test('covers an update and its bit together, whatever the update is', () => {
    fc.assert(
      fc.property(
        fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, noDefaultInfinity: true }),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (update, clip) => {
          const privacy = { clip, noiseMultiplier: '1', adaptive: adaptiveOf({ privacy: { noiseMultiplier: '1' } }) };
          const whole = withClipBit(privacy, update);
          expect(Math.hypot(...whole)).toBeLessThanOrEqual(wholeClip(privacy) * (1 + 1e-6));
          const isWithin = Math.hypot(...update) <= clip;
          if (Math.abs(Math.hypot(...update) / clip - 1) > 1e-6) expect(whole.at(-1) > 0).toBe(isWithin);
        },
      ),
    );
  });
});

describe('the clip of the next round', () => {
  test('is that of the task first, then a function of what was released alone, and stays a clip', () => {
    const { protection } = taskWith({ privacy: { adaptive: { quantile: 0.2, rate: 0.2 } } });
    expect(clipAfter(protection, null)).toBe(0.5);
    // pfl-research/tests/privacy/test_adaptive_clipping.py
    expect(clipAfter(protection, { clip: 3, within: 0.5 })).toBeCloseTo(2.825293600752746, 12);
    expect(clipAfter(protection, { clip: 1e-6, within: 1 })).toBe(1e-6);
    expect(clipAfter(protection, { clip: 1e6, within: -3 })).toBe(1e6);
    expect(clipAfter(taskWith({}).protection, null)).toBeNull();
    expect(atClip(protection, 0.25)).toEqual({ ...protection, privacy: { ...privacyOf(protection), clip: 0.25 } });
    expect(atClip(protection, null)).toBe(protection);
  });

  test.each([
    ['secagg', 'distributed', 0.01],
    ['clear', 'central', 30],
  ] as const)('of %s updates with %s noise finds the quantile of their norms from %d', (kind, placement, clip) => {
    const [clients, dimension] = [50, 16];
    const task = taskWith({
      kind,
      cohort: { target: clients, minimum: 40 },
      privacy: { placement, clip, noiseMultiplier: '1', adaptive: { quantile: 0.3, rate: 0.5 } },
    });
    // Norms from 0.1 to 5: three tenths of them are 1.5 at most.
    const updates = Array.from({ length: clients }, (_value, i) =>
      new Float32Array(dimension).fill((i + 1) / 10 / Math.sqrt(dimension)),
    );
    let { protection } = task;
    const clips: number[] = [];
    for (let round = 0; round < 80; round++) {
      const within =
        kind === 'clear' ? clearShare(protection as ClearUpdates, updates) : hiddenShare(protection, updates);
      const privacy = privacyOf(protection)!;
      clips.push(privacy.clip);
      protection = atClip(protection, clipAfter(protection, { clip: privacy.clip, within }));
    }
    // Settled, its logarithm deviates by some 0.03 a round (noise of 2.5 on the count of 50), and the mean of thirty of them by less.
    const settled = clips.slice(50).reduce((sum, value) => sum + Math.log(value), 0) / 30;
    expect(Math.abs(settled - Math.log(1.5))).toBeLessThan(0.2);
  });
});

function clearShare(protection: ClearUpdates, updates: readonly Float32Array[]): number {
  const privacy = protection.privacy!;
  const plan = clearNoisePlan(protection, updates[0]!.length)!;
  const sum = new CentrallyNoisyMean(plan, privacy);
  for (const update of updates) sum.add(clearContribution(plan, privacy, update, systemRandom));
  return withoutClipBit(privacy, sum.open(systemRandom.bytes(32), updates.length)).within!;
}

function hiddenShare(protection: Task['protection'], updates: readonly Float32Array[]): number {
  const privacy = privacyOf(protection)!;
  const [bits, clients, dimension] = [20, updates.length, updates[0]!.length];
  const plan = noisePlan({ bits }, privacy, { clients, minimumSurvivors: 40 }, dimension);
  const format = laneFormat(noisyQuantiser({ bits }, privacy), vectorLength(privacy, dimension), clients);
  const context = systemRandom.bytes(32);
  const sums = new Uint32Array(format.values + 1);
  for (const update of updates)
    noisyLanes(plan, privacy, context, update, format, systemRandom).forEach((lane, i) => (sums[i]! += lane));
  return withoutClipBit(privacy, openNoisyMean(plan, privacy, context, sums, clients, format)!).within!;
}

describe('a task document', () => {
  test('has the rule of the paper by default, and a bit that takes a quarter of the noise at most', () => {
    expect(adaptiveOf({ cohort: { target: 100 } })).toEqual({ quantile: 0.5, rate: 0.2, bitDeviation: '5' });
    expect(adaptiveOf({ cohort: { target: 8 } }).bitDeviation).toBe('1.5');
    expect(adaptiveOf({ cohort: { target: 100 }, privacy: { placement: 'local' } }).bitDeviation).toBe('1.5');
    const small = privacyOf(taskWith({ privacy: { adaptive: {} } }).protection)!;
    const multiplier = toNumber(parseRational(small.noiseMultiplier));
    expect((small.clip / wholeClip(small)) ** 2).toBeCloseTo(0.75, 12);
    expect(multiplier).toBe(1.5);
  });

  test('reads back, at the clip of a round as well', () => {
    const task = taskWith({ privacy: { adaptive: { quantile: 0.7 } } });
    expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
    const later = { ...task, protection: atClip(task.protection, 0.321) };
    expect(parseTask(JSON.parse(JSON.stringify(later)))).toEqual(later);
  });

  test.each<[string, Choice, RegExp]>([
    [
      'a bit that takes all of the noise',
      { privacy: { adaptive: { bitDeviation: '0.75' } } },
      /privacy\.adaptive\.bitDeviation is 0\.75; allowed is more than half of the noise multiplier of 1\.5/,
    ],
    ['no noise on the bit', { privacy: { adaptive: { bitDeviation: '0' } } }, /bitDeviation is "0".*above 0/],
    [
      'a deviation that is a number',
      { privacy: { adaptive: { bitDeviation: 5 } } },
      /bitDeviation is 5; allowed is a text/,
    ],
    ['a quantile that is none', { privacy: { adaptive: { quantile: 1 } } }, /adaptive\.quantile is 1; allowed/],
    ['a clip that stands', { privacy: { adaptive: { rate: 0 } } }, /adaptive\.rate is 0; allowed/],
    ['a clip that jumps', { privacy: { adaptive: { rate: Infinity } } }, /adaptive\.rate is Infinity/],
    ['a misspelt key', { privacy: { adaptive: { quantil: 0.5 } } }, /quantil is not a key here/],
    [
      'local noise in the clear',
      { kind: 'clear', privacy: { placement: 'local', adaptive: {} } },
      /privacy\.adaptive needs a place for the clip bit/,
    ],
    [
      'correlated noise',
      {
        kind: 'clear',
        privacy: { placement: 'central', adaptive: {}, matrix: { kind: 'tree', steps: 8, most: 1 } },
      },
      /privacy\.adaptive is a clip that moves, and noise that is correlated/,
    ],
  ])('is refused with %s', (_, choice, why) => {
    expect(() => taskWith(choice)).toThrow(why);
  });
});
