/** What is open when somebody is revoked ends; who guesses is slowed down, and who does not is not. */
import { request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientId } from '@carapace/aggregation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  assigned,
  call,
  chunkDraft,
  enrolled,
  files,
  HandClient,
  makeUpdate,
  serveRecords,
  startHouse,
  startTask,
} from './kit.ts';
import type { Draft, House } from './kit.ts';

/** The promise of the protocol. */
const BITES_MS = 5_000;

let house: House;
beforeAll(async () => {
  house = await startHouse({ reconcileSeconds: 0.5 });
});
afterAll(() => house.close());

async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const late = sleep(ms, undefined, { ref: false }).then(() => {
    throw new Error(`${what} did not happen within ${ms} ms`);
  });
  return Promise.race([promise, late]);
}

test('a long-poll of a revoked client ends', async () => {
  const client = await enrolled(house);
  const poll = client.checkIn(30);
  await seenWaiting(client.id);
  await house.api.revokeClient(client.id, 'stolen', 'system');
  const answer = await within(poll, BITES_MS, 'the end of the poll');
  expect(answer).toMatchObject({ status: 401, json: { code: 'CLIENT_UNKNOWN' } });
  expect(await client.checkIn()).toMatchObject({ status: 401, json: { code: 'CLIENT_UNKNOWN' } });
});

test('a long-poll ends too when another process revokes its client', async () => {
  const records = await serveRecords();
  const houses = [
    await startHouse({ databaseUrl: records.url, reconcileSeconds: 0.5 }),
    await startHouse({ databaseUrl: records.url, reconcileSeconds: 0.5 }),
  ] as const;
  try {
    const client = await enrolled(houses[0]);
    const poll = client.checkIn(30);
    await seenWaiting(client.id, houses[1]);
    await houses[1].api.revokeClient(client.id, 'stolen', 'system');
    const answer = await within(poll, BITES_MS, 'the end of the poll');
    expect(answer).toMatchObject({ status: 401, json: { code: 'CLIENT_UNKNOWN' } });
    // What this process knows of a key it keeps for two seconds.
    const deadline = performance.now() + BITES_MS;
    while ((await client.checkIn()).status !== 401) expect(performance.now()).toBeLessThan(deadline);
  } finally {
    await Promise.all(houses.map((each) => each.close()));
    await records.close();
  }
});

test('a poll that is cut off does not make the client’s next one count as gone', async () => {
  const client = await enrolled(house);
  const first = rawRequest(client, { method: 'POST', path: '/v1/client/check-in', body: { waitSeconds: 30 } });
  first.end(first.body);
  await seenWaiting(client.id);
  const second = client.checkIn(5);
  await sleep(100);
  first.request.destroy();
  await sleep(300);
  const { waitingUntil } = await house.api.findClient(client.id);
  expect(waitingUntil).toBeGreaterThan(Date.now());
  expect((await second).json).toMatchObject({ kind: 'idle' });
  // Or the rounds below would select it: it counts as waiting for some seconds more.
  await house.api.revokeClient(client.id, 'done', 'system');
});

describe('an upload', () => {
  test('of a client that is revoked in the middle of it is cut off, and leaves nothing', async () => {
    const client = await enrolled(house);
    await startTask(house, 'revoked');
    const update = await makeUpdate(house, await assigned(client));
    const upload = rawRequest(client, chunkDraft(update));
    const half = update.bytes.length / 2;
    upload.request.write(update.bytes.slice(0, half));
    await sleep(200);
    await house.api.revokeClient(client.id, 'stolen', 'system');
    // Drips on, as a slow link does, until the coordinator has had enough.
    const answered = within(upload.answer, BITES_MS, 'the refusal');
    const drip = setInterval(() => upload.request.write(update.bytes.slice(half, half + 1)), 300);
    const answer = await answered.finally(() => clearInterval(drip));
    upload.request.destroy();
    expect(answer).toMatchObject({ status: 401, json: { code: 'CLIENT_UNKNOWN' } });
    expect(await updateFiles(client)).toEqual([]);
  });

  test('whole a moment after its client was revoked is not admitted', async () => {
    const client = await enrolled(house);
    await startTask(house, 'late');
    const update = await makeUpdate(house, await assigned(client));
    const upload = rawRequest(client, chunkDraft(update));
    upload.request.write(update.bytes.slice(0, 10));
    await sleep(200);
    await house.api.revokeClient(client.id, 'stolen', 'system');
    upload.end(update.bytes.slice(10));
    expect(await upload.answer).toMatchObject({ status: 409, json: { refusal: 'CLIENT_REVOKED' } });
    expect(await updateFiles(client)).toEqual([]);
    const { participants } = await house.api.showRound(update.round);
    expect(participants.map(({ status }) => status)).toEqual(['revoked']);
  });
});

test('a revoked API key and a revoked token are refused at once', async () => {
  const { record, key } = await house.api.createApiKey({ name: 'short', role: 'auditor' }, 'system');
  expect((await house.call('GET', '/v1/tasks', { key })).status).toBe(200);
  await house.api.revokeApiKey(record.id, 'system');
  expect(await house.call('GET', '/v1/tasks', { key })).toMatchObject({
    status: 401,
    json: { code: 'API_KEY_INVALID' },
  });
});

describe('guessing', () => {
  let guarded: House;
  beforeAll(async () => {
    guarded = await startHouse({ authenticationFailuresPerMinute: 10, enrolmentsPerMinute: 3 });
  });
  afterAll(() => guarded.close());

  test('is answered 429 with a time to wait, while others behind the same address are served', async () => {
    const honest = await enrolled(guarded, 'honest');
    const guess = `cak1.${'a'.repeat(26)}.${'A'.repeat(43)}`;
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) {
      const answer = await guarded.call('GET', '/v1/tasks', { key: guess });
      statuses.push(answer.status);
      if (answer.status === 429) {
        expect(answer.json).toMatchObject({ code: 'RATE_LIMITED' });
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
        expect(Number(answer.json['retryAfterMs'])).toBeGreaterThan(0);
      }
      expect((await guarded.call('GET', '/v1/tasks')).status).toBe(200);
      expect((await honest.checkIn()).status).toBe(200);
    }
    expect(statuses.slice(0, 10)).toEqual(Array<number>(10).fill(401));
    // The trickle gives one more every six seconds.
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(28);
    const newcomer = await enrolled(guarded, 'newcomer');
    expect((await newcomer.checkIn()).status).toBe(200);
  });

  test('for a key that exists stops before the key is looked at', async () => {
    const { key } = await guarded.api.createApiKey({ name: 'target', role: 'auditor' }, 'system');
    const [kind, id] = key.split('.');
    for (let i = 0; i < 12; i++)
      await guarded.call('GET', '/v1/tasks', { key: `${kind}.${id}.${String(i).padStart(43, 'A')}` });
    const right = await guarded.call('GET', '/v1/tasks', { key });
    expect(right.status, 'a right guess among too many wrong ones tells nothing').toBe(429);
  });

  test('is counted', async () => {
    const { text } = await call(guarded.url, 'GET', '/metrics');
    expect(text).toMatch(/fl_auth_failures_total\{reason="api_key_invalid"\} 1\d/);
    expect(text).toMatch(/fl_auth_failures_total\{reason="rate_limited"\} \d\d/);
  });

  test('enrolments are bounded by address too', async () => {
    // Two have enrolled above.
    await enrolled(guarded, 'third');
    const { token } = await guarded.api.createToken({ site: 'site', ttlSeconds: 60 }, 'system');
    const fourth = new HandClient(guarded.url);
    const answer = await fourth.send(fourth.enrolDraft(token));
    expect(answer).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

async function seenWaiting(id: ClientId, at: House = house): Promise<void> {
  const deadline = performance.now() + 5_000;
  while ((await at.api.findClient(id)).waitingUntil <= Date.now()) {
    if (performance.now() > deadline) throw new Error('the client does not wait');
    await sleep(20);
  }
}

async function updateFiles(client: HandClient): Promise<string[]> {
  const found = await files(`${house.directory}/updates`);
  return Object.entries(found).flatMap(([name, bytes]) => (bytes > 0 && name.includes(client.id) ? [name] : []));
}

interface Sending {
  readonly request: ClientRequest;
  readonly body: Uint8Array;
  readonly end: (rest: Uint8Array) => void;
  readonly answer: Promise<{ status: number; json: Record<string, unknown> }>;
}

/** Headers now, the body piece by piece. */
function rawRequest(client: HandClient, draft: Draft): Sending {
  const { method, path, headers, body } = client.sign(draft);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; json: Record<string, unknown> }>();
  promise.catch(() => undefined);
  const sending = request(
    `${client.url}${path}`,
    { method, headers: { ...headers, 'transfer-encoding': 'chunked' } },
    (message: IncomingMessage) => {
      const parts: Buffer[] = [];
      message.on('data', (part: Buffer) => parts.push(part));
      message.on('end', () => {
        resolve({
          status: message.statusCode ?? 0,
          json: JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown>,
        });
      });
    },
  );
  sending.on('error', reject);
  return { request: sending, body: body ?? new Uint8Array(0), end: (rest) => void sending.end(rest), answer: promise };
}
