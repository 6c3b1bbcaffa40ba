import { sharesContextOf, sumRequest, takeRequest, judgeShareInput } from '@carapace/aggregation';
import { aggregatorOf, inputOf, makeSharesWorld } from '@carapace/aggregation/testing';
import { describe, expect, test } from 'vitest';
import { decodeShareInput } from '../../src/shares/wire/share-input.ts';

/** Six standard deviations above the mean of a chi-square with 255 degrees of freedom: one run in 10^8 alarms falsely. */
const CHI_SQUARE_LIMIT = 255 + 6 * Math.sqrt(2 * 255);

function chiSquare(bytes: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]!++;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('what either aggregator holds of one client', () => {
  const world = makeSharesWorld('transcript', 3, { values: 80_000 });
  const { session } = world;
  const state = aggregatorOf(world);
  const inputs = [0, 255, 7].map((fill, member) => {
    const lanes = new Uint32Array(80_002).fill(fill);
    return inputOf(world, member, lanes, state.outbox);
  });
  const words = inputs.map((input) => {
    const { payload } = decodeShareInput(sharesContextOf(session), input);
    return new BigUint64Array(Uint8Array.from(payload).buffer);
  });

  test('is uniform at the coordinator, whatever the input', () => {
    for (const share of words) expect(chiSquare(new Uint8Array(share.buffer))).toBeLessThan(CHI_SQUARE_LIMIT);
  });

  test('no word of a share comes twice, within a client or between clients', () => {
    const seen = words.flatMap((share) => Array.from(share));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('is a seed at the aggregator that was drawn without a look at the input: the same draw, whatever is hidden', () => {
    const seeds = [0, 255].map((fill) => {
      const same = makeSharesWorld('same-draw', 3);
      const key = aggregatorOf(same);
      const deposits = same.people.map((_, member) => {
        const input = inputOf(same, member, new Uint32Array(12).fill(fill), key.outbox);
        const judged = judgeShareInput(same.session, member, input);
        if (judged.kind === 'refused') throw new Error(judged.code);
        return judged.deposit;
      });
      const taken = takeRequest(key, sumRequest(same.session, deposits));
      if (taken.kind === 'refused') throw new Error(taken.code);
      return taken.seeds;
    });
    expect(seeds[0]).toEqual(seeds[1]);
  });

  test('the same statistic finds an input that is not shared', () => {
    expect(chiSquare(new Uint8Array(80_000).fill(3))).toBeGreaterThan(CHI_SQUARE_LIMIT);
  });
});
