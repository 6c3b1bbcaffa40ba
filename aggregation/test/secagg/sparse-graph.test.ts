import {
  audienceOf,
  checkSession,
  checkThresholds,
  COMPLETE_GRAPH_LIMIT,
  contextOf,
  secaggClientStep,
  sparseGraphAgainstCoordinator,
  thresholdsFor,
} from '@carapace/aggregation';
import type { ClientEvent, ClientState, ServerState, Session, Thresholds } from '@carapace/aggregation';
import { Coordinator, makeWorld, Participant, plainSum, runAggregation } from '@carapace/aggregation/testing';
import type { Lifetime, World } from '@carapace/aggregation/testing';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { graphOf, shareCoordinate } from '../../src/secagg/graph.ts';
import { sparseFlaw } from '../../src/secagg/sparse-graph.ts';
import type { AdvertisedKeys } from '../../src/secagg/wire/advertise-keys.ts';
import {
  decodeSignatures,
  decodeSurvivors,
  decodeSurvivorSignature,
  encodeSignatures,
  encodeSurvivors,
} from '../../src/secagg/wire/consistency.ts';
import { decodeSparseDelivery, encodeDelivery, encodeSparseDelivery } from '../../src/secagg/wire/share-keys.ts';
import type { SparseDelivery } from '../../src/secagg/wire/share-keys.ts';
import { decodeUnmaskReply, encodeUnmaskReply } from '../../src/secagg/wire/unmask.ts';

describe('k and t against a malicious coordinator', () => {
  // From a program of their own: privacy 2^-40 after 2^64 tries at the ring, abort 2^-20. [k, t], 0 for none.
  const sizes = [256, 500, 1000, 2000, 10_000];
  test.each<[number, number, ([number, number] | 0)[]]>([
    [
      0.02,
      0.05,
      [
        [34, 24],
        [52, 38],
        [80, 62],
        [110, 87],
        [132, 105],
      ],
    ],
    [0.02, 0.25, [[106, 60], [156, 90], [230, 137], 0, 0]],
    [0.05, 0.1, [[68, 48], [112, 83], [178, 136], [216, 166], 0]],
    [0.05, 0.2, [[108, 68], [176, 115], 0, 0, 0]],
    [0.1, 0.05, [[80, 67], [142, 121], [188, 160], [220, 187], 0]],
  ])('of a share of %f, drop-outs %f', (corrupt, dropouts, row) => {
    const found = sizes.map((clients) => {
      const colluding = Math.floor(corrupt * clients);
      const minimumSurvivors = Math.floor((clients + colluding) / 2) + 1;
      return sparseGraphAgainstCoordinator({ clients, colluding, minimumSurvivors }, { dropouts, abortBits: 20 });
    });
    expect(found.map((graph) => (graph ? [graph.neighbours, graph.threshold] : 0))).toEqual(row);
  });

  test('the recommended ones pass their own check', () => {
    for (const clients of [256, 257, 300, 499, 500, 1000, 3000, 5000]) {
      const thresholds = thresholdsFor(clients);
      checkThresholds(clients, thresholds);
      expect(thresholds.colluding).toBe(Math.floor(clients / 20));
    }
  });

  test('a rule that passes leaves no client whose holders could give both kinds of answer, of all that may be expected', () => {
    fc.assert(
      fc.property(fc.integer({ min: 256, max: 2000 }), fc.integer({ min: 2, max: 127 }), fc.nat(254), (n, half, t) => {
        const rule = { clients: n, neighbours: 2 * half, threshold: t, colluding: Math.floor(n / 20) };
        const minimumSurvivors = Math.floor((n + rule.colluding) / 2) + 1;
        if (sparseFlaw({ ...rule, minimumSurvivors }) !== undefined) return;
        const expected = (rule.neighbours * rule.colluding) / minimumSurvivors;
        expect(2 * t - (rule.neighbours + 1)).toBeGreaterThan(expected);
        expect(t - half - 1).toBeGreaterThan(expected / 2);
        expect(2 * minimumSurvivors - n).toBeGreaterThan(rule.colluding);
      }),
      { numRuns: 300 },
    );
  });

  test('refused', () => {
    const good = thresholdsFor(500);
    const refused = (change: Partial<Thresholds>, clients = 500): void => {
      expect(() => checkThresholds(clients, { ...good, ...change })).toThrow('SECAGG_PARAMETERS');
    };
    refused({ neighbours: good.neighbours! + 1 });
    refused({ neighbours: 256 });
    refused({ neighbours: 2 });
    refused({ threshold: good.threshold - 8 });
    refused({ threshold: good.neighbours! + 1 });
    refused({ colluding: good.colluding + 20 });
    refused({ colluding: -1 });
    refused({ minimumSurvivors: 262 });
    refused({ minimumSurvivors: 501 });
    refused({}, COMPLETE_GRAPH_LIMIT);
    const { neighbours: _, ...complete } = good;
    expect(() => checkThresholds(500, complete)).toThrow('SECAGG_PARAMETERS');
  });
});

/** A session in which nobody colludes needs few neighbours: what is done with them is the same. */
const FEW: Partial<Session> = { neighbours: 8, threshold: 6, colluding: 0, minimumSurvivors: 129 };

function fakeKeys(members: readonly number[], seed: number): AdvertisedKeys[] {
  const random = seededRandom(`keys/${seed}`);
  const key = (length: number): Uint8Array => random.bytes(length);
  return members.map((member) => ({ member, sealingKey: key(32), maskKey: key(32), signature: key(64) }));
}

describe('the graph', () => {
  const { session } = makeWorld('graph', 256, FEW);
  const members = Array.from({ length: 256 }, (_, member) => member).filter((member) => member % 7 !== 0);

  test('gives everybody k neighbours and itself, both ways, each with a coordinate of its own', () => {
    checkSession(session);
    const graph = graphOf(session, fakeKeys(members, 1));
    for (const member of members) {
      const peers = graph.peers(member);
      expect(peers).toHaveLength(9);
      expect(peers).toContain(member);
      expect([...peers].sort((a, b) => a - b)).toEqual(peers);
      for (const peer of peers) expect(graph.peers(peer)).toContain(member);
      expect(peers.map((_, place) => shareCoordinate(place))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    expect(graph.peers(0)).toEqual([]);
  });

  test('is one ring', () => {
    const graph = graphOf(session, fakeKeys(members, 1));
    const reached = new Set([members[0]!]);
    for (const member of reached) for (const peer of graph.peers(member)) reached.add(peer);
    expect(reached.size).toBe(members.length);
  });

  test('is another one for every key list, and every session', () => {
    const keys = fakeKeys(members, 1);
    const neighbours = (list: AdvertisedKeys[], of: Session = session): string => graphOf(of, list).peers(1).join();
    const changed = keys.map((advertised, i) =>
      i === 100 ? { ...advertised, signature: new Uint8Array(64) } : advertised,
    );
    const seen = [neighbours(keys), neighbours(changed), neighbours([...keys], { ...session, attempt: 2 })];
    expect(new Set(seen).size).toBe(3);
    expect(neighbours([...keys])).toBe(seen[0]);
  });

  test('is complete when no more are left than a client has neighbours, and up to 255 clients', () => {
    const few = fakeKeys(members.slice(0, 9), 1);
    expect(graphOf(session, few).peers(few[3]!.member)).toEqual(members.slice(0, 9));
    const small = makeWorld('graph', 20).session;
    const all = fakeKeys(
      Array.from({ length: 20 }, (_, member) => member),
      2,
    );
    expect(graphOf(small, all).peers(3)).toHaveLength(20);
  });
});

describe('a round of 256 clients with 8 neighbours each', () => {
  const world = makeWorld('sparse', 256, FEW);
  const context = contextOf(world.session);
  const lanes = world.people.map((_, member) => new Uint32Array(12).fill(member % 256));
  /** Few enough to be quick; who drops out after dealing stands far apart. */
  const lifetimes = world.people.map((_, member): Lifetime => (member >= 140 ? 0 : member % 35 === 3 ? 2 : 5));
  let coordinator: Coordinator;
  let clients: Participant[];
  /** Client 0 before each message, and the message. */
  const before = new Map<string, { readonly state: ClientState; readonly message: Uint8Array }>();
  beforeAll(() => {
    ({ coordinator, clients } = runAggregation(world, lanes, lifetimes, false, (client, kind, message) => {
      if (client.member === 0) before.set(kind, { state: client.state, message });
    }));
  }, 60_000);

  /** What becomes of client 0 with other messages than it had, from the first of them on. */
  function told(...events: readonly ClientEvent[]): ClientState {
    const means = { identity: world.people[0]!.key, random: world.random };
    return events.reduce(
      (state, event) => secaggClientStep(state, event, means).state,
      before.get(events[0]!.kind)!.state,
    );
  }
  const messageOf = (kind: string): Uint8Array => before.get(kind)!.message;
  const delivery = (): SparseDelivery => decodeSparseDelivery(context, messageOf('share-delivery'));
  const delivering = (sent: SparseDelivery): ClientEvent => {
    return { kind: 'share-delivery', message: encodeSparseDelivery(context, sent) };
  };

  test('opens the sum of the survivors, with masks of neighbours alone', () => {
    const survivors = lifetimes.flatMap((lifetime, member) => (lifetime === 5 ? [member] : []));
    expect(coordinator.state).toEqual({ phase: 'completed', survivors });
    expect(Array.from(coordinator.sums!)).toEqual(plainSum(lanes, survivors));
    const open = coordinator.effects.find((effect) => effect.kind === 'open')!;
    // One own mask each, and at most 8 for each of the 4 that dropped out.
    expect(open.masks.length).toBeLessThanOrEqual(survivors.length + 4 * 8);
    expect(open.masks.length).toBeGreaterThan(survivors.length);
  });

  test('and what a client deals and discloses does not grow with the cohort', () => {
    expect(clients[0]!.sent[1]!.length).toBeLessThan(9 * 140 + 100);
    expect(decodeUnmaskReply(context, clients[0]!.sent[4]!).disclosures.length).toBeLessThanOrEqual(9);
  });

  test('a coordinator that leaves out the shares of a neighbour whom it names as a dealer is found out', () => {
    const { dealers, shares } = delivery();
    const other = shares.find(({ member }) => member !== 0)!;
    const cut = delivering({ dealers, shares: shares.filter((share) => share !== other) });
    expect(told(cut)).toMatchObject({ phase: 'aborted', code: 'SECAGG_MEMBER' });
  });

  test('a coordinator that hides a neighbour from one client gets nothing from it: the others signed another set', () => {
    const { dealers, shares } = delivery();
    const hidden = shares.find(({ member }) => member !== 0)!.member;
    const cut = delivering({
      dealers: dealers.filter((dealer) => dealer !== hidden),
      shares: shares.filter(({ member }) => member !== hidden),
    });
    const input: ClientEvent = { kind: 'input', lanes: lanes[0]! };
    const shown = (members: readonly number[]): ClientEvent => {
      return { kind: 'survivors', message: encodeSurvivors(context, members) };
    };
    const survivors = decodeSurvivors(context, messageOf('survivors'));
    expect(told(cut, input, shown(survivors))).toMatchObject({ phase: 'aborted', code: 'SECAGG_MEMBER' });
    const signatures: ClientEvent = { kind: 'signatures', message: messageOf('signatures') };
    const without = shown(survivors.filter((member) => member !== hidden));
    expect(told(cut, input, without, signatures)).toMatchObject({ phase: 'aborted' });
  });

  test('too few dealers, dealers that are not listed, and the message of the complete graph are refused', () => {
    const { dealers, shares } = delivery();
    const few = shares.map(({ member }) => member);
    expect(told(delivering({ dealers: few, shares }))).toMatchObject({ phase: 'aborted', code: 'SECAGG_COHORT_SMALL' });
    const foreign = delivering({ dealers: [...dealers, 200], shares });
    expect(told(foreign)).toMatchObject({ phase: 'aborted', code: 'SECAGG_MEMBER' });
    const complete: ClientEvent = { kind: 'share-delivery', message: encodeDelivery(context, shares) };
    expect(told(complete)).toMatchObject({ phase: 'aborted', code: 'SECAGG_MALFORMED' });
  });

  test('many signatures are not enough: t neighbours must have signed', () => {
    const signatures = decodeSignatures(context, messageOf('signatures'));
    expect(signatures.length).toBeLessThanOrEqual(9);
    const five = encodeSignatures(context, signatures.slice(0, 5));
    expect(told({ kind: 'signatures', message: five })).toMatchObject({
      phase: 'aborted',
      code: 'SECAGG_COHORT_SMALL',
    });
    const signed = clients.flatMap((client) =>
      client.sent[3] === undefined ? [] : [decodeSurvivorSignature(context, client.sent[3])],
    );
    expect(signed.length).toBeGreaterThan(100);
    const all = encodeSignatures(context, signed);
    expect(told({ kind: 'signatures', message: all })).toMatchObject({ phase: 'aborted', code: 'SECAGG_MEMBER' });
  });

  test('a client that discloses about somebody who is no neighbour is refused', () => {
    const server = new Coordinator(world.session, false);
    server.state = unmaskingState(world, clients);
    const reply = decodeUnmaskReply(context, clients[0]!.sent[4]!);
    const known = new Set(reply.disclosures.map(({ member }) => member));
    const stranger = audienceOf(server.state).find((member) => !known.has(member))!;
    const about = { kind: 'survivor' as const, member: stranger, selfShare: new Uint8Array(32) };
    const disclosures = [...reply.disclosures, about].sort((a, b) => a.member - b.member);
    server.receive(0, encodeUnmaskReply(context, { member: 0, disclosures }));
    expect(server.effects.at(-1)).toMatchObject({ kind: 'refuse', member: 0, code: 'SECAGG_MEMBER' });
  });
});

/** The coordinator after the first four messages of every client. */
function unmaskingState(world: World, clients: readonly Participant[]): ServerState {
  const server = new Coordinator(world.session, false);
  for (const step of [0, 1, 2, 3]) {
    for (const client of clients) {
      const message = client.sent[step];
      if (message !== undefined && audienceOf(server.state).includes(client.member)) {
        server.receive(client.member, message);
      }
    }
    if (server.state.phase === PHASES[step]) server.close();
  }
  return server.state;
}

const PHASES = ['advertising', 'sharing', 'collecting', 'consistency'] as const;
