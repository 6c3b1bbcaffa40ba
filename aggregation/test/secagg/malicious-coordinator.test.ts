import {
  contextOf,
  DEFAULT_FLOOR,
  messageFor,
  newClientId,
  openSession,
  secaggServerStep,
  signRoster,
  thresholdsFor,
} from '@carapace/aggregation';
import type { ClientEffect, ClientFloor, ServerState, Session, Standing } from '@carapace/aggregation';
import { Coordinator, digestOf, makeWorld, Participant, runAggregation } from '@carapace/aggregation/testing';
import type { World } from '@carapace/aggregation/testing';
import { fromHex, generateExchangeKey, generateSigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAdvertisedKeys, decodeKeyList, encodeKeyList } from '../../src/secagg/wire/advertise-keys.ts';
import type { AdvertisedKeys } from '../../src/secagg/wire/advertise-keys.ts';
import { decodeSurvivorSignature, encodeSignatures, encodeSurvivors } from '../../src/secagg/wire/consistency.ts';
import type { SurvivorSignature } from '../../src/secagg/wire/consistency.ts';
import { decodeDealing, decodeDelivery, encodeDelivery } from '../../src/secagg/wire/share-keys.ts';
import type { DealtShares } from '../../src/secagg/wire/share-keys.ts';
import { decodeUnmaskReply } from '../../src/secagg/wire/unmask.ts';
import type { Disclosure } from '../../src/secagg/wire/unmask.ts';

const N = 6;
const lanes = new Uint32Array(12).fill(3);

/** Six honest clients that have gone as far as `upTo`, and what an honest coordinator holds then. */
function advance(world: World, upTo: 'advertised' | 'shared' | 'keyed' | 'masked' | 'consistent') {
  const clients = world.people.map((_, member) => new Participant(world, member).join());
  const coordinator = new Coordinator(world.session);
  const kinds = ['key-list', 'share-delivery', 'survivors'] as const;
  for (const kind of kinds) {
    for (const client of clients) coordinator.receive(client.member, client.last);
    if (clients[0]!.state.phase === upTo) break;
    const messages = clients.map((client) => messageFor(coordinator.state, client.member)!);
    clients.forEach((client, i) => client.tell({ kind, message: messages[i]! }));
    if (clients[0]!.state.phase === upTo) break;
    if (kind === 'share-delivery') for (const client of clients) client.tell({ kind: 'input', lanes });
    if (clients[0]!.state.phase === upTo) break;
  }
  return { world, clients, coordinator, context: contextOf(world.session) };
}

function expectAborted(client: Participant, code: string): void {
  expect(client.state).toMatchObject({ phase: 'aborted', code });
  expect(client.effects.at(-1)).toMatchObject({ kind: 'abort', code });
}

describe('step 0: what is proposed', () => {
  const world = makeWorld('propose', N);
  const floor: ClientFloor = {
    ...DEFAULT_FLOOR,
    minimumCohort: 5,
    minimumSurvivors: 5,
    minimumColludingShare: 0.3,
    acceptCoordinatorRoster: false,
    rosterSerial: 1,
  };
  const join = (change: Partial<Standing>, session: Session = world.session, roster = world.roster) =>
    new Participant(world, 2).join({ floor, ...change }, session, roster);

  test('an honest proposal is accepted, and the trust is said', () => {
    const client = join({});
    expect(client.state.phase).toBe('advertised');
    expect(client.effects[0]).toEqual({ kind: 'trust', trust: 'authority' });
  });

  test.each<[string, Partial<Session>, string]>([
    ['a cohort of four', { cohort: world.session.cohort.slice(0, 4), ...thresholdsFor(4) }, 'SECAGG_POLICY'],
    [
      'a cohort of one',
      { cohort: world.session.cohort.slice(2, 3), threshold: 1, minimumSurvivors: 1 },
      'SECAGG_POLICY',
    ],
    ['a sum of four', { threshold: 4, minimumSurvivors: 4, colluding: 1 }, 'SECAGG_POLICY'],
    ['a lower threshold', { threshold: 4, minimumSurvivors: 5, colluding: 1 }, 'SECAGG_POLICY'],
    ['a threshold below the rule', { threshold: 3, minimumSurvivors: 5, colluding: 2 }, 'SECAGG_POLICY'],
    ['a threshold of one', { threshold: 1, minimumSurvivors: 5, colluding: 0 }, 'SECAGG_POLICY'],
    ['fewer that may collude', { colluding: 1 }, 'SECAGG_POLICY'],
    ['another model', { model: digestOf('other weights') }, 'SECAGG_MODEL'],
    ['other work', { work: digestOf('other work') }, 'SECAGG_MODEL'],
    ['another length', { values: 11 }, 'SECAGG_MODEL'],
    ['another roster', { roster: digestOf('other roster') }, 'SECAGG_ROSTER'],
    [
      'a cohort without this client',
      { cohort: world.session.cohort.toSpliced(2, 1), threshold: 4, minimumSurvivors: 5, colluding: 2 },
      'SECAGG_MEMBER',
    ],
  ])('%s is refused', (_, change, code) => {
    expectAborted(join({}, { ...world.session, ...change }), code);
  });

  test('lanes in which the sum overflows are refused', () => {
    const outcome = new Participant(world, 2);
    expectAborted(
      outcome.join({ floor }, { ...world.session, quantiser: { ...world.session.quantiser, bits: 30 } }),
      'SECAGG_POLICY',
    );
  });

  test('invented clients: a stranger in the cohort, or a key that is not the enrolled one', () => {
    const random = seededRandom('stranger');
    const stranger = { client: newClientId(random), identity: generateSigningKey(random).publicKey };
    const byId = (a: { client: string }, b: { client: string }) => (a.client < b.client ? -1 : 1);
    const cohort = [...world.session.cohort.slice(0, 5), stranger].sort(byId);
    expectAborted(join({}, { ...world.session, cohort }), 'SECAGG_ROSTER');
    const swapped = world.session.cohort.with(4, { ...world.session.cohort[4]!, identity: stranger.identity });
    expectAborted(join({}, { ...world.session, cohort: swapped }), 'SECAGG_ROSTER');
  });

  test('a roster that the coordinator signed, where an authority is pinned', () => {
    const coordinator = generateSigningKey(seededRandom('coordinator'));
    const roster = signRoster(coordinator, 1, world.people);
    const rosterKeys = { authority: world.authority.publicKey, coordinator: coordinator.publicKey };
    expectAborted(join({ rosterKeys }, world.session, roster), 'SECAGG_ROSTER');
    const alone = { coordinator: coordinator.publicKey };
    expectAborted(join({ rosterKeys: alone }, world.session, roster), 'SECAGG_ROSTER');
    const lenient = join(
      { rosterKeys: alone, floor: { ...floor, acceptCoordinatorRoster: true } },
      world.session,
      roster,
    );
    expect(lenient.effects[0]).toEqual({ kind: 'trust', trust: 'coordinator' });
  });

  test('an older edition of the roster, and one that was changed', () => {
    expectAborted(join({ floor: { ...floor, rosterSerial: 2 } }), 'SECAGG_ROSTER');
    for (const at of [0, 5, 40, world.roster.length - 1]) {
      expectAborted(
        join(
          {},
          world.session,
          world.roster.map((byte, i) => (i === at ? byte ^ 1 : byte)),
        ),
        'SECAGG_ROSTER',
      );
    }
    expectAborted(join({}, world.session, new Uint8Array()), 'SECAGG_ROSTER');
  });
});

describe('step 1: the key list', () => {
  const world = makeWorld('keys', N);
  const { clients, context } = advance(world, 'advertised');
  const honest = clients.map((client) => decodeAdvertisedKeys(context, client.last));
  const tell = (list: readonly AdvertisedKeys[], as = 2) => {
    const client = new Participant(world, as).join();
    return client.tell({ kind: 'key-list', message: encodeKeyList(context, list) });
  };
  const own = generateExchangeKey(seededRandom('server')).publicKey;

  test('the honest list is taken', () => {
    expect(tell(honest).state.phase).toBe('shared');
  });

  test.each<[string, AdvertisedKeys[], string]>([
    ['a sealing key of the coordinator', honest.with(4, { ...honest[4]!, sealingKey: own }), 'SECAGG_SIGNATURE'],
    ['a mask key of the coordinator', honest.with(4, { ...honest[4]!, maskKey: own }), 'SECAGG_SIGNATURE'],
    ["the client's own mask key replaced", honest.with(2, { ...honest[2]!, maskKey: own }), 'SECAGG_SIGNATURE'],
    ['one client under the name of another', honest.with(4, { ...honest[3]!, member: 4 }), 'SECAGG_SIGNATURE'],
    [
      'both keys exchanged',
      honest.with(4, { ...honest[4]!, maskKey: honest[4]!.sealingKey, sealingKey: honest[4]!.maskKey }),
      'SECAGG_SIGNATURE',
    ],
    ['a point of low order', honest.with(4, { ...honest[4]!, maskKey: new Uint8Array(32) }), 'SECAGG_KEY'],
    [
      'another point of low order',
      honest.with(4, { ...honest[4]!, sealingKey: fromHex(`ec${'ff'.repeat(30)}7f`) }),
      'SECAGG_KEY',
    ],
    [
      'a coordinate that is not canonical',
      honest.with(4, { ...honest[4]!, maskKey: new Uint8Array(32).fill(255) }),
      'SECAGG_KEY',
    ],
    ['the client itself missing', honest.toSpliced(2, 1), 'SECAGG_KEY'],
    ['a member beyond the cohort', [...honest, { ...honest[0]!, member: 6 }], 'SECAGG_MEMBER'],
    ['too few', honest.slice(0, 4), 'SECAGG_COHORT_SMALL'],
    ['none', [], 'SECAGG_COHORT_SMALL'],
    ['a client twice', [honest[0]!, ...honest], 'SECAGG_MALFORMED'],
    ['out of order', honest.toReversed(), 'SECAGG_MALFORMED'],
  ])('%s is refused', (_, list, code) => {
    expectAborted(tell(list), code);
  });

  test('two clients with one key are refused, although both sign it', () => {
    const keys = { ...honest[4]!, maskKey: honest[3]!.maskKey };
    const text = new Uint8Array([...context, 4, 0, ...keys.sealingKey, ...keys.maskKey]);
    const signature = world.people[4]!.key.sign('carapace/v1/secagg/advertise-keys', text);
    expectAborted(tell(honest.with(4, { ...keys, signature })), 'SECAGG_KEY');
  });

  test('keys of another attempt do not verify, and its messages are not read at all', () => {
    const again = { ...world, session: { ...world.session, attempt: 2 } };
    const client = new Participant(again, 2).join();
    client.tell({ kind: 'key-list', message: encodeKeyList(context, honest) });
    expect(client.state.phase).toBe('advertised');
    expect(client.effects.at(-1)).toMatchObject({ kind: 'ignore', code: 'SECAGG_CONTEXT' });
    const forged = honest.with(2, decodeAdvertisedKeys(contextOf(again.session), client.last));
    client.tell({ kind: 'key-list', message: encodeKeyList(contextOf(again.session), forged) });
    expectAborted(client, 'SECAGG_SIGNATURE');
  });

  test('two models: clients that were given different ones cannot be brought into one list', () => {
    const other = { ...world, session: { ...world.session, model: digestOf('other weights') } };
    const strangers = [3, 4, 5].map((member) => new Participant(other, member).join());
    const theirs = strangers.map((client) => decodeAdvertisedKeys(contextOf(other.session), client.last));
    expectAborted(tell([...honest.slice(0, 3), ...theirs]), 'SECAGG_SIGNATURE');
  });
});

describe('step 2: the shares', () => {
  const world = makeWorld('shares', N);
  const { clients, coordinator, context } = advance(world, 'shared');
  for (const client of clients) coordinator.receive(client.member, client.last);
  const honest = decodeDelivery(context, messageFor(coordinator.state, 2)!);
  const elsewhere = decodeDelivery(context, messageFor(coordinator.state, 3)!);
  const shared = clients[2]!.state;
  const tell = (shares: readonly DealtShares[]) => {
    const client = new Participant(world, 2);
    client.state = shared;
    return client.tell({ kind: 'share-delivery', message: encodeDelivery(context, shares) });
  };
  const swap = (count: number) => honest.map((dealt, i) => (i < count && dealt.member !== 2 ? elsewhere[i]! : dealt));
  const suspects = (client: Participant) =>
    client.effects.flatMap((effect: ClientEffect) => (effect.kind === 'suspect' ? [effect.member] : []));

  test('the honest delivery is taken, and keeps no secret that is needed no more', () => {
    const client = tell(honest);
    expect(client.state.phase).toBe('keyed');
    expect(suspects(client)).toEqual([]);
    expect(Object.keys((client.state as { secrets: object }).secrets)).toEqual(['mask', 'self']);
  });

  test('a share that was sealed for another does not open: its dealer is named, and counts for nothing', () => {
    const client = tell(swap(1));
    expect(client.state.phase).toBe('keyed');
    expect(suspects(client)).toEqual([0]);
  });

  test('too many of them end it', () => {
    expectAborted(tell(swap(2)), 'SECAGG_SHARE_WRONG');
  });

  test.each<[string, DealtShares[], string]>([
    ['too few', honest.slice(0, 4), 'SECAGG_COHORT_SMALL'],
    ["without the client's own", honest.toSpliced(2, 1), 'SECAGG_SHARE_WRONG'],
    ["the client's own replaced", honest.with(2, { ...elsewhere[2]!, member: 2 }), 'SECAGG_SHARE_WRONG'],
    ['a dealer that advertised nothing', [...honest, { ...honest[0]!, member: 6 }], 'SECAGG_MEMBER'],
    ['a dealer twice', [honest[0]!, ...honest], 'SECAGG_MALFORMED'],
  ])('%s: refused', (_, shares, code) => {
    expectAborted(tell(shares), code);
  });

  test('a commitment that was changed on the way is found', () => {
    const changed = { ...honest[0]!, selfCommitment: honest[1]!.selfCommitment };
    expect(suspects(tell(honest.with(0, changed)))).toEqual([0]);
  });

  test('shares of another attempt do not open, whatever header they are given', () => {
    const again = { ...world, session: { ...world.session, attempt: 2 } };
    const second = advance(again, 'shared');
    const replayed = encodeDelivery(second.context, honest);
    second.clients[2]!.tell({ kind: 'share-delivery', message: replayed });
    expectAborted(second.clients[2]!, 'SECAGG_SHARE_WRONG');
  });

  test('different key lists for different clients leave them without common keys', () => {
    const world = makeWorld('split lists', 7);
    const start = advance(world, 'advertised');
    const all = start.clients.map((client) => decodeAdvertisedKeys(start.context, client.last));
    const lists = [all, all.slice(0, 6)];
    const states = start.clients.slice(0, 6).map((client) => {
      client.tell({ kind: 'key-list', message: encodeKeyList(start.context, lists[client.member % 2]!) });
      return client;
    });
    // Everybody's boxes for member 0, which saw the whole list.
    const boxes = states.map((client) => {
      return { ...decodeDealing(start.context, client.last).shares[0]!, member: client.member };
    });
    states[0]!.tell({ kind: 'share-delivery', message: encodeDelivery(start.context, boxes) });
    expectAborted(states[0]!, 'SECAGG_SHARE_WRONG');
  });
});

test('step 2: an input is masked once; a retry is the same bytes', () => {
  const { clients } = advance(makeWorld('once', N), 'masked');
  const client = clients[0]!;
  const { last, sent } = client;
  const before = client.state;
  client.tell({ kind: 'input', lanes: lanes.with(0, 4) });
  expect(client.state).toEqual(before);
  expect(client.sent).toHaveLength(sent.length);
  expect('outbox' in client.state && client.state.outbox).toEqual(last);
  expect(client.effects.at(-1)).toMatchObject({ kind: 'ignore', code: 'SECAGG_ORDER' });
});

describe('step 3: the survivors', () => {
  const world = makeWorld('survivors', N);
  const { clients, context } = advance(world, 'masked');
  const masked = clients[2]!.state;
  const tell = (survivors: readonly number[]) => {
    const client = new Participant(world, 2);
    client.state = masked;
    return client.tell({ kind: 'survivors', message: encodeSurvivors(context, survivors) });
  };

  test.each<[string, number[], string]>([
    ['below the minimum', [0, 1, 2, 3], 'SECAGG_COHORT_SMALL'],
    ['the client alone', [2], 'SECAGG_COHORT_SMALL'],
    ['without this client', [0, 1, 3, 4, 5], 'SECAGG_MEMBER'],
    ['with one that dealt no shares', [0, 1, 2, 3, 4, 9], 'SECAGG_MEMBER'],
    ['with one twice', [0, 1, 2, 2, 3, 4], 'SECAGG_MALFORMED'],
  ])('%s: refused', (_, survivors, code) => {
    expectAborted(tell(survivors), code);
  });

  test('a second set is not signed', () => {
    const client = tell([0, 1, 2, 3, 4, 5]);
    const sent = client.sent.length;
    client.tell({ kind: 'survivors', message: encodeSurvivors(context, [0, 1, 2, 3, 4]) });
    expect(client.state.phase).toBe('consistent');
    expect(client.sent).toHaveLength(sent);
  });
});

describe('step 4: the signatures', () => {
  const world = makeWorld('signatures', N);
  const { clients, context } = advance(world, 'consistent');
  const honest = clients.map((client) => decodeSurvivorSignature(context, client.last));
  const consistent = clients[2]!.state;
  const tell = (signatures: readonly SurvivorSignature[]) => {
    const client = new Participant(world, 2);
    client.state = consistent;
    return client.tell({ kind: 'signatures', message: encodeSignatures(context, signatures) });
  };

  test('the honest ones are taken', () => {
    expect(tell(honest).state.phase).toBe('finished');
  });

  test.each<[string, SurvivorSignature[], string]>([
    ['below the threshold', honest.slice(0, 4), 'SECAGG_COHORT_SMALL'],
    ['one of them on another set', honest.with(4, { member: 4, signature: honest[3]!.signature }), 'SECAGG_SIGNATURE'],
    ['one of them empty', honest.with(4, { member: 4, signature: new Uint8Array(64) }), 'SECAGG_SIGNATURE'],
    ['one of a stranger', [...honest, { member: 7, signature: new Uint8Array(64) }], 'SECAGG_MEMBER'],
    ['one of them twice', [honest[0]!, ...honest.slice(0, 4)], 'SECAGG_MALFORMED'],
  ])('%s: refused', (_, signatures, code) => {
    expectAborted(tell(signatures), code);
  });

  test('it is answered once, and then there is nothing left to ask for', () => {
    const client = tell(honest);
    const [sent, state] = [client.sent.length, client.state];
    for (const kind of ['signatures', 'survivors', 'key-list', 'share-delivery'] as const) {
      client.tell({ kind, message: encodeSignatures(context, honest) });
    }
    expect(client.sent).toHaveLength(sent);
    expect(client.state).toEqual(state);
    expect(Object.keys(client.state).sort()).toEqual(['outbox', 'phase']);
  });
});

/**
 * The attack that matters: the coordinator shows "everybody survived" to some honest clients and "everybody but the victim"
 * to others, to get shares of both secrets of the victim. `colluders` sign and disclose whatever it wants.
 */
function splitView(threshold: number, colluders: readonly number[], view: (member: number) => 0 | 1) {
  const n = 5;
  const victim = 0;
  const world = makeWorld(`split/${threshold}`, n, {
    threshold,
    minimumSurvivors: Math.max(threshold, 2),
    colluding: 0,
  });
  const { clients, context } = advance(world, 'masked');
  const views = [
    [0, 1, 2, 3, 4],
    [1, 2, 3, 4],
  ];
  const told = views.map((survivors, index) => {
    const inView = clients.filter(({ member }) => colluders.includes(member) || view(member) === index);
    return inView
      .filter(({ member }) => survivors.includes(member))
      .map((client) => {
        const copy = new Participant(world, client.member);
        copy.state = client.state;
        return copy.tell({ kind: 'survivors', message: encodeSurvivors(context, survivors) });
      });
  });
  const answered = told.flatMap((inView) => {
    const signatures = inView.map((client) => decodeSurvivorSignature(context, client.last));
    const message = encodeSignatures(context, signatures);
    return inView.filter((client) => client.tell({ kind: 'signatures', message }).state.phase === 'finished');
  });
  const about = answered
    .filter((client) => !colluders.includes(client.member))
    .flatMap((client) => decodeUnmaskReply(context, client.last).disclosures)
    .filter((disclosure: Disclosure) => disclosure.member === victim);
  // Colluders hand over both of their shares, whatever they were shown.
  const count = (kind: Disclosure['kind']) => colluders.length + about.filter((each) => each.kind === kind).length;
  return { selfShares: count('survivor'), keyShares: count('dropped') };
}

describe('two views of who survived', () => {
  const honestViews = Array.from({ length: 4 }, (_, bits) => (member: number): 0 | 1 => {
    return member === 0 ? 0 : (((bits >> (member - 1)) & 1) as 0 | 1);
  });

  test('n = 5, t = 4, two colluders: never enough shares of both secrets of the victim', () => {
    for (const view of honestViews) {
      const { selfShares, keyShares } = splitView(4, [3, 4], view);
      expect(selfShares >= 4 && keyShares >= 4).toBe(false);
    }
  });

  test('with a threshold that breaks the rule the same attack works, so this test can fail', () => {
    const broken = honestViews.some((view) => {
      const { selfShares, keyShares } = splitView(3, [3, 4], view);
      return selfShares >= 3 && keyShares >= 3;
    });
    expect(broken).toBe(true);
    const { session } = makeWorld('rule', 5);
    expect(() => openSession({ ...session, threshold: 3, minimumSurvivors: 4, colluding: 2 })).toThrow('2t - n');
  });
});

test('nobody ever discloses both secrets of one client, and of itself only what its survival allows', () => {
  const world = makeWorld('disclosure', N);
  const lifetimes = [5, 2, 5, 5, 5, 5] as const;
  const { clients, coordinator } = runAggregation(
    world,
    world.people.map(() => lanes),
    lifetimes,
  );
  expect(coordinator.state.phase).toBe('completed');
  for (const client of clients.filter(({ member }) => member !== 1)) {
    const { disclosures } = decodeUnmaskReply(contextOf(world.session), client.last);
    expect(disclosures.map(({ member, kind }) => [member, kind])).toEqual(
      [0, 1, 2, 3, 4, 5].map((member) => [member, member === 1 ? 'dropped' : 'survivor']),
    );
  }
});

test('any change to any message of the coordinator: never a throw, and never a second message', () => {
  const phases = ['advertised', 'shared', 'masked', 'consistent'] as const;
  const kinds = ['key-list', 'share-delivery', 'survivors', 'signatures'] as const;
  const prepared = phases.map((phase) => {
    const { clients, coordinator, world } = advance(makeWorld(`fuzz/${phase}`, N), phase);
    let state: ServerState = coordinator.state;
    for (const client of clients) {
      state = secaggServerStep(state, { kind: 'message', from: client.member, message: client.last }).state;
    }
    return { client: clients[2]!, world, message: messageFor(state, 2)! };
  });
  fc.assert(
    fc.property(fc.nat(3), fc.nat(), fc.nat(7), fc.option(fc.nat()), (index, at, bit, cut) => {
      const { client, world, message } = prepared[index]!;
      const changed = cut === null ? message.slice() : message.slice(0, cut % message.length);
      if (changed.length > 0) changed[at % changed.length]! ^= 1 << bit;
      const copy = new Participant(world, 2);
      copy.state = client.state;
      copy.tell({ kind: kinds[index]!, message: changed });
      expect(copy.sent.length).toBeLessThanOrEqual(index === 0 || index === 1 ? 0 : 1);
      const codes = copy.effects.map((effect) => effect.kind);
      if (copy.state.phase !== 'keyed' && copy.sent.length === 0) {
        expect(codes).toEqual([copy.state.phase === 'aborted' ? 'abort' : 'ignore']);
      }
    }),
    { numRuns: 300 },
  );
  // Of the list only the honest one is taken: every byte of it is signed or counted.
  expect(decodeKeyList(contextOf(prepared[0]!.world.session), prepared[0]!.message)).toHaveLength(N);
});
