import {
  addNoiseShare,
  checkDistributed,
  describeDistributed,
  effectiveNoiseMultiplier,
  hasNoise,
  integerNorms,
  l1Bound,
  laneFormat,
  openNoisySum,
  planDistributed,
  rotationSeed,
  wordMask,
} from '@carapace/aggregation';
import type { DistributedPlan, DistributedSettings, NoisySum } from '@carapace/aggregation';
import { parseRational, toNumber } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundedIntegers } from '../../../src/privacy/mechanisms/distributed-client.ts';
import { noisesOf } from '../../../src/privacy/mechanisms/distributed.ts';

const SEED = rotationSeed(new Uint8Array(32).fill(9));
const DIMENSION = 3000;
/** A false alarm in 10^9, on either side. */
const ALARM = 6;

const settings = (change: Partial<DistributedSettings> = {}): DistributedSettings => ({
  noise: 'skellam',
  dimension: DIMENSION,
  clients: 20,
  floor: 14,
  noiseMultiplier: parseRational('1.1'),
  bits: 18,
  ...change,
});

const updateOf = (client: number, scale = 0.01): Float32Array =>
  Float32Array.from({ length: DIMENSION }, (_, i) => scale * Math.sin(i * (client + 1)));

/** Lanes added modulo 2^bits, as masks leave them. */
function addUp(plan: DistributedPlan, inputs: readonly Uint32Array[]): Uint32Array {
  const sums = new Uint32Array(inputs[0]!.length);
  for (const lanes of inputs) for (let i = 0; i < sums.length; i++) sums[i] = (sums[i]! + lanes[i]!) >>> 0;
  return sums.map((sum) => (plan.bits === 32 ? sum : sum % 2 ** plan.bits));
}

function release(plan: DistributedPlan, survivors: number, clip: number, seed: string): NoisySum {
  const inputs = Array.from({ length: survivors }, (_, client) =>
    addNoiseShare(plan, { clip, seed: SEED }, updateOf(client), seededRandom(`${seed}/${client}`)),
  );
  return openNoisySum(plan, { clip, seed: SEED }, addUp(plan, inputs), survivors);
}

/** The exact sum of the clipped updates. */
function exactSum(survivors: number, clip: number): Float64Array {
  const sum = new Float64Array(DIMENSION);
  for (let client = 0; client < survivors; client++) {
    const update = updateOf(client);
    const factor = Math.min(1, clip / Math.hypot(...update));
    update.forEach((value, i) => (sum[i]! += factor * value));
  }
  return sum;
}

describe('the decoded sum', () => {
  const kinds = ['skellam', 'discrete-gaussian'] as const;
  // Of 20 clients none, 10 % and 30 % drop out; the floor is 14.
  const cases = kinds.flatMap((noise) => [20, 18, 14].map((survivors) => ({ noise, survivors })));
  test.each(cases)(
    'has the promised variance of $noise noise with $survivors of 20 clients',
    ({ noise, survivors }) => {
      const clip = 0.3;
      const plan = planDistributed(settings({ noise }));
      const { sum } = release(plan, survivors, clip, `${noise}/${survivors}`);
      const exact = exactSum(survivors, clip);
      const errors = sum.map((value, i) => value - exact[i]!);
      const unit = clip / plan.unitsPerClip;
      const target = 1.1 ** 2 * Number(plan.l2Squared) * unit ** 2;
      const rounding = (survivors / 4) * unit ** 2;
      const variance = errors.reduce((total, x) => total + x * x, 0) / DIMENSION;
      const deviation = Math.sqrt(2 / DIMENSION);
      // Exactly that of the survivors, so at and above the floor never less than the target.
      const expected = (target * survivors) / 14;
      expect(variance).toBeGreaterThan(expected * (1 - ALARM * deviation));
      expect(variance).toBeLessThan((expected + rounding) * (1 + ALARM * deviation));
      expect(expected).toBeGreaterThanOrEqual(target);
      const mean = errors.reduce((total, x) => total + x, 0) / DIMENSION;
      expect(Math.abs(mean)).toBeLessThan(ALARM * Math.sqrt((expected + rounding) / DIMENSION));
    },
  );

  test('the check would object to a share of a client too few', () => {
    const plan = planDistributed(settings());
    const { sum } = release(plan, 13, 0.3, 'below the floor');
    const exact = exactSum(13, 0.3);
    const unit = 0.3 / plan.unitsPerClip;
    const variance = sum.reduce((total, x, i) => total + (x - exact[i]!) ** 2, 0) / DIMENSION;
    expect(variance).toBeLessThan(1.1 ** 2 * Number(plan.l2Squared) * unit ** 2);
  });

  test('is the same from lanes that were summed under masks with room, as it is modulo 2^bits', () => {
    const plan = planDistributed(settings({ bits: 16 }));
    const lanes = Array.from({ length: 20 }, (_, client) =>
      addNoiseShare(plan, { clip: 1, seed: SEED }, updateOf(client), seededRandom(client)),
    );
    const mask = wordMask(laneFormat({ clip: 1, bits: 16, maxWeight: 1 }, DIMENSION - 1, 20));
    const payloads = lanes.map((each) => mask.mask(each, [], seededRandom('mask')));
    const opened = mask.open(payloads, [])!;
    expect(opened.some((sum) => sum >= 2 ** 16)).toBe(true);
    expect(openNoisySum(plan, { clip: 1, seed: SEED }, opened, 20)).toEqual(
      openNoisySum(plan, { clip: 1, seed: SEED }, addUp(plan, lanes), 20),
    );
  });

  test('an adaptive clip changes no integer: the plan does not know it', () => {
    const plan = planDistributed(settings());
    const lanesOf = (clip: number): Int32Array =>
      boundedIntegers(plan, { clip, seed: SEED }, updateOf(1, clip), seededRandom('same'));
    // Powers of two, which scale float32 exactly.
    expect(lanesOf(0.25)).toEqual(lanesOf(1));
    expect(lanesOf(64)).toEqual(lanesOf(1));
  });
});

describe('the clip bit', () => {
  const plan = planDistributed(settings({ bits: 20, bitDeviation: parseRational('1') }));

  test('tells the share of updates within the clip, with the noise of its own lane', () => {
    const shares: number[] = [];
    for (let round = 0; round < 300; round++) {
      const inputs = Array.from({ length: 20 }, (_, client) =>
        addNoiseShare(
          plan,
          { clip: 0.1, seed: SEED },
          // A quarter of them are far longer than the clip.
          updateOf(client, client % 4 === 0 ? 1 : 1e-4),
          seededRandom(`${round}/${client}`),
        ),
      );
      shares.push(openNoisySum(plan, { clip: 0.1, seed: SEED }, addUp(plan, inputs), 20).withinClip!);
    }
    const mean = shares.reduce((sum, x) => sum + x, 0) / 300;
    const variance = shares.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 299;
    // The count of 20 has variance sigma_b^2 at the floor of 14, 20/14 of it here.
    const expected = 20 / 14 / 20 ** 2;
    expect(Math.abs(mean - 0.75)).toBeLessThan(ALARM * Math.sqrt(expected / 300));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(ALARM * Math.sqrt(2 / 299));
  });

  test('shares the multiplier with the update: both together are the one that was asked for', () => {
    const description = describeDistributed(plan);
    expect(description.parts).toHaveLength(2);
    expect(effectiveNoiseMultiplier(description)).toBeCloseTo(1.1, 12);
    expect(hasNoise(description, parseRational('1.1'))).toBe(true);
    expect(hasNoise(description, parseRational('1.100000000000000000000000000001'))).toBe(false);
    const [values, bit] = description.parts as [(typeof description.parts)[0], (typeof description.parts)[0]];
    expect(bit.dimension).toBe(1);
    expect(Math.sqrt((14 * toNumber(bit.localVariance)) / Number(bit.l2Squared))).toBeCloseTo(2, 12);
    expect(Math.sqrt((14 * toNumber(values.localVariance)) / Number(values.l2Squared))).toBeGreaterThan(1.1);
  });
});

describe('the integer facts', () => {
  const hostile = fc.record({
    dimension: fc.integer({ min: 1, max: 300 }),
    bits: fc.integer({ min: 10, max: 32 }),
    clip: fc.constantFrom(1e-30, 1e-6, 0.03, 1, 1e6, 1e30),
    beta: fc.constantFrom(0, 0.3, 0.6065, 0.9),
    seed: fc.nat(),
    shape: fc.constantFrom('zero', 'one', 'flat', 'huge', 'tiny', 'at the clip', 'half units'),
  });

  test('no update, however made, becomes a longer integer vector than the noise was made for', () => {
    fc.assert(
      fc.property(hostile, ({ dimension, bits, clip, beta, seed, shape }) => {
        const rule = settings({ dimension, bits, beta, clients: 3, floor: 2, noiseMultiplier: parseRational('0.5') });
        let plan: DistributedPlan;
        try {
          plan = planDistributed(rule);
        } catch {
          return;
        }
        const shapes: Record<typeof shape, (i: number) => number> = {
          zero: () => 0,
          one: (i) => (i === seed % dimension ? 3e38 : 0),
          flat: () => clip,
          huge: (i) => (i % 2 === 0 ? 3e38 : -3e38),
          tiny: () => 1e-45,
          'at the clip': () => clip / Math.sqrt(dimension),
          'half units': (i) => (clip / plan.unitsPerClip) * (0.5 + (i % 3)),
        };
        const update = Float32Array.from({ length: dimension }, (_, i) => shapes[shape](i));
        const integers = boundedIntegers(plan, { clip, seed: SEED }, update, seededRandom(seed));
        const { l2Squared, l1 } = integerNorms(integers);
        expect(l2Squared <= plan.l2Squared).toBe(true);
        expect(l1 <= l1Bound(plan.l2Squared, dimension)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test('noise is added to those integers, modulo 2^bits, and nothing else', () => {
    const plan = planDistributed(settings({ bits: 32 }));
    const round = { clip: 1, seed: SEED };
    const integers = boundedIntegers(plan, round, updateOf(3), seededRandom('both'));
    const lanes = addNoiseShare(plan, round, updateOf(3), seededRandom('both'));
    const noise = Float64Array.from(lanes, (lane, i) => (lane | 0) - integers[i]!);
    const variance = noise.reduce((sum, x) => sum + x * x, 0) / DIMENSION;
    expect(variance / toNumber(plan.localVariance)).toBeGreaterThan(1 - ALARM * Math.sqrt(2 / DIMENSION));
    expect(variance / toNumber(plan.localVariance)).toBeLessThan(1 + ALARM * Math.sqrt(2 / DIMENSION));
  });

  test.each([Number.NaN, Infinity, -Infinity])(
    'an update with %s is refused, and no randomness is drawn for it',
    (bad) => {
      const plan = planDistributed(settings());
      const update = updateOf(1);
      update[DIMENSION - 1] = bad;
      const untouched: RandomSource = {
        bytes: () => {
          throw new Error('drawn');
        },
      };
      expect(() => addNoiseShare(plan, { clip: 1, seed: SEED }, update, untouched)).toThrow(/MECHANISM_NONFINITE/);
    },
  );

  test('an update of another length, or a clip that is none, is refused', () => {
    const plan = planDistributed(settings());
    const add = (update: Float32Array, clip: number): Uint32Array =>
      addNoiseShare(plan, { clip, seed: SEED }, update, seededRandom(1));
    expect(() => add(new Float32Array(DIMENSION - 1), 1)).toThrow(/VECTOR_LENGTH/);
    for (const clip of [0, -1, Number.NaN, Infinity, 1e-31]) {
      expect(() => add(updateOf(1), clip)).toThrow(/MECHANISM_PARAMETERS/);
    }
    expect(() => openNoisySum(plan, { clip: 1, seed: SEED }, new Uint32Array(3), 20)).toThrow(/VECTOR_LENGTH/);
    const lanes = new Uint32Array(DIMENSION);
    expect(() => openNoisySum(plan, { clip: 1, seed: SEED }, lanes, 0)).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => openNoisySum(plan, { clip: 1, seed: SEED.subarray(1) }, lanes, 20)).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => addNoiseShare(plan, { clip: 1, seed: new Uint8Array(16) }, updateOf(1), seededRandom(1))).toThrow(
      /MECHANISM_PARAMETERS/,
    );
  });
});

describe('tables', () => {
  const planOf = (change: Partial<DistributedSettings>): DistributedPlan => planDistributed(settings(change));

  test('of equal plans are made once; another kind or variance has its own', () => {
    const { values } = noisesOf(planOf({}));
    expect(noisesOf(planOf({})).values).toBe(values);
    expect(noisesOf(planOf({ noise: 'discrete-gaussian' })).values.kind).toBe('discrete-gaussian');
    const other = planOf({ floor: 13 });
    expect(noisesOf(other).values.parameter).toEqual(other.localVariance);
    expect(values.parameter).toEqual(planOf({}).localVariance);
  });
});

describe('what is told of a plan', () => {
  test('is all that an accountant asks for, and holds the promise at the floor', () => {
    const plan = planDistributed(settings());
    const description = describeDistributed(plan);
    expect(description).toMatchObject({ model: 'distributed', noise: 'skellam', floor: 14 });
    expect(description.parts).toEqual([
      {
        dimension: DIMENSION,
        l2Squared: plan.l2Squared,
        l1: l1Bound(plan.l2Squared, DIMENSION),
        localVariance: plan.localVariance,
      },
    ]);
    expect(effectiveNoiseMultiplier(description)).toBeCloseTo(1.1, 12);
    // Exactly: one part in 10^30 more is not there.
    expect(hasNoise(description, parseRational('1.1'))).toBe(true);
    expect(hasNoise(description, parseRational('1.100000000000000000000000000001'))).toBe(false);
    expect(description.totalVariation).toBeGreaterThan(0);
    expect(description.totalVariation).toBeLessThan(2 ** -110);
  });

  test('of a plan that was changed on the way is checked by who receives it', () => {
    const plan = planDistributed(settings());
    expect(() => checkDistributed(plan)).not.toThrow();
    const changed: [Partial<DistributedPlan>, RegExp][] = [
      [{ bits: 10 }, /MECHANISM_MODULUS/],
      [{ clients: 2000 }, /MECHANISM_MODULUS/],
      [{ unitsPerClip: plan.unitsPerClip / 100 }, /MECHANISM_MODULUS/],
      [{ unitsPerClip: Number.NaN }, /MECHANISM_PARAMETERS/],
      [{ l2Squared: 0n }, /MECHANISM_PARAMETERS/],
      [{ l2Squared: plan.l2Squared / 2n }, /MECHANISM_PARAMETERS.*no update would fit/],
      [{ localVariance: { numerator: 0n, denominator: 1n } }, /MECHANISM_PARAMETERS/],
      [{ floor: 21 }, /MECHANISM_PARAMETERS/],
      [{ dimension: 0 }, /MECHANISM_PARAMETERS/],
    ];
    for (const [change, code] of changed) expect(() => checkDistributed({ ...plan, ...change })).toThrow(code);
  });
});
