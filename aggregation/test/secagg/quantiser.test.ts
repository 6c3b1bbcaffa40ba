import { dequantise, laneFormat, maskOf, quantise, quantiserError, wordMask } from '@carapace/aggregation';
import type { LaneFormat, Quantiser } from '@carapace/aggregation';
import { makeWorld } from '@carapace/aggregation/testing';
import { keyStream } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundReference } from '../../src/secagg/rounding/reference.ts';
import { roundAll } from '../../src/secagg/rounding/rounding.ts';

const anyQuantiser = fc.record({
  clip: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  bits: fc.integer({ min: 2, max: 24 }),
  maxWeight: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
});

const cohort = fc.record({
  quantiser: anyQuantiser,
  values: fc.integer({ min: 1, max: 30 }),
  clients: fc.integer({ min: 2, max: 12 }),
  seed: fc.nat(),
  loud: fc.boolean(),
});

/** Updates within twice the clip, or with `loud` far outside of it, and weights over the whole range. */
function updatesOf(quantiser: Quantiser, values: number, clients: number, seed: number, loud: boolean) {
  const random = seededRandom(seed);
  const uniform = (): number => new DataView(random.bytes(4).buffer).getUint32(0) / 2 ** 32;
  return Array.from({ length: clients }, () => ({
    update: Float32Array.from({ length: values }, () => (uniform() - 0.5) * quantiser.clip * (loud ? 1e9 : 4)),
    weight: 1 + Math.floor(uniform() * quantiser.maxWeight),
  }));
}

const addLanes = (a: Uint32Array, b: Uint32Array): Uint32Array => a.map((lane, i) => lane + b[i]!);

test('the mean of the sum lies within the exported bound of the weighted mean of the clipped updates', () => {
  fc.assert(
    fc.property(cohort, ({ quantiser, values, clients, seed, loud }) => {
      const format = laneFormat(quantiser, values, clients);
      const people = updatesOf(quantiser, values, clients, seed, loud);
      const random = seededRandom(`round/${seed}`);
      const sums = people
        .map(({ update, weight }) => quantise(update, weight, quantiser, format, random))
        .reduce(addLanes);
      const opened = dequantise(sums, clients, quantiser, format)!;
      const weight = people.reduce((sum, person) => sum + person.weight, 0);
      expect(opened.weight).toBe(weight);
      const { worst } = quantiserError(quantiser, clients, weight);
      for (let i = 0; i < values; i++) {
        const exact =
          people.reduce((sum, { update, weight: own }) => {
            return sum + own * Math.min(quantiser.clip, Math.max(-quantiser.clip, update[i]!));
          }, 0) / weight;
        const rounding = 1e-9 * quantiser.clip * (1 + (clients * quantiser.maxWeight) / weight);
        expect(Math.abs(opened.mean[i]! - exact)).toBeLessThanOrEqual(worst + rounding);
      }
    }),
  );
});

test('no integer leaves its lane, at the clip least of all', () => {
  fc.assert(
    fc.property(anyQuantiser, fc.nat(), (quantiser, seed) => {
      const { clip } = quantiser;
      const edges = Float32Array.of(clip, -clip, 3e38, -3e38, 0, -0, 1e-45, clip * 1.0000001, clip * 0.9999999);
      const format = laneFormat(quantiser, edges.length, 255);
      const lanes = quantise(edges, quantiser.maxWeight, quantiser, format, seededRandom(seed));
      expect(lanes.every((lane) => lane <= format.laneMax)).toBe(true);
      expect(lanes[2]).toBe(format.laneMax);
      expect(lanes[3]).toBe(0);
    }),
  );
});

test('rounding has no bias: the mean of many roundings is the value, below a thousandth of a step', () => {
  const quantiser: Quantiser = { clip: 1, bits: 4, maxWeight: 1 };
  const values = 1_000_000;
  const format = laneFormat(quantiser, values, 2);
  for (const fraction of [0.1, 0.25, 0.5, 0.9]) {
    const value = Math.fround((2 * (7 + fraction)) / 15 - 1);
    const lanes = quantise(new Float32Array(values).fill(value), 1, quantiser, format, seededRandom(fraction));
    const mean = lanes.subarray(0, values).reduce((sum, lane) => sum + lane, 0) / values;
    const exact = ((value + 1) * 15) / 2;
    // Four standard deviations of a mean of a million coins are 0.002; the seed is fixed, so this cannot flicker.
    expect(Math.abs(mean - exact)).toBeLessThan(1e-3);
  }
});

test('the kernel rounds as its twin does, bit for bit, at every length', () => {
  const rounding = fc.record({
    share: fc.double({ min: 1e-9, max: 1, noNaN: true }),
    clip: fc.double({ min: 1e-30, max: 1e30, noNaN: true }),
    laneMax: fc.integer({ min: 2, max: 24 }).map((bits) => 2 ** bits - 1),
  });
  const lengths = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(16_383, 16_384, 16_385, 40_000));
  fc.assert(
    fc.property(rounding, lengths, fc.nat(), (how, length, seed) => {
      const random = seededRandom(seed);
      const uniform = new Float32Array(new Int32Array(random.bytes(4 * length).buffer)).map((x) => x / 2 ** 31);
      const values = uniform.map((x, i) => (i % 11 === 0 ? Math.sign(x) * 3e38 : 1.5 * x * how.clip));
      const coinSeed = random.bytes(32);
      const lanes = new Uint32Array(length);
      expect(roundAll(lanes, values, how, { bytes: () => coinSeed })).toBe(true);
      const coins = new Uint32Array(length);
      keyStream(coinSeed, 0, 0).fill(new Uint8Array(coins.buffer));
      expect(lanes.every((lane, i) => lane === roundReference(values[i]!, coins[i]!, how))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('one value that is not finite is found, wherever it stands', () => {
  const how = { share: 1, clip: 1, laneMax: 255 };
  fc.assert(
    fc.property(fc.nat(20_000), fc.constantFrom(NaN, Infinity, -Infinity), (at, bad) => {
      const values = new Float32Array(20_001);
      expect(roundAll(new Uint32Array(20_001), values, how, seededRandom(1))).toBe(true);
      values[at] = bad;
      expect(roundAll(new Uint32Array(20_001), values, how, seededRandom(1))).toBe(false);
    }),
    { numRuns: 30 },
  );
});

describe('refused', () => {
  const quantiser: Quantiser = { clip: 1, bits: 8, maxWeight: 10 };
  const format = laneFormat(quantiser, 3, 10);
  const random = seededRandom('refused');
  test.each([NaN, Infinity, -Infinity])('%f in an update', (bad) => {
    expect(() => quantise(Float32Array.of(0, bad, 0), 1, quantiser, format, random)).toThrow('QUANTISE_NONFINITE');
  });
  test.each([0, -1, 1.5, 11, NaN])('a weight of %f', (weight) => {
    expect(() => quantise(new Float32Array(3), weight, quantiser, format, random)).toThrow('QUANTISE_WEIGHT');
  });
  test('an update of another length', () => {
    expect(() => quantise(new Float32Array(4), 1, quantiser, format, random)).toThrow('VECTOR_LENGTH');
  });
  test.each<[string, Partial<Quantiser>, number]>([
    ['a sum that needs more than 32 bits', { bits: 24 }, 257],
    ['one bit', { bits: 1 }, 2],
    ['25 bits', { bits: 25 }, 2],
    ['a clip of zero', { clip: 0 }, 2],
    ['an infinite clip', { clip: Infinity }, 2],
    ['a weight limit of zero', { maxWeight: 0 }, 2],
    ['a weight limit of 2^32', { maxWeight: 2 ** 32 }, 2],
  ])('%s', (_, change, clients) => {
    expect(() => laneFormat({ ...quantiser, ...change }, 3, clients)).toThrow('SECAGG_PARAMETERS');
  });
});

describe('lanes', () => {
  test.each<[number, number, number, number]>([
    // bits, clients, lanes per word, bytes per million parameters
    [12, 512, 3, 2.667],
    [8, 256, 4, 2.001],
    [8, 255, 4, 2.001],
    [16, 255, 2, 4.001],
    [12, 16, 4, 2.001],
  ])('%i bits for %i clients: %i lanes to the word', (bits, clients, lanesPerWord, bytes) => {
    const format = laneFormat({ clip: 1, bits, maxWeight: 1000 }, 1_000_000, clients);
    expect(format.lanesPerWord).toBe(lanesPerWord);
    expect(wordMask(format).payloadBytes / 1e6).toBeLessThanOrEqual(bytes);
  });

  test('packing and opening give the sum, whatever lane width', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 24 }),
        fc.integer({ min: 2, max: 255 }),
        fc.nat(),
        (bits, clients, seed) => {
          const format: LaneFormat = laneFormat({ clip: 1, bits, maxWeight: 7 }, 1 + (seed % 20), clients);
          const mask = wordMask(format);
          const full = new Uint32Array(format.values + format.weightLanes).fill(format.laneMax);
          const random = seededRandom(seed);
          const other = full.map((max) => new DataView(random.bytes(4).buffer).getUint32(0) % (max + 1));
          const seeds = [{ seed: random.bytes(32), sign: 1 as const }];
          const payloads = [
            mask.mask(other, seeds, random),
            ...Array.from({ length: clients - 1 }, () => mask.mask(full, [], random)),
          ];
          const sums = mask.open(payloads, seeds)!;
          expect(Array.from(sums)).toEqual(Array.from(other, (lane) => lane + (clients - 1) * format.laneMax));
        },
      ),
    );
  });

  test('an integer above its lane, and vectors of other lengths, are refused', () => {
    const { session } = makeWorld('lanes', 3);
    const mask = maskOf(session);
    const lanes = new Uint32Array(12);
    lanes[4] = 256;
    expect(() => mask.mask(lanes, [], seededRandom(1))).toThrow('QUANTISE_RANGE');
    expect(() => mask.mask(new Uint32Array(11), [], seededRandom(1))).toThrow('VECTOR_LENGTH');
    expect(() => mask.open([new Uint8Array(mask.payloadBytes - 1)], [])).toThrow('VECTOR_LENGTH');
  });

  test('sums that no honest inputs have are found: above the lanes, behind the last, in value and in weight', () => {
    const quantiser: Quantiser = { clip: 1, bits: 12, maxWeight: 100 };
    const format = laneFormat(quantiser, 4, 100);
    expect([format.lanesPerWord, format.laneBits]).toEqual([3, 21]);
    const mask = wordMask(format);
    const stray = new BigUint64Array(2);
    stray[0] = 1n << 63n;
    expect(mask.open([new Uint8Array(stray.buffer)], [])).toBeUndefined();
    expect(mask.open([new Uint8Array(BigUint64Array.of(0n, 1n << 42n).buffer)], [])).toBeUndefined();
    const sums = Uint32Array.of(2 * 4095, 0, 0, 0, 2);
    expect(dequantise(sums, 2, quantiser, format)?.weight).toBe(2);
    expect(dequantise(sums.with(0, 2 * 4095 + 1), 2, quantiser, format)).toBeUndefined();
    expect(dequantise(sums.with(4, 1), 2, quantiser, format)).toBeUndefined();
    expect(dequantise(sums.with(4, 201), 2, quantiser, format)).toBeUndefined();
    expect(dequantise(sums.subarray(1), 2, quantiser, format)).toBeUndefined();
  });
});
