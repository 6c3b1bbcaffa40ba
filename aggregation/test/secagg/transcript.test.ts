import { contextOf, decodeSession, encodeSession, MASK_MODES, openRoster } from '@carapace/aggregation';
import { makeWorld, runAggregation } from '@carapace/aggregation/testing';
import type { Lifetime, World } from '@carapace/aggregation/testing';
import { addMask, toHex } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMaskedInput } from '../../src/secagg/wire/masked-input.ts';

const always = (world: World): Lifetime[] => world.people.map(() => 5);

/** What the coordinator holds of each client, as words. */
function payloads(world: World, fill: (member: number) => number): BigUint64Array[] {
  const { values, cohort } = world.session;
  const lanes = cohort.map((_, member) => new Uint32Array(values + 2).fill(fill(member)));
  const { clients } = runAggregation(world, lanes, always(world), false);
  return clients.map((client) => {
    const { payload } = decodeMaskedInput(contextOf(world.session), client.sent[2]!);
    return new BigUint64Array(Uint8Array.from(payload).buffer);
  });
}

const bytesOf = (words: BigUint64Array): Uint8Array => new Uint8Array(words.buffer);

/** Six standard deviations above the mean of a chi-square with 255 degrees of freedom. */
const CHI_SQUARE_LIMIT = 255 + 6 * Math.sqrt(2 * 255);

function chiSquare(bytes: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]!++;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe.each(MASK_MODES)('what the coordinator sees of one client, mode %s', (mode) => {
  const session = { mode, values: 80_000, quantiser: { clip: 1, bits: 8, maxWeight: 1000 } };
  const world = makeWorld('transcript', 3, session);
  const zero = payloads(world, () => 0);
  const full = payloads(world, (member) => (member === 1 ? 255 : 0));

  test('is uniform, whatever the input', () => {
    for (const words of [...zero, ...full]) expect(chiSquare(bytesOf(words))).toBeLessThan(CHI_SQUARE_LIMIT);
  });

  test('and with uniform differences between clients, and between two clients with different inputs', () => {
    for (const [a, b] of [
      [zero[0]!, zero[1]!],
      [zero[1]!, zero[2]!],
      [full[0]!, full[1]!],
    ] as const) {
      const difference = a.map((word, i) => BigInt.asUintN(64, word - b[i]!));
      expect(chiSquare(bytesOf(difference))).toBeLessThan(CHI_SQUARE_LIMIT);
    }
  });

  test('no mask word comes twice, within a client or between clients', () => {
    const words = zero.flatMap((payload) => Array.from(payload));
    expect(new Set(words).size).toBe(words.length);
  });

  test('the same statistic finds an input that is not masked', () => {
    expect(chiSquare(new Uint8Array(80_000).fill(3))).toBeGreaterThan(CHI_SQUARE_LIMIT);
  });
});

test('the seeds of one session are all different, and different in every other session', () => {
  const seen = new Set<string>();
  let count = 0;
  for (const attempt of [1, 2]) {
    const world = makeWorld('seeds', 5, { attempt });
    const lanes = world.people.map(() => new Uint32Array(12));
    const { coordinator } = runAggregation(world, lanes, [5, 5, 5, 5, 2]);
    const open = coordinator.effects.find((effect) => effect.kind === 'open')!;
    for (const { seed } of open.masks) {
      const words = new BigUint64Array(1);
      addMask(words, seed);
      seen.add(toHex(seed)).add(words[0]!.toString());
      count += 2;
    }
  }
  // Per session: four own masks, and four shared with the client that dropped out.
  expect(count).toBe(2 * 2 * 8);
  expect(seen.size).toBe(count);
});

describe('the context', () => {
  const world = makeWorld('context', 5);
  const { session } = world;

  test('a session has one spelling', () => {
    const bytes = encodeSession(session);
    expect(encodeSession(decodeSession(bytes))).toEqual(bytes);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const changed = bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        let decoded;
        try {
          decoded = decodeSession(changed);
        } catch (error) {
          expect(String(error)).toMatch(/MESSAGE_INVALID|SECAGG_PARAMETERS/);
          return;
        }
        expect(encodeSession(decoded)).toEqual(changed);
        expect(contextOf(decoded)).not.toEqual(contextOf(session));
      }),
      { numRuns: 500 },
    );
  });

  test('every part of a session changes it', () => {
    const other = makeWorld('context/2', 5).session;
    const changes = [
      {},
      { round: other.round.replace('7', '8') as typeof other.round },
      { attempt: 2 },
      { model: session.work },
      { work: session.model },
      { values: 11 },
      { quantiser: { ...session.quantiser, clip: 2 } },
      { quantiser: { ...session.quantiser, bits: 9 } },
      { quantiser: { ...session.quantiser, maxWeight: 999 } },
      { threshold: 5, minimumSurvivors: 5 },
      { minimumSurvivors: 5 },
      { colluding: 1 },
      { roster: other.roster },
      { cohort: other.cohort },
      { deadline: 1 },
      { mode: 'rlwe' as const },
    ];
    const contexts = changes.map((change) => toHex(contextOf({ ...session, ...change })));
    expect(new Set(contexts).size).toBe(changes.length);
  });

  test('the roster reads back, in the order of the clients', () => {
    const keys = { authority: world.authority.publicKey, coordinator: world.authority.publicKey };
    const { roster, trust } = openRoster(world.roster, keys);
    expect(trust).toBe('authority');
    expect(roster.members).toEqual(session.cohort);
    expect(roster.digest).toBe(session.roster);
  });
});
