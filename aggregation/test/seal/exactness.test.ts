import { dequantise, openSealRing, quantise, sealLanesOf, sealParametersOf, laneCount } from '@carapace/aggregation';
import { committeeOf, makeSealWorld, openedBy, sealInputOf } from '@carapace/aggregation/testing';
import type { SealWorld } from '@carapace/aggregation/testing';
import type { Bgv } from '@carapace/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

function randomLanes({ session, random }: SealWorld): Uint32Array {
  const format = sealLanesOf(session);
  const words = new Uint32Array(random.bytes(4 * laneCount(format)).buffer);
  return words.map((word) => word & format.laneMax);
}

function sumOf(lanes: readonly Uint32Array[]): Uint32Array {
  return lanes[0]!.map((_, i) => lanes.reduce((sum, each) => sum + each[i]!, 0));
}

describe.each([
  {
    name: 'two of three',
    holders: 3,
    threshold: 2,
    present: [1, 2, 3],
    quorums: [
      [1, 2],
      [1, 3],
      [2, 3],
    ],
  },
  { name: 'two of three, one absent from the beginning', threshold: 2, present: [1, 3], quorums: [[1, 3]] },
  { name: 'three of three', threshold: 3, present: [1, 2, 3], quorums: [[1, 2, 3]] },
])('$name', ({ name, threshold, present, quorums }) => {
  const world = makeSealWorld(name, 5, { threshold });
  let bgv: Bgv;
  beforeAll(async () => {
    bgv = await openSealRing(world.session);
  });
  afterAll(() => {
    bgv.free();
  });

  test('the sum of those who spoke is exact, whoever of the committee opens it', () => {
    const committee = committeeOf(world, bgv, present);
    const lanes = Array.from({ length: 5 }, () => randomLanes(world));
    const survivors = [0, 2, 3, 4];
    const inputs = new Map(survivors.map((i) => [i, sealInputOf(world, bgv, i, lanes[i]!, committee.key)]));
    const total = sumOf(survivors.map((i) => lanes[i]!));
    for (const quorum of quorums) expect(openedBy(world, bgv, committee, inputs, quorum)).toEqual(total);
  });
});

test('updates come out as their weighted mean, within the step of the quantiser; vectors of more than a block too', async () => {
  const values = 60_000;
  const world = makeSealWorld('mean', 3, { values, quantiser: { clip: 1, bits: 12, maxWeight: 10 } });
  const { session, random } = world;
  const bgv = await openSealRing(session);
  try {
    expect(sealParametersOf(session).blocks).toBeGreaterThan(1);
    const committee = committeeOf(world, bgv, [1, 2, 3]);
    const format = sealLanesOf(session);
    const updates = [0, 1, 2].map((client) =>
      Float32Array.from({ length: values }, (_, i) => Math.sin(i * (client + 1))),
    );
    const inputs = new Map(
      updates.map((update, i) => {
        const lanes = quantise(update, i + 1, session.quantiser, format, random);
        return [i, sealInputOf(world, bgv, i, lanes, committee.key)];
      }),
    );
    const mean = dequantise(openedBy(world, bgv, committee, inputs, [2, 3])!, 3, session.quantiser, format)!;
    expect(mean.weight).toBe(6);
    const far = mean.mean.filter((value, i) => {
      const exact = updates.reduce((sum, update, client) => sum + ((client + 1) * update[i]!) / 6, 0);
      return Math.abs(value - exact) > (3 * 2 * 10) / 4095 / 6;
    });
    expect(far).toHaveLength(0);
  } finally {
    bgv.free();
  }
});
