/** Noise that is central or local: as much as was promised, charged for it in each view, and the same bytes for the same sum. */
import {
  CentrallyNoisyMean,
  clearContribution,
  clearNoisePlan,
  isWithinClip,
  latticeEvent,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  openNoisyMean,
  parseTask,
  privacyEpsilon,
  roundChargeOf,
  sharesContextOf,
  sharesLanesOf,
} from '@carapace/aggregation';
import type { ClearUpdates, PrivacyEvent, UserPrivacy } from '@carapace/aggregation';
import { makeSharesWorld, runShares } from '@carapace/aggregation/testing';
import { systemRandom } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';

const DIMENSION = 4_000;
const CLIENTS = 12;

const privacyWith = (changes: Partial<UserPrivacy>): UserPrivacy => ({
  placement: 'central',
  noise: 'discrete-gaussian',
  noiseMultiplier: '1.5',
  clip: 0.5,
  colluding: 0,
  budgets: [],
  ...changes,
});
const secretOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const updateOf = (member: number): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_value, i) => (i % CLIENTS === member ? 0.01 : 0));
const meanOf = (members: readonly number[]): Float64Array => {
  const updates = members.map(updateOf);
  return Float64Array.from({ length: DIMENSION }, (_value, i) => {
    return updates.reduce((sum, update) => sum + update[i]!, 0) / members.length;
  });
};
const everybody = Array.from({ length: CLIENTS }, (_value, member) => member);
const squares = (a: Float64Array, b: Float64Array, times: number): number =>
  a.reduce((sum, value, i) => sum + ((value - b[i]!) * times) ** 2, 0) / a.length;
// The mean of 16,000 squares deviates by 1.1 %, of 4,000 by 2.2 %: six of that is one false alarm in 10^9.
const near = (variance: number, promised: number, slack = 0.14): void =>
  expect(Math.abs(variance / promised - 1)).toBeLessThan(slack);

describe('central noise on clear updates', () => {
  const privacy = privacyWith({});
  const protection: ClearUpdates = { kind: 'clear', privacy };
  const plan = clearNoisePlan(protection, DIMENSION)!;
  const open = (members: readonly number[], secret: Uint8Array): Float64Array => {
    const sum = new CentrallyNoisyMean(plan, privacy);
    for (const member of members) sum.add(clearContribution(plan, privacy, updateOf(member), systemRandom));
    return sum.open(secret, members.length);
  };

  test('has the promised variance, whoever is there', () => {
    for (const members of [everybody, everybody.slice(0, 3)])
      near(squares(open(members, secretOf(1)), meanOf(members), members.length), (1.5 * 0.5) ** 2);
  });

  test('is the same to the bit when the round is opened again, in whatever order, and nobody else’s for another secret', () => {
    const first = open(everybody, secretOf(1));
    expect(open(everybody.toReversed(), secretOf(1))).toEqual(first);
    expect(open(everybody, secretOf(2))).not.toEqual(first);
  });

  test('has nothing in common between two sums of one round: their difference has the noise of both', () => {
    const all = open(everybody, secretOf(3)).map((value) => value * CLIENTS);
    const without = everybody.slice(1);
    const fewer = open(without, secretOf(3)).map((value) => value * without.length);
    const difference = all.map((value, i) => value - fewer[i]!);
    near(squares(difference, new Float64Array(updateOf(0)), 1), 2 * (1.5 * 0.5) ** 2);
  });

  test('a client clips; what is longer is known for it, and clipped here once more', () => {
    const long = Float32Array.from({ length: DIMENSION }, () => 1);
    expect(isWithinClip(privacy, long)).toBe(false);
    expect(isWithinClip(privacy, clearContribution(plan, privacy, long, systemRandom))).toBe(true);
    const sum = new CentrallyNoisyMean(plan, privacy);
    sum.add(long);
    const mean = sum.open(secretOf(1), 1);
    // Sixty-three would be its norm, noise alone has 47.
    expect(Math.hypot(...mean)).toBeLessThan(55);
    expect(() => sum.open(secretOf(1), 1)).toThrow(/MECHANISM_RELEASED/);
  });

  test('refuses what is not finite', () => {
    const sum = new CentrallyNoisyMean(plan, privacy);
    expect(() => sum.add(updateOf(0).fill(NaN, 0, 1))).toThrow(/MECHANISM_NONFINITE/);
  });
});

describe.each(['skellam', 'discrete-gaussian'] as const)('central %s noise on a hidden sum', (noise) => {
  const bits = 20;
  const privacy = privacyWith({ noise });
  const plan = noisePlan({ bits }, privacy, { clients: CLIENTS, minimumSurvivors: 6 }, DIMENSION);
  const world = makeSharesWorld(`central/${noise}`, CLIENTS, {
    values: DIMENSION,
    quantiser: noisyQuantiser({ bits }, privacy),
    minimumSurvivors: 6,
  });
  const [context, format] = [sharesContextOf(world.session), sharesLanesOf(world.session)];
  const sumsOf = (members: readonly number[]): Uint32Array => {
    const lanes = everybody.map((member) => noisyLanes(plan, privacy, context, updateOf(member), format, systemRandom));
    return runShares(world, lanes, members).sums!;
  };

  test.each([12, 6])('has the promised variance with %i survivors', (survivors) => {
    const members = everybody.slice(0, survivors);
    const sums = sumsOf(members);
    const mean = openNoisyMean(plan, privacy, context, sums, survivors, format, secretOf(9))!;
    near(squares(mean, meanOf(members), survivors), (1.5 * 0.5) ** 2);
    expect(openNoisyMean(plan, privacy, context, sums, survivors, format, secretOf(9))).toEqual(mean);
    expect(() => openNoisyMean(plan, privacy, context, sums, survivors, format)).toThrow(/MECHANISM_PARAMETERS/);
  });

  test('comes before the modulus: congruent sums are one sum', () => {
    const sums = sumsOf(everybody);
    const congruent = sums.map((lane, i) => (i < DIMENSION ? lane + 2 ** bits : lane));
    const opened = (lanes: Uint32Array) => openNoisyMean(plan, privacy, context, lanes, CLIENTS, format, secretOf(9));
    expect(opened(congruent)).toEqual(opened(sums));
  });
});

describe('local noise', () => {
  test('is all there in one contribution in the clear', () => {
    const privacy = privacyWith({ placement: 'local' });
    const plan = clearNoisePlan({ kind: 'clear', privacy }, DIMENSION)!;
    const sent = clearContribution(plan, privacy, updateOf(0), systemRandom);
    near(squares(new Float64Array(sent), new Float64Array(updateOf(0)), 1), (1.5 * 0.5) ** 2);
    expect(isWithinClip(privacy, sent)).toBe(true);
  });

  test('and in one share of a hidden sum, whoever else survives', () => {
    const privacy = privacyWith({ placement: 'local', noise: 'skellam' });
    const bits = 20;
    const plan = noisePlan({ bits }, privacy, { clients: CLIENTS, minimumSurvivors: 6 }, DIMENSION);
    expect(plan.floor).toBe(1);
    const world = makeSharesWorld('local', CLIENTS, {
      values: DIMENSION,
      quantiser: noisyQuantiser({ bits }, privacy),
      minimumSurvivors: 3,
    });
    const [context, format] = [sharesContextOf(world.session), sharesLanesOf(world.session)];
    const lanes = everybody.map((member) => noisyLanes(plan, privacy, context, updateOf(member), format, systemRandom));
    const members = [0, 1, 2];
    const mean = openNoisyMean(plan, privacy, context, runShares(world, lanes, members).sums!, 3, format)!;
    near(squares(mean, meanOf(members), 3), 3 * (1.5 * 0.5) ** 2);
  });
});

describe('what a round is charged', () => {
  const taskWith = (protection: Record<string, unknown>, privacy: Record<string, unknown>) =>
    parseTask({
      name: 'private',
      model: { name: 'm' },
      cohort: { target: 20, minimum: 14 },
      protection: { ...protection, privacy: { noiseMultiplier: '1.5', clip: 0.5, budgets: ['b'], ...privacy } },
    });
  const KINDS = [{ kind: 'clear' }, { kind: 'secagg' }];
  const gaussian = (relation: 'zero-out' | 'replace-one'): number =>
    privacyEpsilon([{ event: { kind: 'gaussian', noiseMultiplier: 1.5 }, count: 10 }], 1e-6, {
      relation,
      engine: 'rdp',
    }).value;

  test.each(KINDS)(
    'central noise, %j: that of the Gaussian to whoever sees models, and nothing protects from the coordinator',
    (kind) => {
      const charge = roundChargeOf(taskWith(kind, { placement: 'central' }), DIMENSION)!;
      expect(charge.server).toBeNull();
      for (const relation of ['zero-out', 'replace-one'] as const) {
        const epsilon = privacyEpsilon([{ event: charge.model.event, count: 10 }], 1e-6, { relation }).value;
        expect(epsilon).toBeGreaterThanOrEqual(gaussian(relation) * (1 - 1e-9));
        expect(epsilon).toBeLessThan(gaussian(relation) * 1.003);
      }
      expect(charge.model.totalVariation).toBeLessThan(1e-25);
    },
  );

  test.each(KINDS)('local noise, %j: one client’s own, in both views', (kind) => {
    const charge = roundChargeOf(taskWith(kind, { placement: 'local' }), DIMENSION)!;
    expect(charge.server).toEqual(charge.model);
    const epsilon = privacyEpsilon([{ event: charge.model.event, count: 10 }], 1e-6, { relation: 'zero-out' }).value;
    expect(epsilon).toBeGreaterThanOrEqual(gaussian('zero-out') * (1 - 1e-9));
    expect(epsilon).toBeLessThan(gaussian('zero-out') * 1.003);
  });

  test('without noise: nothing', () => {
    expect(roundChargeOf(parseTask({ name: 't', model: { name: 'm' }, cohort: { target: 2 } }), 10)).toBeNull();
  });

  test('is what the client counts too', () => {
    const task = taskWith({ kind: 'clear' }, { placement: 'local' });
    if (task.protection.kind !== 'clear') throw new Error('the task is clear');
    const plan = clearNoisePlan(task.protection, DIMENSION)!;
    expect(latticeEvent(plan)).toEqual(roundChargeOf(task, DIMENSION)!.server!.event);
  });

  describe('of a secret cohort', () => {
    const cohortOf = (cohort: Record<string, unknown>, protection: Record<string, unknown> = {}) =>
      parseTask({
        name: 'private',
        model: { name: 'm' },
        cohort: { selection: { kind: 'poisson', rate: '0.01' }, target: 20, ...cohort },
        protection: {
          kind: 'clear',
          privacy: { placement: 'central', noiseMultiplier: '1.5', clip: 0.5, budgets: ['b'] },
          ...protection,
        },
      });

    test('is that of a coin to whoever sees models; never less than continuous noise would cost, and less than without coins', () => {
      const { model, server } = roundChargeOf(cohortOf({}), DIMENSION)!;
      expect(server).toBeNull();
      const of = (event: PrivacyEvent): number =>
        privacyEpsilon([{ event, count: 100 }], 1e-6, { relation: 'zero-out' }).value;
      const gaussian: PrivacyEvent = { kind: 'gaussian', noiseMultiplier: 1.5 };
      expect(of(model.event)).toBeGreaterThanOrEqual(of({ kind: 'poisson', probability: 0.01, event: gaussian }));
      expect(of(model.event)).toBeLessThan(of(gaussian) / 10);
      expect(() => privacyEpsilon([{ event: model.event, count: 1 }], 1e-6, { relation: 'replace-one' })).toThrow(
        /PRIVACY_EVENT_UNSUPPORTED/,
      );
    });

    test.each<[string, Record<string, unknown>, Record<string, unknown>, RegExp]>([
      ['secagg', {}, { kind: 'secagg' }, /PRIVACY_UNPROVED: a Poisson cohort with secagg/],
      [
        'local noise',
        {},
        { privacy: { placement: 'local', noiseMultiplier: '1', clip: 1, budgets: ['b'] } },
        /PRIVACY_UNPROVED: .*without central/,
      ],
      ['no noise', {}, { privacy: null }, /PRIVACY_UNPROVED: .*without central/],
      [
        'a cap',
        { selection: { kind: 'poisson', rate: '0.01', cap: 40 } },
        {},
        /PRIVACY_UNPROVED: cohort\.selection\.cap/,
      ],
      ['a quorum', { minimum: 5 }, {}, /cohort\.minimum is 5; of a Poisson cohort it is 1/],
      ['over-selection', { overSelection: 1.5 }, {}, /cohort\.overSelection is 1\.5/],
      ['a cap of sites', { perSite: 3 }, {}, /cohort\.perSite is 3/],
      ['no rate', { selection: { kind: 'poisson' } }, {}, /cohort\.selection\.rate is missing/],
      ['a rate above 1', { selection: { kind: 'poisson', rate: '1.01' } }, {}, /cohort\.selection\.rate is "1\.01"/],
      ['a rate of nothing', { selection: { kind: 'poisson', rate: '0' } }, {}, /cohort\.selection\.rate is "0"/],
      ['a rate without coins', { selection: { kind: 'fixed', rate: '0.1' } }, {}, /rate is not a key here/],
    ])('is refused with %s', (_name, cohort, protection, why) => {
      expect(() => cohortOf(cohort, protection)).toThrow(why);
    });
  });

  test.each<[Record<string, unknown>, Record<string, unknown>, RegExp]>([
    [{ kind: 'clear' }, {}, /privacy\.placement is distributed, but in the clear nobody hides/],
    [{ kind: 'clear' }, { placement: 'central', noise: 'skellam' }, /privacy\.noise is skellam; in the clear/],
    [{ kind: 'secagg' }, { placement: 'central', colluding: 1 }, /privacy\.colluding is 1, but central noise/],
    [{ kind: 'secagg' }, { placement: 'everywhere' }, /privacy\.placement is "everywhere"/],
    [{ kind: 'secagg', bits: 4 }, { placement: 'local' }, /protection\.privacy cannot be: .*MECHANISM_MODULUS/],
  ])('%j with %j is refused', (protection, privacy, why) => {
    expect(() => taskWith(protection, privacy)).toThrow(why);
  });
});
