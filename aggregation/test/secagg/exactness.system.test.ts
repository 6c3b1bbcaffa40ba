/** Sums at the size of real rounds, in a process of its own because it takes its time: 10^8 lanes in mode rlwe, a quarter in words. */
import { laneCount, laneFormat, MASK_MODES, thresholdsFor } from '@carapace/aggregation';
import type { MaskMode, SignedSeed } from '@carapace/aggregation';
import { makeWorld, plainSum, runAggregation } from '@carapace/aggregation/testing';
import type { Lifetime } from '@carapace/aggregation/testing';
import { keyStream, sample, sha256, utf8 } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { pairSign } from '../../src/secagg/derivation.ts';
import { vectorMask } from '../../src/secagg/mask-mode.ts';

/** A ring in the order of the members stands for the graph: what the masks are to each other is the same on any. */
function peersOf(member: number, clients: number, neighbours: number): number[] {
  const all = Array.from({ length: clients }, (_, other) => other).filter((other) => other !== member);
  if (neighbours >= clients - 1) return all;
  return all.filter((other) => {
    const distance = Math.abs(other - member);
    return Math.min(distance, clients - distance) <= neighbours / 2;
  });
}

const seedOf = (a: number, b: number): Uint8Array => sha256(utf8(`exact/${Math.min(a, b)}/${Math.max(a, b)}`));

function randomLanes(count: number, laneMax: number, random: RandomSource): Uint32Array {
  const lanes = new Uint32Array(count);
  keyStream(random.bytes(32), 0, 0).fill(new Uint8Array(lanes.buffer));
  for (let i = 0; i < count; i++) lanes[i]! &= laneMax;
  return lanes;
}

/** How many lanes of the opened sum are not the sum of the lanes. */
function mismatches(
  mode: MaskMode,
  clients: number,
  values: number,
  neighbours: number,
): { wrong: number; lanes: number } {
  const random = seededRandom(`exact/${mode}/${clients}`);
  const format = laneFormat({ clip: 1, bits: 10, maxWeight: 1000 }, values, clients);
  const mask = vectorMask(mode, format, random.bytes(32));
  const everybody = Array.from({ length: clients }, (_, member) => member);
  const least = Math.min(clients, Math.max(2, Math.floor((2 * clients) / 3) + 1));
  const survivors = new Set(sample(random, everybody, clients < 3 ? 2 : least));
  const sum = mask.sum();
  const expected = new Uint32Array(laneCount(format));
  const left: SignedSeed[] = [];
  for (const member of survivors) {
    const lanes = randomLanes(expected.length, format.laneMax, random);
    for (let i = 0; i < lanes.length; i++) expected[i]! += lanes[i]!;
    const own: SignedSeed = { seed: seedOf(member, member), sign: 1 };
    const pairs = peersOf(member, clients, neighbours).map((peer) => {
      return { peer, seed: seedOf(member, peer), sign: pairSign(member, peer) };
    });
    expect(sum.add(mask.mask(lanes, [own, ...pairs], random))).toBe(true);
    left.push(own, ...pairs.filter(({ peer }) => !survivors.has(peer)));
  }
  const opened = sum.open(left)!;
  let wrong = 0;
  for (let i = 0; i < expected.length; i++) if (opened[i] !== expected[i]) wrong++;
  return { wrong, lanes: expected.length * survivors.size };
}

describe.each(MASK_MODES)('mode %s', (mode) => {
  let lanes = 0;
  test.each([
    // clients, values, neighbours
    [2, 2_000_000, 1],
    [3, 2_000_000, 2],
    [5, 2_000_000, 4],
    [12, 2_000_000, 11],
    [13, 2_000_000, 12],
    [50, 600_000, 49],
    [100, 200_000, 99],
    [255, 60_000, 254],
    [256, 50_000, 16],
    [1000, 15_000, 16],
  ])('%i clients, %i values', (clients, values, neighbours) => {
    // A mask for each of the others is as long as the vector.
    const found = mismatches(mode, clients, mode === 'words' ? values / 4 : values, neighbours);
    expect(found.wrong).toBe(0);
    lanes += found.lanes;
  });

  test('were enough lanes in all', () => {
    expect(lanes).toBeGreaterThan(mode === 'words' ? 2.5e7 : 1e8);
  });
});

const LEAVING = [2, 4, 3, 1] as const;
/** Minutes on a machine that does other things too. */
const PATIENCE = { timeout: 600_000 };

describe('the whole protocol', PATIENCE, () => {
  test.each([
    // clients, of whom speak at all, of whom fall silent later
    [255, 174, 2, thresholdsFor(255)],
    [256, 142, 4, thresholdsFor(256)],
    [1000, 508, 4, { neighbours: 10, threshold: 7, colluding: 0, minimumSurvivors: 501 }],
  ] as const)(
    '%i clients, of whom %i advertise keys and %i drop out later',
    (clients, speaking, silent, thresholds) => {
      const world = makeWorld(`exact/${clients}`, clients, { mode: 'rlwe', values: 20, ...thresholds });
      const random = seededRandom(`exact/lifetimes/${clients}`);
      const everybody = Array.from({ length: clients }, (_, member) => member);
      const present = sample(random, everybody, speaking);
      const lifetimes = new Array<Lifetime>(clients).fill(0);
      present.forEach((member, i) => (lifetimes[member] = i < silent ? LEAVING[i % 4]! : 5));
      const lanes = everybody.map(() => randomLanes(22, 255, random));
      const { coordinator } = runAggregation(world, lanes, lifetimes, false);
      const survivors = everybody.filter((member) => lifetimes[member]! >= 3);
      expect(coordinator.state).toEqual({ phase: 'completed', survivors });
      expect(Array.from(coordinator.sums!)).toEqual(plainSum(lanes, survivors));
    },
  );
});
