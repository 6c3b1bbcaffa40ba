import { contextOf, judgeMaskedInput, messageFor, secaggServerStep } from '@carapace/aggregation';
import type { ServerEffect, ServerState } from '@carapace/aggregation';
import { Coordinator, makeWorld, Participant, plainSum } from '@carapace/aggregation/testing';
import type { World } from '@carapace/aggregation/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAdvertisedKeys, encodeAdvertisedKeys } from '../../src/secagg/wire/advertise-keys.ts';
import { decodeSurvivorSignature, encodeSurvivorSignature } from '../../src/secagg/wire/consistency.ts';
import { decodeMaskedInput, encodeMaskedInput } from '../../src/secagg/wire/masked-input.ts';
import { decodeDealing, encodeDealing } from '../../src/secagg/wire/share-keys.ts';
import type { Dealing } from '../../src/secagg/wire/share-keys.ts';
import { decodeUnmaskReply, encodeUnmaskReply } from '../../src/secagg/wire/unmask.ts';
import type { Disclosure } from '../../src/secagg/wire/unmask.ts';

const N = 6;
const CHEAT = 4;
const lanes = Array.from({ length: N }, (_, member) => new Uint32Array(12).fill(10 + member));
const KINDS = ['key-list', 'share-delivery', 'survivors', 'signatures'] as const;

/** Changes what member 4 says at one step; undefined: it says nothing. */
type Cheat = (message: Uint8Array, context: Uint8Array) => Uint8Array | undefined;

/** An aggregation in which member 4 cheats at `step`, 0 to 4, and the members of `silent` are gone from a step on. */
function run(world: World, step: number, cheat: Cheat, silent: ReadonlyMap<number, number> = new Map()) {
  const context = contextOf(world.session);
  const coordinator = new Coordinator(world.session);
  const clients = world.people.map((_, member) => new Participant(world, member).join());
  for (let at = 0; at <= 4; at++) {
    const phase = coordinator.state.phase;
    for (const client of clients) {
      if ((silent.get(client.member) ?? 9) <= at || client.state.phase === 'aborted') continue;
      const message = client.member === CHEAT && at === step ? cheat(client.last, context) : client.last;
      if (message !== undefined) coordinator.receive(client.member, message);
    }
    if (coordinator.state.phase === phase) coordinator.close();
    const kind = KINDS[at];
    if (kind === undefined) break;
    for (const client of clients) {
      const message = messageFor(coordinator.state, client.member);
      if (message === undefined || (silent.get(client.member) ?? 9) <= at + 1) continue;
      client.tell({ kind, message });
      if (kind === 'share-delivery') client.tell({ kind: 'input', lanes: lanes[client.member]! });
    }
  }
  return { coordinator, clients };
}

const effectsOf = <K extends ServerEffect['kind']>(coordinator: Coordinator, kind: K) =>
  coordinator.effects.filter((effect): effect is Extract<ServerEffect, { kind: K }> => effect.kind === kind);

const refusals = (coordinator: Coordinator) =>
  effectsOf(coordinator, 'refuse').map(({ member, code }) => [member, code]);

const accusations = (coordinator: Coordinator) =>
  effectsOf(coordinator, 'accuse').map(({ member, code, subject }) => [member, code, subject]);

function expectSum(coordinator: Coordinator, survivors: readonly number[]): void {
  expect(coordinator.state).toEqual({ phase: 'completed', survivors });
  expect(Array.from(coordinator.sums!)).toEqual(plainSum(lanes, survivors));
}

const flip = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const others = [0, 1, 2, 3, 5];

describe('a refused message changes nothing: the client counts as dropped out, the sum of the others is exact', () => {
  test.each<[string, number, Cheat, string]>([
    ['nothing that parses', 0, () => Uint8Array.of(1, 2, 3), 'SECAGG_MALFORMED'],
    ['bytes left over', 0, (message) => new Uint8Array([...message, 0]), 'SECAGG_MALFORMED'],
    [
      'keys of another member',
      0,
      (m, c) => encodeAdvertisedKeys(c, { ...decodeAdvertisedKeys(c, m), member: 1 }),
      'SECAGG_MEMBER',
    ],
    ['keys with a bad signature', 0, (m) => flip(m, m.length - 1), 'SECAGG_SIGNATURE'],
    [
      'a key of low order',
      0,
      (m, c) => encodeAdvertisedKeys(c, { ...decodeAdvertisedKeys(c, m), maskKey: new Uint8Array(32) }),
      'SECAGG_KEY',
    ],
    ['another session', 0, (m) => flip(m, 6), 'SECAGG_CONTEXT'],
    [
      'a share too few',
      1,
      (m, c) =>
        encodeDealing(
          c,
          changeDealing(m, c, (d) => ({ ...d, shares: d.shares.slice(1) })),
        ),
      'SECAGG_LENGTH',
    ],
    [
      'shares in the name of another',
      1,
      (m, c) => encodeDealing(c, { ...decodeDealing(c, m), member: 1 }),
      'SECAGG_MEMBER',
    ],
    ['an input one byte short', 2, (m, c) => resize(m, c, -1), 'SECAGG_LENGTH'],
    ['an input one word long', 2, (m, c) => resize(m, c, 8), 'SECAGG_LENGTH'],
    [
      'an input in the name of another',
      2,
      (m, c) => encodeMaskedInput(c, { ...decodeMaskedInput(c, m), member: 1 }),
      'SECAGG_MEMBER',
    ],
    [
      'keys where shares are due',
      1,
      (_, c) => encodeSurvivorSignature(c, { member: CHEAT, signature: new Uint8Array(64) }),
      'SECAGG_MALFORMED',
    ],
  ])('%s', (_, step, cheat, code) => {
    const { coordinator } = run(makeWorld('refused', N), step, cheat);
    expect(refusals(coordinator)[0]).toEqual([CHEAT, code]);
    expectSum(coordinator, others);
  });

  test('a signature on other survivors', () => {
    const { coordinator } = run(makeWorld('refused', N), 3, (m, c) => {
      return encodeSurvivorSignature(c, { ...decodeSurvivorSignature(c, m), signature: new Uint8Array(64) });
    });
    expect(refusals(coordinator)).toEqual([[CHEAT, 'SECAGG_SIGNATURE']]);
    expectSum(coordinator, [0, 1, 2, 3, 4, 5]);
  });
});

const resize = (message: Uint8Array, context: Uint8Array, by: number): Uint8Array => {
  const { member, payload } = decodeMaskedInput(context, message);
  const resized = new Uint8Array(payload.length + by);
  resized.set(payload.subarray(0, resized.length));
  return encodeMaskedInput(context, { member, payload: resized });
};

function changeDealing(message: Uint8Array, context: Uint8Array, change: (dealing: Dealing) => Dealing): Dealing {
  return change(decodeDealing(context, message));
}

describe('said twice', () => {
  test('the same message again is the same; another one is refused, at every step', () => {
    const world = makeWorld('twice', N);
    const { clients } = run(world, 9, (message) => message);
    let state: ServerState = new Coordinator(world.session).state;
    for (let step = 0; step < 5; step++) {
      const first = clients[0]!.sent[step]!;
      const once = secaggServerStep(state, { kind: 'message', from: 0, message: first });
      const again = secaggServerStep(once.state, { kind: 'message', from: 0, message: first });
      expect(again.state).toEqual(once.state);
      expect(again.effects).toEqual([]);
      const other = secaggServerStep(once.state, { kind: 'message', from: 0, message: flip(first, first.length - 1) });
      expect(other.state).toBe(once.state);
      expect(other.effects).toMatchObject([{ kind: 'refuse', member: 0, code: 'SECAGG_DUPLICATE' }]);
      state = once.state;
      for (const client of clients.slice(1)) {
        state = secaggServerStep(state, { kind: 'message', from: client.member, message: client.sent[step]! }).state;
      }
    }
    expect(state.phase).toBe('opening');
  });

  test('the keys of another client are refused, although they are signed', () => {
    const world = makeWorld('copy', N);
    const clients = world.people.map((_, member) => new Participant(world, member).join());
    const coordinator = new Coordinator(world.session).receive(3, clients[3]!.last);
    const context = contextOf(world.session);
    const theirs = decodeAdvertisedKeys(context, clients[3]!.last);
    const text = new Uint8Array([...context, CHEAT, 0, ...theirs.sealingKey, ...theirs.maskKey]);
    const signature = world.people[CHEAT]!.key.sign('carapace/v1/secagg/advertise-keys', text);
    coordinator.receive(CHEAT, encodeAdvertisedKeys(context, { ...theirs, member: CHEAT, signature }));
    expect(refusals(coordinator)).toEqual([[CHEAT, 'SECAGG_KEY']]);
  });
});

describe('shares', () => {
  const world = makeWorld('bad shares', N);
  const change = (edit: (disclosures: readonly Disclosure[]) => readonly Disclosure[]): Cheat => {
    return (message, context) => {
      const reply = decodeUnmaskReply(context, message);
      return encodeUnmaskReply(context, { ...reply, disclosures: edit(reply.disclosures) });
    };
  };
  const gone = new Map([[1, 2]]);

  test('a wrong one of a survivor is named and not used', () => {
    const { coordinator } = run(
      world,
      4,
      change((all) =>
        all.map((d) => (d.kind === 'survivor' && d.member === 2 ? { ...d, selfShare: flip(d.selfShare) } : d)),
      ),
    );
    expect(accusations(coordinator)).toEqual([[CHEAT, 'SECAGG_SHARE_WRONG', 2]]);
    expectSum(coordinator, [0, 1, 2, 3, 4, 5]);
  });

  test('a wrong one of a dropped client is named and not used', () => {
    const { coordinator } = run(
      world,
      4,
      change((all) => all.map((d) => (d.kind === 'dropped' ? { ...d, keyShare: flip(d.keyShare!) } : d))),
      gone,
    );
    expect(accusations(coordinator)).toEqual([[CHEAT, 'SECAGG_SHARE_WRONG', 1]]);
    expectSum(coordinator, [0, 2, 3, 4, 5]);
  });

  test('a wrong seed of the mask shared with a dropped client is found, named and replaced', () => {
    const { coordinator } = run(
      world,
      4,
      change((all) => all.map((d) => (d.kind === 'dropped' ? { ...d, pairSeed: flip(d.pairSeed) } : d))),
      gone,
    );
    expect(effectsOf(coordinator, 'open')).toHaveLength(2);
    expect(accusations(coordinator)).toEqual([[CHEAT, 'SECAGG_SHARE_WRONG', 1]]);
    expectSum(coordinator, [0, 2, 3, 4, 5]);
  });

  test('missing ones are named', () => {
    const { coordinator } = run(
      world,
      4,
      change((all) => all.filter((d) => d.member !== 2 && d.member !== 3)),
    );
    expect(accusations(coordinator)).toEqual([
      [CHEAT, 'SECAGG_SHARE_MISSING', 2],
      [CHEAT, 'SECAGG_SHARE_MISSING', 3],
    ]);
    expectSum(coordinator, [0, 1, 2, 3, 4, 5]);
  });

  test('a share said twice, of a stranger, or of the wrong kind: the reply is refused', () => {
    const twice: Cheat = (message, context) => {
      const reply = decodeUnmaskReply(context, message);
      return encodeUnmaskReply(context, { ...reply, disclosures: [reply.disclosures[0]!, ...reply.disclosures] });
    };
    expect(refusals(run(world, 4, twice).coordinator)).toEqual([[CHEAT, 'SECAGG_MALFORMED']]);
    const stranger = change((all) => [...all, { ...all[0]!, member: 77 }]);
    expect(refusals(run(world, 4, stranger).coordinator)).toEqual([[CHEAT, 'SECAGG_MEMBER']]);
    const wrongKind = change((all) => all.with(2, { kind: 'dropped', member: 2, pairSeed: new Uint8Array(32) }));
    expect(refusals(run(world, 4, wrongKind).coordinator)).toEqual([[CHEAT, 'SECAGG_MEMBER']]);
  });

  test('a dealer whose boxes hold nothing: its holders say so, and without enough shares the round is abandoned, naming it', () => {
    const rotten: Cheat = (m, c) => {
      return encodeDealing(
        c,
        changeDealing(m, c, (d) => ({
          ...d,
          shares: d.shares.map((share) => (share.member === CHEAT ? share : { ...share, box: flip(share.box, 30) })),
        })),
      );
    };
    const { coordinator, clients } = run(world, 1, rotten);
    expect(clients[0]!.effects).toContainEqual({ kind: 'suspect', member: CHEAT, code: 'SECAGG_SHARE_WRONG' });
    expect(coordinator.state).toMatchObject({ phase: 'abandoned', code: 'SECAGG_SHARE_MISSING' });
    expect(accusations(coordinator).at(-1)).toEqual([CHEAT, 'SECAGG_SHARE_MISSING', CHEAT]);
    expect(coordinator.sums).toBeUndefined();
  });

  test('a dealer that commits to another seed than it dealt is named', () => {
    const { coordinator } = run(world, 1, (m, c) => {
      return encodeDealing(
        c,
        changeDealing(m, c, (d) => ({ ...d, seedCommitment: flip(d.seedCommitment) })),
      );
    });
    expect(coordinator.state).toMatchObject({ phase: 'abandoned', code: 'SECAGG_SHARES_INCONSISTENT' });
    expect(accusations(coordinator)).toEqual([[CHEAT, 'SECAGG_SHARES_INCONSISTENT', CHEAT]]);
  });
});

describe('inputs outside of their lanes', () => {
  test('a sum that no honest inputs have is not let out', () => {
    const world = makeWorld('stray', N);
    const stray: Cheat = (message, context) => {
      const { member, payload } = decodeMaskedInput(context, message);
      const changed = payload.slice();
      changed[7]! ^= 0x80;
      return encodeMaskedInput(context, { member, payload: changed });
    };
    const { coordinator } = run(world, 2, stray);
    expect([world.session.quantiser.bits, coordinator.sums]).toEqual([8, undefined]);
    expect(coordinator.state).toMatchObject({ phase: 'abandoned', code: 'SECAGG_LANE' });
  });
});

test('any bytes at any step: never a throw, and what is refused changes nothing', () => {
  const world = makeWorld('server fuzz', N);
  const { clients } = run(world, 9, (message) => message);
  const states: ServerState[] = [];
  let state: ServerState = new Coordinator(world.session).state;
  for (let step = 0; step < 5; step++) {
    states.push(state);
    for (const client of clients) {
      state = secaggServerStep(state, { kind: 'message', from: client.member, message: client.sent[step]! }).state;
    }
  }
  fc.assert(
    fc.property(
      fc.nat(4),
      fc.nat(4),
      fc.nat(9),
      fc.nat(),
      fc.nat(7),
      fc.option(fc.nat()),
      (at, step, from, place, bit, cut) => {
        const message = clients[from % N]!.sent[step]!.slice();
        message[place % message.length]! ^= 1 << bit;
        const sent = cut === null ? message : message.subarray(0, cut % message.length);
        const outcome = secaggServerStep(states[at]!, { kind: 'message', from, message: sent });
        if (at === 2) {
          // A shell that judges an input before it keeps it is told the same.
          const told = outcome.effects.find((effect) => effect.kind === 'refuse');
          const judged = judgeMaskedInput(states[at]!, from, sent);
          expect(judged?.code).toBe(told?.code);
        }
        if (outcome.effects[0]?.kind === 'refuse') expect(outcome.state).toBe(states[at]);
        else expect([at, cut]).toEqual([step, null]);
      },
    ),
    { numRuns: 500 },
  );
});
