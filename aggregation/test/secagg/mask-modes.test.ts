import {
  checkSession,
  contextOf,
  DEFAULT_FLOOR,
  laneFormat,
  lanesOf,
  MASK_MODES,
  maskOf,
  messageFor,
  modeFor,
  payloadBytes,
  secaggServerStep,
} from '@carapace/aggregation';
import type { MaskMode, Session, SignedSeed } from '@carapace/aggregation';
import { Coordinator, makeWorld, Participant, plainSum, runAggregation } from '@carapace/aggregation/testing';
import type { Lifetime, World } from '@carapace/aggregation/testing';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rlweParametersFor } from '../../src/secagg/rlwe-mask.ts';
import { decodeMaskedInput, encodeMaskedInput } from '../../src/secagg/wire/masked-input.ts';

const inMode = (session: Session, mode: MaskMode): Session => ({ ...session, mode });

function randomLanes(world: World, seed: string | number): Uint32Array[] {
  const format = lanesOf(world.session);
  const random = seededRandom(`modes/${seed}`);
  return world.people.map(() =>
    new Uint32Array(random.bytes(4 * (format.values + format.weightLanes)).buffer).map((word) => word & format.laneMax),
  );
}

test('both modes open the same sum for the same survivors and lanes', () => {
  const lifetimes = fc.array(fc.constantFrom<Lifetime>(5, 5, 5, 5, 1, 2, 3, 4), { minLength: 6, maxLength: 16 });
  fc.assert(
    fc.property(lifetimes, fc.integer({ min: 2, max: 16 }), fc.nat(), (lives, bits, seed) => {
      const quantiser = { clip: 1, bits, maxWeight: 1000 };
      const threshold = Math.floor(lives.length / 2) + 1;
      const change = { quantiser, values: 50, threshold, minimumSurvivors: threshold, colluding: 0 };
      const ran = MASK_MODES.map((mode) => {
        const world = makeWorld(seed, lives.length, { ...change, mode });
        return { lanes: randomLanes(world, seed), ...runAggregation(world, randomLanes(world, seed), lives, false) };
      });
      const [words, rlwe] = ran.map(({ coordinator }) => coordinator);
      expect(rlwe!.state).toEqual(words!.state);
      expect(rlwe!.sums).toEqual(words!.sums);
      if (words!.state.phase === 'completed') {
        expect(Array.from(rlwe!.sums!)).toEqual(plainSum(ran[0]!.lanes, words!.state.survivors));
      }
    }),
    { numRuns: 15 },
  );
});

describe.each(MASK_MODES)('mode %s', (mode) => {
  const world = makeWorld('mode', 4, { mode, values: 9000 });
  const mask = maskOf(world.session);
  const lanes = randomLanes(world, 1);
  const random = seededRandom('mode');
  const seeds: SignedSeed[] = [{ seed: random.bytes(32), sign: 1 }];

  test('has the length that it says', () => {
    const payload = mask.mask(lanes[0]!, seeds, random);
    expect(payload.length).toBe(mask.payloadBytes);
    expect(payload.length).toBe(payloadBytes(mode, lanesOf(world.session)));
    expect(mask.accepts(payload)).toBe(true);
    expect(mask.accepts(payload.subarray(1))).toBe(false);
  });

  test('adds up one by one what `open` adds up at once, from unaligned bytes too', () => {
    const payloads = lanes.map((vector) => mask.mask(vector, [], random));
    payloads[0] = mask.mask(lanes[0]!, seeds, random);
    const sum = mask.sum();
    for (const payload of payloads) {
      const shifted = new Uint8Array(payload.length + 3).subarray(3);
      shifted.set(payload);
      expect(sum.add(shifted)).toBe(true);
    }
    expect(sum.inputs).toBe(4);
    expect(() => sum.add(payloads[0]!.subarray(8))).toThrow('VECTOR_LENGTH');
    expect(Array.from(sum.open(seeds)!)).toEqual(plainSum(lanes, [0, 1, 2, 3]));
    expect(sum.open(seeds)).toEqual(mask.open(payloads, seeds));
    expect(sum.open([])).toBeUndefined();
  });

  test('a retry after a crash is the same bytes', () => {
    const { clients } = runAggregation(world, lanes, [5, 5, 5, 5]);
    const again = runAggregation(world, lanes, [5, 5, 5, 3]);
    expect(again.clients[3]!.last).toEqual(clients[3]!.sent[2]);
  });

  test('sessions whose sums fit nowhere are refused', () => {
    const session = makeWorld('narrow', 255, { mode, quantiser: { clip: 1, bits: 24, maxWeight: 1 } }).session;
    if (mode === 'words') checkSession(session);
    else expect(() => checkSession(session)).toThrow('SECAGG_PARAMETERS');
  });
});

describe('mode rlwe', () => {
  const world = makeWorld('rlwe', 5, { mode: 'rlwe', threshold: 4, minimumSurvivors: 4, colluding: 0 });
  const lanes = randomLanes(world, 2);

  test('a client has a key of its own for every call, so equal inputs under equal seeds share no bytes', () => {
    const mask = maskOf(world.session);
    const random = seededRandom('twice');
    const [one, two] = [mask.mask(lanes[0]!, [], random), mask.mask(lanes[0]!, [], random)];
    expect(one).not.toEqual(two);
  });

  test('bytes that no mask writes are refused by name, and the round goes on without them', () => {
    const coordinator = new Coordinator(world.session);
    const clients = world.people.map((_, member) => new Participant(world, member));
    for (const client of clients) coordinator.receive(client.member, client.join().last);
    for (const kind of ['key-list', 'share-delivery'] as const) {
      const state = coordinator.state;
      for (const client of clients) {
        client.tell({ kind, message: messageFor(state, client.member)! });
        if (kind === 'key-list') coordinator.receive(client.member, client.last);
        else client.tell({ kind: 'input', lanes: lanes[client.member]! });
      }
    }
    const context = contextOf(world.session);
    const { payload } = decodeMaskedInput(context, clients[4]!.last);
    const wrong = Uint8Array.from(payload).fill(0xff, 0, 30);
    coordinator.receive(4, encodeMaskedInput(context, { member: 4, payload: wrong }));
    expect(coordinator.effects.at(-1)).toMatchObject({ kind: 'refuse', member: 4, code: 'SECAGG_MALFORMED' });
    for (const client of clients.slice(0, 4)) coordinator.receive(client.member, client.last);
    coordinator.close();
    for (const kind of ['survivors', 'signatures'] as const) {
      const state = coordinator.state;
      for (const client of clients.slice(0, 4)) {
        client.tell({ kind, message: messageFor(state, client.member)! });
        coordinator.receive(client.member, client.last);
      }
    }
    expect(coordinator.state).toEqual({ phase: 'completed', survivors: [0, 1, 2, 3] });
    expect(Array.from(coordinator.sums!)).toEqual(plainSum(lanes, [0, 1, 2, 3]));
  });

  test('a sum takes nothing of a payload that it refuses', () => {
    const mask = maskOf(world.session);
    const random = seededRandom('all or nothing');
    const sum = mask.sum();
    expect(sum.add(mask.mask(lanes[0]!, [], random))).toBe(true);
    // The very last residue of the masked vector.
    const { maskedBytes } = rlweParametersFor(lanesOf(world.session));
    const wrong = mask.mask(lanes[1]!, [], random);
    wrong.fill(0xff, maskedBytes - 16, maskedBytes);
    expect(sum.add(wrong)).toBe(false);
    expect(sum.add(mask.mask(lanes[2]!, [], random))).toBe(true);
    expect(sum.inputs).toBe(2);
    expect(Array.from(sum.open([])!)).toEqual(plainSum(lanes, [0, 2]));
  });

  test('a payload of another session spoils the sum, and the sum says so', () => {
    const random = seededRandom('foreign');
    const other = maskOf({ ...world.session, attempt: 2 });
    const mask = maskOf(world.session);
    const payloads = [mask.mask(lanes[0]!, [], random), other.mask(lanes[1]!, [], random)];
    expect(mask.open(payloads, [])).toBeUndefined();
  });

  test.each([
    // values, clients, bits of a value, ring, bytes a value
    [100, 20, 12, 'rlwe-4096-90', 527],
    // Equally short in the ring of 210 bits: the more cautious one is listed first.
    [42 * 6400 - 1, 20, 22, 'rlwe-8192-180', 3.82],
    [1_000_000, 20, 12, 'rlwe-8192-210', 2.41],
    [1_000_000, 512, 12, 'rlwe-8192-210', 2.95],
    [1_000_000, 256, 8, 'rlwe-8192-210', 2.25],
  ])(
    '%i values of %i clients and %i bits take the ring with the fewest bytes',
    (values, clients, bits, ring, bytes) => {
      const format = laneFormat({ clip: 1, bits, maxWeight: 1000 }, values, clients);
      expect(rlweParametersFor(format).ring.name).toBe(ring);
      expect(payloadBytes('rlwe', format) / values).toBeLessThanOrEqual(bytes);
    },
  );
});

test('small cohorts take pairwise masks, larger ones RLWE, and a client refuses a mode that it was not told to accept', () => {
  expect([2, 12, 13, 255].map(modeFor)).toEqual(['words', 'words', 'rlwe', 'rlwe']);
  expect(DEFAULT_FLOOR.modes).toEqual(['words', 'rlwe']);
  const world = makeWorld('refused mode', 3);
  const session = inMode(world.session, 'rlwe');
  const floor = { ...DEFAULT_FLOOR, modes: ['words'] as const };
  const { state } = new Participant(world, 0).join({ floor }, session);
  expect(state).toMatchObject({ phase: 'aborted', code: 'SECAGG_POLICY' });
  expect(secaggServerStep(new Coordinator(session).state, { kind: 'close' }).state.phase).toBe('abandoned');
});
