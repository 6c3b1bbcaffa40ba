import { dequantise, laneCount, quantise, quantiserError, sharesLanesOf } from '@carapace/aggregation';
import { makeSharesWorld, plainSum, runShares } from '@carapace/aggregation/testing';
import type { SharesWorld } from '@carapace/aggregation/testing';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** Inputs that use the whole lane, the largest integer included. */
function makeLanes({ session }: SharesWorld, seed: number | string): Uint32Array[] {
  const random = seededRandom(`lanes/${seed}`);
  const format = sharesLanesOf(session);
  const count = laneCount(format);
  return session.cohort.map(() =>
    Uint32Array.from(new Uint32Array(random.bytes(4 * count).buffer), (word, i) =>
      i % 3 === 0 ? format.laneMax : word & format.laneMax,
    ),
  );
}

function check(world: SharesWorld, present: readonly number[], spoiled: ReadonlySet<number> = new Set()): void {
  const lanes = makeLanes(world, present.join());
  const { members, sums } = runShares(world, lanes, present, spoiled);
  expect(Array.from(sums!)).toEqual(plainSum(lanes, members));
}

function subsets(clients: number): number[][] {
  const all = Array.from({ length: clients }, (_, member) => member);
  return Array.from({ length: 2 ** clients }, (_, bits) => all.filter((member) => (bits >> member) & 1));
}

test.each([3, 4, 5])('of %i clients, every set that may be left, whoever of it dealt a bad share', (clients) => {
  const world = makeSharesWorld(`all/${clients}`, clients);
  let sums = 0;
  let refused = 0;
  for (const present of subsets(clients)) {
    for (const bits of subsets(present.length)) {
      const spoiled = new Set(bits.map((at) => present[at]!));
      if (present.length - spoiled.size >= world.session.minimumSurvivors) {
        check(world, present, spoiled);
        sums++;
      } else {
        expect(() => check(world, present, spoiled)).toThrow(/SECAGG_COHORT_SMALL/);
        refused++;
      }
    }
  }
  expect(sums + refused).toBe(3 ** clients);
});

test('random cohorts, lanes and drop-outs', () => {
  const scenes = fc.integer({ min: 3, max: 20 }).chain((clients) =>
    fc.record({
      clients: fc.constant(clients),
      present: fc.subarray(
        Array.from({ length: clients }, (_, member) => member),
        { minLength: 3 },
      ),
      bits: fc.integer({ min: 2, max: 24 }),
      values: fc.integer({ min: 1, max: 40 }),
      maxWeight: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      seed: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(scenes, ({ clients, present, bits, values, maxWeight, seed }) => {
      check(makeSharesWorld(seed, clients, { values, quantiser: { clip: 1, bits, maxWeight } }), present);
    }),
    { numRuns: 30 },
  );
});

test('200 clients of whom 60 are missing', () => {
  const world = makeSharesWorld('large', 200, { values: 100, minimumSurvivors: 100 });
  check(
    world,
    Array.from({ length: 140 }, (_, i) => i + 30),
  );
});

test('what comes out is the mean of the updates, to the bound of the quantiser', () => {
  const world = makeSharesWorld('mean', 7, { values: 50 });
  const { session } = world;
  const format = sharesLanesOf(session);
  const random = seededRandom('mean');
  const updates = session.cohort.map(() => Float32Array.from(random.bytes(50), (byte) => byte / 128 - 1));
  const weights = session.cohort.map((_, member) => 10 * member + 5);
  const lanes = updates.map((update, i) => quantise(update, weights[i]!, session.quantiser, format, random));
  const present = [0, 2, 3, 6];
  const { sums } = runShares(world, lanes, present);
  const total = present.reduce((sum, member) => sum + weights[member]!, 0);
  const mean = dequantise(sums!, present.length, session.quantiser, format)!;
  expect(mean.weight).toBe(total);
  const { worst } = quantiserError(session.quantiser, present.length, total);
  for (let i = 0; i < 50; i++) {
    const plain = present.reduce((sum, member) => sum + weights[member]! * updates[member]![i]!, 0) / total;
    expect(Math.abs(mean.mean[i]! - plain)).toBeLessThanOrEqual(worst);
  }
});
