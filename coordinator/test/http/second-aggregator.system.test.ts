/** Rounds with a second aggregator over real sockets: an aggregator that declines, asks twice, is cut off or lies, and a coordinator that was killed. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decodeSharesSession,
  DEFAULT_AGGREGATOR_FLOOR,
  encodeShares,
  joinShares,
  laneCount,
  newUpdateId,
  openAggregator,
  openAggregatorKey,
  parseDigest,
  sharesLanesOf,
  sumShares,
  takeRequest,
} from '@carapace/aggregation';
import type { AggregatorState, RoundId, TaskId } from '@carapace/aggregation';
import { fromBase64url, sha256Hex, systemRandom, toBase64url } from '@carapace/crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { assigned, chunkDraft, enrolled, files, openHalf, serveRecords, SMALL, startHouse, startTask } from './kit.ts';
import type { Answer, Draft, HandClient, House, ServedRecords, Update } from './kit.ts';

let records: ServedRecords;
let house: House;
let tasks = 0;
const running: TaskId[] = [];
const happened: object[] = [];

beforeAll(async () => {
  records = await serveRecords();
  house = await startHouse({ databaseUrl: records.url }, { listeners: [(happening) => happened.push(happening)] });
});
// A task goes on, and would take the clients of the next test.
afterEach(async () => {
  for (const name of running.splice(0)) await house.api.stopTask(name, 'system').catch(() => undefined);
});
afterAll(async () => {
  await house.close();
  await records.close();
});

interface Scene {
  readonly member: HandClient;
  readonly clients: readonly HandClient[];
  readonly round: RoundId;
}

/** So many are selected, in order of their members, and their aggregator is asked for its key. */
async function selected(member?: HandClient, size = 3): Promise<Scene> {
  const aggregator = member ?? (await enrolled(house, 'aggregator'));
  const clients = await Promise.all(Array.from({ length: size }, (_, i) => enrolled(house, `client ${i}`)));
  // A name whose order is not that of its age.
  const name = `${'zyxwvutsrqponmlkjihgfedcba'.charAt(tasks)}-shared-${(tasks += 1)}`;
  const protection = { kind: 'shares', aggregator: aggregator.id, stepSeconds: 3600 };
  running.push((await startTask(house, name, { target: size, minimum: 3 }, SMALL, protection)).name);
  const [round] = await Promise.all(clients.map((client) => assigned(client)));
  return { member: aggregator, clients: clients.sort((a, b) => (a.id < b.id ? -1 : 1)), round: round! };
}

async function workOf(member: HandClient, waitSeconds = 20): Promise<Record<string, unknown>> {
  return (await member.send({ method: 'GET', path: `/v1/aggregator/work?waitSeconds=${waitSeconds}` })).json;
}

function agreed<T extends { readonly kind: string }>(outcome: T): Exclude<T, { readonly kind: 'refused' }> {
  if (outcome.kind === 'refused') throw new Error(JSON.stringify(outcome));
  return outcome as Exclude<T, { readonly kind: 'refused' }>;
}

function invitationIn(work: Record<string, unknown>): { readonly session: Uint8Array; readonly roster: Uint8Array } {
  return { session: fromBase64url(String(work['session'])), roster: fromBase64url(String(work['roster'])) };
}

/** The aggregator has a key for the round. */
async function keyed({ member, round }: Scene): Promise<{ readonly state: AggregatorState; readonly draft: Draft }> {
  const work = await workOf(member);
  expect(work).toMatchObject({ kind: 'key', round });
  const standing = {
    client: member.id,
    identity: member.key,
    rosterKeys: { coordinator: house.api.publicKey },
    floor: DEFAULT_AGGREGATOR_FLOOR,
    now: Date.now(),
  };
  const { state } = agreed(openAggregator(invitationIn(work), standing, systemRandom));
  const path = `/v1/client/rounds/${round}/secagg/advertise-keys`;
  return { state, draft: { method: 'POST', path, body: { message: toBase64url(state.outbox) } } };
}

/** A client's share; `spoil` makes one whose deposit nobody can open. */
async function contribute(
  { round, member }: Scene,
  client: HandClient,
  state: AggregatorState,
  spoil = false,
): Promise<void> {
  const path = `/v1/client/rounds/${round}/secagg/invitation`;
  const invitation = invitationIn((await client.send({ method: 'GET', path })).json);
  const session = decodeSharesSession(invitation.session);
  const part = agreed(
    joinShares(invitation, {
      ...session,
      client: client.id,
      identity: client.key,
      aggregator: member.key.publicKey,
      rosterKeys: { coordinator: house.api.publicKey },
      floor: DEFAULT_AGGREGATOR_FLOOR,
    }),
  ).value;
  const sealingKey = agreed(openAggregatorKey(part.session, state.outbox)).value;
  // Sealed for a key that nobody has.
  const key = spoil ? (sealingKey.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) as typeof sealingKey) : sealingKey;
  const lanes = new Uint32Array(laneCount(sharesLanesOf(session))).fill(1);
  const bytes = encodeShares(part, key, lanes, client.key, systemRandom);
  const update: Update = { round, id: newUpdateId(systemRandom), bytes, digest: parseDigest(sha256Hex(bytes)) };
  expect((await client.send(chunkDraft(update))).json).toMatchObject({ kind: 'admitted' });
}

/** Everybody's share is in, and the aggregator is asked for its sum. @param spoiled members whose deposits do not open */
async function asked(
  size = 3,
  spoiled: readonly number[] = [],
): Promise<Scene & { readonly state: AggregatorState; readonly request: Uint8Array }> {
  const scene = await selected(undefined, size);
  const { state, draft } = await keyed(scene);
  expect((await scene.member.send(draft)).status).toBe(204);
  for (const [i, client] of scene.clients.entries()) await contribute(scene, client, state, spoiled.includes(i));
  const work = await workOf(scene.member);
  expect(work).toMatchObject({ kind: 'sum', round: scene.round });
  return { ...scene, state, request: fromBase64url(String(work['request'])) };
}

function sumFor(state: AggregatorState, request: Uint8Array): Uint8Array<ArrayBuffer> {
  const taken = takeRequest(state, request);
  if (taken.kind === 'refused') throw new Error(taken.why);
  const sums = sumShares(taken.state.session, taken.seeds);
  for (;;) {
    const { done, value } = sums.next();
    if (done === true) return value;
  }
}

function sumDraft(round: RoundId, sum: Uint8Array, body: Uint8Array = sum, digest = sha256Hex(sum)): Draft {
  const path = `/v1/aggregator/rounds/${round}/sum?offset=0&total=${sum.length}&digest=${digest}`;
  return { method: 'PUT', path, body, contentType: 'application/octet-stream' };
}

const declineDraft = (round: RoundId, body: Record<string, unknown> = { reason: 'no' }): Draft => {
  return { method: 'POST', path: `/v1/aggregator/rounds/${round}/decline`, body };
};

async function ended(round: RoundId): Promise<Awaited<ReturnType<House['api']['showRound']>>> {
  for (;;) {
    const page = await house.api.showRound(round);
    if (page.round.state.kind === 'completed' || page.round.state.kind === 'abandoned') return page;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const eventsIn = ({ timeline }: Awaited<ReturnType<House['api']['showRound']>>, kind: string): unknown[] =>
  timeline.filter((event) => event.kind === kind).map(({ detail }) => detail);
const pendingSums = async (): Promise<string[]> =>
  Object.keys(await files(house.directory)).filter((name) => name.includes('sum_'));

describe('an aggregator that declines', () => {
  test('a key ends the round at once, and is offered it no more', async () => {
    const { member, round } = await selected();
    expect(await workOf(member)).toMatchObject({ kind: 'key', round });
    for (const reason of ['too few for me', 'too few for me', 'or another word'])
      await member.send(declineDraft(round, { reason }));
    const page = await ended(round);
    expect(page.round.state).toMatchObject({ reason: 'keys-not-agreed', during: 'agreeing' });
    expect(eventsIn(page, 'aggregator-declined')).toEqual([{ reason: 'too few for me' }]);
    expect((await member.send(declineDraft(round))).json).toMatchObject({ code: 'PROTOCOL_STEP' });
  });

  test('a sum ends the round at once, and whoever’s share it could not open is named', async () => {
    const { member, round, clients, state, request } = await asked(3, [1]);
    const refused = takeRequest(state, request);
    expect(refused).toMatchObject({ kind: 'refused', code: 'SECAGG_COHORT_SMALL', unopened: [1] });
    // Numbers that are nobody's accuse nobody.
    const answer = await member.send(declineDraft(round, { reason: 'too few open', unopened: [1, 1, 7] }));
    expect(answer.status).toBe(204);
    const page = await ended(round);
    expect(page.round.state).toMatchObject({ reason: 'sum-not-unmasked', during: 'unmasking' });
    const accused = { client: clients[1]!.id, code: 'SECAGG_SHARE_WRONG' };
    expect(eventsIn(page, 'client-accused')).toEqual([accused]);
    expect(happened.filter((event) => 'round' in event && event.round === round && 'code' in event)).toMatchObject([
      accused,
    ]);
  });

  test('one round is given the others: the oldest first, whatever its name', async () => {
    const first = await selected();
    const { member } = first;
    const second = await selected(member);
    expect(second.round < first.round).toBe(true);
    expect(await workOf(member)).toMatchObject({ kind: 'key', round: first.round });
    await member.send(declineDraft(first.round));
    expect(await workOf(member)).toMatchObject({ kind: 'key', round: second.round });
    await member.send(declineDraft(second.round));
  });

  test('while clients train has come too late, and changes nothing', async () => {
    const scene = await selected();
    const { draft } = await keyed(scene);
    await scene.member.send(draft);
    const answer = await scene.member.send(declineDraft(scene.round));
    expect(answer.json).toMatchObject({ code: 'PROTOCOL_STEP' });
    expect((await house.api.showRound(scene.round)).round.state.kind).toBe('collecting');
  });

  test('another’s round changes nothing, nor does any other client learn of it', async () => {
    const { member, round, clients } = await selected();
    for (const stranger of [await enrolled(house, 'stranger'), clients[0]!]) {
      expect((await stranger.send(declineDraft(round))).json).toMatchObject({ refusal: 'SECAGG_MEMBER' });
      expect(await workOf(stranger, 0)).toMatchObject({ kind: 'idle' });
    }
    expect(await workOf(member)).toMatchObject({ kind: 'key', round });
  });
});

describe('an aggregator whose answer is lost', () => {
  test('sends its key again and is told that it was taken, though the round has gone on by it', async () => {
    const scene = await selected();
    const { draft } = await keyed(scene);
    for (let i = 0; i < 3; i++) expect((await scene.member.send(draft)).status).toBe(204);
    expect((await house.api.showRound(scene.round)).round.state.kind).toBe('collecting');
    // Another one is not what was taken.
    const { draft: other } = await keyed(await selected(scene.member));
    expect((await scene.member.send({ ...draft, body: other.body })).json).toMatchObject({ code: 'PROTOCOL_STEP' });
  });

  test('sends its sum again and is told so, as long as the round runs or after', async () => {
    const { member, round, state, request } = await asked();
    const sum = sumFor(state, request);
    expect((await member.send(sumDraft(round, sum))).json).toEqual({ kind: 'taken' });
    const again = await member.send(sumDraft(round, sum));
    expect(again.json['kind'] === 'taken' || again.json['code'] === 'PROTOCOL_STEP').toBe(true);
    expect((await ended(round)).round.state.kind).toBe('completed');
    expect((await member.send(sumDraft(round, sum))).json).toMatchObject({ code: 'PROTOCOL_STEP' });
  });
});

describe('a sum', () => {
  test('whose bytes were all durable when the coordinator was killed is taken with whatever comes next', async () => {
    const { member, round, state, request } = await asked();
    const sum = sumFor(state, request);
    await member.send({ ...sumDraft(round, sum), body: sum.slice(0, -1) });
    const [name] = await pendingSums();
    await writeFile(join(house.directory, name!), sum);
    const rest = sum.slice(-1);
    const path = sumDraft(round, sum).path.replace('offset=0', `offset=${sum.length - 1}`);
    const answer = await member.send({ ...sumDraft(round, sum, rest), path });
    expect(answer.json).toEqual({ kind: 'taken' });
    expect((await ended(round)).round.state.kind).toBe('completed');
  });

  test('that hangs in the middle does not keep the same from being sent again', async () => {
    const { member, round, state, request } = await asked();
    const sum = sumFor(state, request);
    const socket = await openHalf(member, sumDraft(round, sum));
    try {
      expect((await member.send(sumDraft(round, sum))).json).toEqual({ kind: 'taken' });
    } finally {
      socket.destroy();
    }
  });

  test('is one on the disk, however many are begun, and the right one is taken in the end', async () => {
    const { member, round, state, request } = await asked();
    const sum = sumFor(state, request);
    const before = (await pendingSums()).length;
    for (let i = 0; i < 10; i++) {
      const begun = sumDraft(round, sum, sum.slice(0, -1).fill(i), sha256Hex(Uint8Array.of(i)));
      const { status } = await member.send(begun);
      expect([202, 409]).toContain(status);
    }
    expect(await pendingSums()).toHaveLength(before + 1);
    let offset = Number((await member.send(sumDraft(round, sum))).json['received']);
    const send = (): Promise<Answer> => {
      const draft = sumDraft(round, sum, sum.slice(offset));
      return member.send({ ...draft, path: draft.path.replace('offset=0', `offset=${offset}`) });
    };
    // What others had begun shows in the digest, and is dropped.
    expect((await send()).json).toMatchObject({ code: 'PROTOCOL_REFUSED', refusal: 'SECAGG_MALFORMED' });
    offset = 0;
    expect((await send()).json).toEqual({ kind: 'taken' });
  });

  test('without one of those asked for names who it is, and the round completes with the others', async () => {
    const { member, round, clients, state, request } = await asked(5, [2]);
    const taken = agreed(takeRequest(state, request));
    expect([...taken.seeds.keys()]).toEqual([0, 1, 3, 4]);
    expect((await member.send(sumDraft(round, sumFor(state, request)))).json).toEqual({ kind: 'taken' });
    const page = await ended(round);
    expect(page.round.state).toMatchObject({ kind: 'completed', reported: 4 });
    expect(eventsIn(page, 'client-accused')).toEqual([{ client: clients[2]!.id, code: 'SECAGG_SHARE_WRONG' }]);
  });
});

describe('what is left of a round that ended', () => {
  test('are no deposits, no session, and no bytes of updates or sums', async () => {
    const { member, round, state, request } = await asked();
    await member.send(sumDraft(round, sumFor(state, request)));
    await ended(round);
    const rowsOf = async (table: string): Promise<Record<string, unknown>[]> =>
      ((await records.rows(table)) as Record<string, unknown>[]).filter((row) => row['round'] === round);
    for (;;) {
      if ((await rowsOf('secagg_sessions')).length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await rowsOf('updates')).map((row) => row['deposit'])).toEqual([null, null, null]);
    const digests = new Set((await rowsOf('updates')).map((row) => String(row['digest'])));
    const left = await readdir(join(house.directory, 'updates'), { recursive: true });
    expect(left.filter((name) => digests.has(name.split('/').at(-1)))).toEqual([]);
  });
});
