/** Uploads over real sockets: in chunks, again, at once, cut off, and wrong in every way. What has a receipt is on disk, once. */
import { appendFile, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newUpdateId } from '@carapace/aggregation';
import type { RoundId, UpdateId } from '@carapace/aggregation';
import { sha256Hex, systemRandom } from '@carapace/crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  assigned,
  chunkDraft,
  enrolled,
  files,
  makeUpdate,
  openHalf,
  startHouse,
  startTask,
  updatePath,
} from './kit.ts';
import type { Answer, Draft, HandClient, House, Update } from './kit.ts';

let house: House;
let client: HandClient;
let round: RoundId;
let rounds = 0;

beforeAll(async () => {
  house = await startHouse();
});
afterAll(() => house.close());
beforeEach(async () => {
  client = await enrolled(house);
  await startTask(house, `uploads-${(rounds += 1)}`);
  round = await assigned(client);
});
afterEach(async () => {
  await house.api.revokeClient(client.id, 'the test is over', 'system');
  // A task goes on, and would take the clients of the next test.
  for (const { task, status: kept } of await house.api.listTasks())
    if (kept === 'active') await house.api.stopTask(task.name, 'system');
});

const status = (update: Update): Promise<Answer> => client.send({ method: 'GET', path: updatePath(update) });
const queried = (update: Update, query: string, body: Uint8Array = update.bytes): Draft => ({
  ...chunkDraft(update),
  path: `${updatePath(update)}?${query}`,
  body,
});

async function blobs(): Promise<string[]> {
  return Object.keys(await files(`${house.directory}/updates`)).filter((name) => !name.startsWith('pending'));
}
async function parts(): Promise<Record<string, number>> {
  const found = Object.entries(await files(`${house.directory}/updates`));
  return Object.fromEntries(found.filter(([name, bytes]) => name.includes(client.id) && bytes > 0));
}

test('any cutting into chunks gives the same receipt, and every answer says how far it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 119 }), { maxLength: 6 }), async (cuts) => {
      const update = await makeUpdate(house, round, (index) => index + cuts.length);
      const ends = [...new Set(cuts.filter((cut) => cut < update.bytes.length))].sort((a, b) => a - b);
      let from = 0;
      for (const to of ends) {
        expect((await client.send(chunkDraft(update, from, to))).json).toEqual({ kind: 'partial', received: to });
        expect((await status(update)).json).toEqual({ kind: 'partial', received: to });
        from = to;
      }
      // The last chunk is left out: only one update of a round is admitted.
      expect((await client.send(chunkDraft(update, from + 1))).json).toMatchObject({
        code: 'UPLOAD_OFFSET',
        received: from,
      });
    }),
    { numRuns: 10 },
  );
});

test('an admitted update answers the same receipt for ever, whatever chunk is sent again', async () => {
  const update = await makeUpdate(house, round);
  const first = await client.send(chunkDraft(update));
  expect(first).toMatchObject({ status: 200, json: { kind: 'admitted' } });
  for (const draft of [chunkDraft(update), chunkDraft(update, 0, 10), chunkDraft(update, 50)])
    expect((await client.send(draft)).json).toEqual(first.json);
  expect((await status(update)).json).toEqual(first.json);
});

test('twenty identical uploads at once are one update with one receipt', async () => {
  const update = await makeUpdate(house, round);
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.send(chunkDraft(update))));
  expect(new Set(answers.map(({ status: code }) => code))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  const { timeline, participants } = await house.api.showRound(round);
  expect(participants).toHaveLength(1);
  expect(timeline.length).toBeGreaterThan(0);
});

test('the same id with other bytes is refused, before and after admission', async () => {
  const update = await makeUpdate(house, round);
  const other = { ...(await makeUpdate(house, round, () => 7)), id: update.id };
  await client.send(chunkDraft(update, 0, 100));
  const mixed = await client.send(chunkDraft(other, 100));
  expect(mixed).toMatchObject({ status: 409, json: { code: 'UPDATE_REFUSED', refusal: 'UPDATE_DIGEST' } });
  expect(await parts()).toEqual({});
  expect((await client.send(chunkDraft(update))).status).toBe(200);
  const after = await client.send(chunkDraft(other));
  expect(after).toMatchObject({ status: 409, json: { code: 'UPDATE_REFUSED', refusal: 'UPDATE_DUPLICATE' } });
});

test('another id with the same or other bytes is a duplicate, and the admitted bytes stay', async () => {
  const { hold, release } = await holdRound();
  try {
    const update = await makeUpdate(house, hold.round);
    expect((await hold.client.send(chunkDraft(update))).status).toBe(200);
    for (const again of [{ ...update, id: newUpdateId(systemRandom) }, await makeUpdate(house, hold.round, () => 9)]) {
      const answer = await hold.client.send(chunkDraft(again));
      expect(answer).toMatchObject({ status: 409, json: { refusal: 'UPDATE_DUPLICATE' } });
    }
    expect((await blobs()).filter((name) => name.endsWith(update.digest))).toHaveLength(1);
  } finally {
    await release();
  }
});

test('the bytes of an update that is refused at admission are deleted, unless an admitted one has the same', async () => {
  const { hold, release } = await holdRound();
  try {
    const first = await makeUpdate(house, hold.round, (index) => index);
    const twin = { ...first, id: newUpdateId(systemRandom) };
    const other = await makeUpdate(house, hold.round, (index) => -index);
    // All but their last bytes, so that both pass the look at the round; then both end at once, and one comes too late.
    for (const update of [first, twin, other]) await hold.client.send(chunkDraft(update, 0, 100));
    const ends = await Promise.all([first, twin, other].map((update) => hold.client.send(chunkDraft(update, 100))));
    expect(ends.map(({ status: code }) => code).sort()).toEqual([200, 409, 409]);
    const admitted = [first, twin, other][ends.findIndex(({ status: code }) => code === 200)];
    const here = (await blobs()).filter((name) => [first, other].some(({ digest }) => name.endsWith(digest)));
    expect(here.map((name) => name.split('/').at(-1))).toEqual([admitted?.digest]);
  } finally {
    await release();
  }
});

describe('a connection that is killed in the middle of a chunk', () => {
  test('leaves what was acknowledged before it, and the upload goes on from there', async () => {
    const update = await makeUpdate(house, round);
    await client.send(chunkDraft(update, 0, 30));
    await sendHalf(chunkDraft(update, 30));
    expect((await status(update)).json).toEqual({ kind: 'partial', received: 30 });
    const { json } = await eventually(() => client.send(chunkDraft(update, 30)));
    expect(json).toMatchObject({ kind: 'admitted' });
  });

  test('is not counted as an error of the coordinator', async () => {
    const update = await makeUpdate(house, round);
    await sendHalf(chunkDraft(update));
    await eventually(() => client.send(chunkDraft(update)));
    const { text } = await house.call('GET', '/metrics');
    expect(text).not.toMatch(/http_response_status_code="5\d\d"/);
  });

  test('all bytes durable, but the process died before it admitted them: whatever is sent next completes the update', async () => {
    const update = await makeUpdate(house, round, (index) => index);
    const last = update.bytes.length - 1;
    await client.send(chunkDraft(update, 0, last));
    const [part = ''] = Object.keys(await parts());
    await appendFile(join(house.directory, 'updates', part), update.bytes.subarray(last));
    expect((await status(update)).json).toEqual({ kind: 'partial', received: update.bytes.length });
    expect((await client.send(chunkDraft(update))).json).toMatchObject({ kind: 'admitted' });
    expect(await parts()).toEqual({});
  });

  test('that nobody hears of does not keep the same chunk from being sent again', async () => {
    const update = await makeUpdate(house, round);
    const socket = await openHalf(client, chunkDraft(update));
    expect((await client.send(chunkDraft(update))).json).toMatchObject({ kind: 'admitted' });
    socket.destroy();
  });

  test('is not told as received while it is still coming in', async () => {
    const update = await makeUpdate(house, round);
    const socket = await openHalf(client, chunkDraft(update));
    expect((await status(update)).json).toEqual({ kind: 'partial', received: 0 });
    socket.destroy();
  });
});

describe('what is not an update', () => {
  const refusals: readonly (readonly [string, (update: Update) => Draft, number, string])[] = [
    [
      'a negative offset',
      (u) => queried(u, `offset=-1&total=${u.bytes.length}&digest=${u.digest}`),
      400,
      'REQUEST_INVALID',
    ],
    [
      'an offset of another number form',
      (u) => queried(u, `offset=0x1&total=9&digest=${u.digest}`),
      400,
      'REQUEST_INVALID',
    ],
    [
      'an offset past the end',
      (u) => queried(u, `offset=500&total=${u.bytes.length}&digest=${u.digest}`),
      409,
      'UPLOAD_OFFSET',
    ],
    ['two offsets', (u) => queried(u, `offset=0&offset=1&total=9&digest=${u.digest}`), 400, 'REQUEST_INVALID'],
    ['no total', (u) => queried(u, `offset=0&digest=${u.digest}`), 400, 'REQUEST_INVALID'],
    ['a total of nothing', (u) => queried(u, `offset=0&total=0&digest=${u.digest}`), 413, 'BODY_TOO_LARGE'],
    ['more bytes than announced', (u) => queried(u, `offset=0&total=10&digest=${u.digest}`), 413, 'BODY_TOO_LARGE'],
    [
      'a total beyond the layout',
      (u) => queried(u, `offset=0&total=99999999&digest=${u.digest}`),
      409,
      'UPDATE_REFUSED',
    ],
    ['no digest', (u) => queried(u, `offset=0&total=${u.bytes.length}`), 400, 'REQUEST_INVALID'],
    [
      'a digest in capitals',
      (u) => queried(u, `offset=0&total=9&digest=${u.digest.toUpperCase().replace(/\d/, 'A')}`),
      400,
      'REQUEST_INVALID',
    ],
    [
      'the wrong digest at the end',
      (u) => queried(u, `offset=0&total=${u.bytes.length}&digest=${'0'.repeat(64)}`),
      409,
      'UPDATE_REFUSED',
    ],
    ['an unknown parameter', (u) => queried(u, `offset=0&total=9&digest=${u.digest}&x=1`), 400, 'REQUEST_INVALID'],
    ['JSON', (u) => ({ ...chunkDraft(u), body: {}, contentType: 'application/json' }), 415, 'MEDIA_TYPE_UNSUPPORTED'],
    [
      'a JSON list',
      (u) => ({ ...chunkDraft(u), body: ['x'], contentType: 'application/json' }),
      415,
      'MEDIA_TYPE_UNSUPPORTED',
    ],
    ['text', (u) => ({ ...chunkDraft(u), contentType: 'text/plain' }), 415, 'MEDIA_TYPE_UNSUPPORTED'],
    [
      'a crooked content type',
      (u) => ({ ...chunkDraft(u), contentType: 'application/octet-stream; a=b' }),
      415,
      'MEDIA_TYPE_UNSUPPORTED',
    ],
    ['no round', (u) => chunkDraft({ ...u, round: 'nothing.1' as RoundId }), 404, 'ROUND_NOT_FOUND'],
    ['a round without a form', (u) => chunkDraft({ ...u, round: 'no' as RoundId }), 400, 'REQUEST_INVALID'],
    ['an id without a form', (u) => chunkDraft({ ...u, id: 'up_1' as UpdateId }), 400, 'REQUEST_INVALID'],
  ];
  test.each(refusals)('%s', async (_what, draftOf, code, problem) => {
    const update = await makeUpdate(house, round);
    const answer = await client.send(draftOf(update));
    expect({ status: answer.status, code: answer.json['code'] }).toEqual({ status: code, code: problem });
    expect(await parts()).toEqual({});
    expect((await client.send(chunkDraft(update))).json).toMatchObject({ kind: 'admitted' });
  });

  test('bytes that are no update of this round, whatever they are: refused with a code, and nothing of them is kept', async () => {
    const base = await makeUpdate(house, round);
    await fc.assert(
      fc.asyncProperty(fc.nat(base.bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = base.bytes.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        // The delta itself may be any finite number: only what is before it is bound to the round.
        fc.pre(at < base.bytes.length - 8 * 4 - 9);
        const update = {
          ...base,
          bytes,
          id: newUpdateId(systemRandom),
          digest: sha256Hex(bytes) as typeof base.digest,
        };
        const answer = await client.send(chunkDraft(update));
        expect(answer.status).toBe(409);
        expect(String(answer.json['refusal'])).toMatch(/^UPDATE_(MALFORMED|STALE|SHAPE)$/);
        expect(await parts()).toEqual({});
      }),
      { numRuns: 60 },
    );
    expect((await client.send(chunkDraft(base))).status).toBe(200);
  });

  test.each([Number.NaN, Infinity, -Infinity])('a delta with %s', async (value) => {
    const update = await makeUpdate(house, round, (index) => (index === 3 ? value : 0));
    const answer = await client.send(chunkDraft(update));
    expect(answer.json).toMatchObject({ code: 'UPDATE_REFUSED', refusal: 'UPDATE_NONFINITE' });
    expect((await blobs()).filter((name) => name.endsWith(update.digest))).toEqual([]);
  });
});

test('an update to a round that is over is refused as gone, and its begun bytes are dropped', async () => {
  const update = await makeUpdate(house, round);
  await client.send(chunkDraft(update, 0, 50));
  expect(Object.values(await parts())).toEqual([50]);
  await client.send({ method: 'POST', path: `/v1/client/assignments/${round}/decline`, body: { reason: 'busy' } });
  const answer = await client.send(chunkDraft(update, 50));
  expect(answer).toMatchObject({ status: 410, json: { code: 'ROUND_OVER', refusal: 'ROUND_NOT_COLLECTING' } });
  expect(await parts()).toEqual({});
});

test('bytes that a kill left without a record are swept at the next start once they are an hour old; those that a round awaits are not', async () => {
  const data = await mkdtemp(join(tmpdir(), 'carapace-sweep-'));
  const first = await startHouse({ data });
  const pair = [await enrolled(first), await enrolled(first)] as const;
  await startTask(first, 'swept', { target: 2, minimum: 2 });
  const [held] = await Promise.all(pair.map((each) => assigned(each)));
  const update = await makeUpdate(first, held!);
  expect((await pair[0].send(chunkDraft(update))).status).toBe(200);
  await first.close();
  const place = (digest: string): string => join(data, 'updates', digest.slice(0, 2), digest.slice(2, 4), digest);
  const [old, young] = ['0', '1'].map((digit) => digit.repeat(64)) as [string, string];
  for (const digest of [old, young]) {
    await mkdir(dirname(place(digest)), { recursive: true });
    await writeFile(place(digest), 'left over');
  }
  const before = new Date(Date.now() - 2 * 3_600_000);
  for (const digest of [old, update.digest]) await utimes(place(digest), before, before);
  const second = await startHouse({ data });
  try {
    const left = Object.keys(await files(join(data, 'updates'))).map((name) => name.split('/').at(-1));
    expect(left.sort()).toEqual([young, update.digest].sort());
  } finally {
    await second.close();
    await rm(data, { recursive: true, force: true });
  }
});

/** A round of two, of which one has not reported: it goes on collecting. */
async function holdRound(): Promise<{
  hold: { client: HandClient; round: RoundId };
  release: () => Promise<void>;
}> {
  const pair = [await enrolled(house), await enrolled(house)] as const;
  await startTask(house, `held-${(rounds += 1)}`, { target: 2, minimum: 2 });
  const [held] = await Promise.all(pair.map((each) => assigned(each)));
  if (held === undefined) throw new Error('nobody was selected');
  return {
    hold: { client: pair[0], round: held },
    release: async () => {
      for (const { id } of pair) await house.api.revokeClient(id, 'the test is over', 'system');
    },
  };
}

async function sendHalf(draft: Draft): Promise<void> {
  (await openHalf(client, draft)).resetAndDestroy();
}

/** The coordinator may need a moment to see that a connection is dead; it never answers wrongly meanwhile. */
async function eventually(send: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await send();
    if (answer.status === 200 || performance.now() > deadline) return answer;
    expect(answer.json).toMatchObject({ code: 'UPLOAD_OFFSET' });
    await sleep(50);
  }
}
