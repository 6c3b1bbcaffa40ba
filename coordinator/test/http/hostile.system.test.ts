/** Garbage, floods and silence on raw sockets. Never a 5xx, never a hang, nothing acknowledged, and the honest are served meanwhile. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, enrolled, HandClient, modelFile, SMALL, startHouse } from './kit.ts';
import type { Answer, House } from './kit.ts';

/** Longer than any limit of this test's coordinator: what is open then hangs. */
const HANG_MS = 8_000;
const LIMITS = { headersMs: 1_000, requestMs: 3_000, idleMs: 2_000, checkMs: 200 };

let house: House;
let client: HandClient;
let host: string;

beforeAll(async () => {
  house = await startHouse({}, { limits: LIMITS });
  host = new URL(house.url).host;
  client = await enrolled(house);
  await house.api.uploadModel('small' as never, modelFile(SMALL), 'system');
});
afterAll(() => house.close());

/** Sends the pieces and collects what comes until the other side ends. @throws when it does not in time */
async function converse(pieces: readonly (string | Uint8Array)[], end = false): Promise<string> {
  const { hostname, port } = new URL(house.url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(Number(port), hostname);
  const parts: Buffer[] = [];
  const late = setTimeout(() => {
    socket.destroy();
    reject(new Error(`still open after ${HANG_MS} ms; sent ${JSON.stringify(String(pieces[0]).slice(0, 200))}`));
  }, HANG_MS);
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearTimeout(late);
    resolve(Buffer.concat(parts).toString('latin1'));
  });
  for (const piece of pieces) socket.write(piece);
  // Time to be answered: what an ended connection asked for is dropped.
  if (end) setTimeout(() => socket.end(), 15);
  return promise;
}

const statuses = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

/** The coordinator is well: it serves at once, and has not answered 5xx to anyone. */
async function expectWell(): Promise<void> {
  expect((await call(house.url, 'GET', '/livez')).status).toBe(200);
  const { text } = await call(house.url, 'GET', '/metrics');
  expect(text.split('\n').filter((line) => /status_code="5\d\d"/.test(line))).toEqual([]);
}

describe('bytes that are no request', () => {
  test('any bytes', async () => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 4 }),
        async (pieces) => {
          const answer = await converse(pieces, true);
          for (const status of statuses(answer)) expect(status).toBe(400);
          answered += statuses(answer).length;
        },
      ),
      { numRuns: 150 },
    );
    expect(answered).toBeGreaterThan(100);
    await expectWell();
  });

  const line = fc.oneof(
    fc.constantFrom(
      'host: a',
      'content-length: 5',
      'content-length: -1',
      'content-length: 5, 6',
      'transfer-encoding: chunked',
    ),
    fc.constantFrom(
      'transfer-encoding: chunked, gzip',
      'connection: upgrade',
      'upgrade: websocket',
      'expect: 100-continue',
    ),
    fc.constantFrom(
      'expect: nothing',
      'authorization: Bearer',
      'authorization: Bearer cak1.%.%',
      'content-type: application/json\ta',
    ),
    fc.constantFrom(
      'content-type: application/json; charset=utf-7',
      'signature: carapace=:AAAA:',
      'signature-input: carapace=()',
    ),
    fc.constantFrom(
      'range: bytes=-',
      'range: bytes=9-1,3-4',
      'if-none-match: "',
      'x: \u0000',
      ': no name',
      'a b: c',
      ' folded',
    ),
    fc.string({ maxLength: 60 }),
  );
  const target = fc.oneof(
    fc.constantFrom(
      '/',
      '*',
      '/v1/tasks',
      '/v1/enrol',
      '/v1/client/check-in',
      '//v1/tasks',
      '/v1/../v1/tasks',
      '/%',
      '/%00',
      '/%E0%A4%A',
    ),
    fc.constantFrom(
      '/v1/models/small/versions/1/weights.bin',
      '/v1/models/%2e%2e/versions',
      '/v1/tokens/%00',
      'http://elsewhere/v1/tasks',
    ),
    fc.webPath(),
    fc.string({ maxLength: 40 }),
  );
  const method = fc.constantFrom(
    'GET',
    'POST',
    'PUT',
    'DELETE',
    'HEAD',
    'OPTIONS',
    'PATCH',
    'TRACE',
    'CONNECT',
    'PROPFIND',
    'get',
    'X',
  );

  test('requests of crooked parts, several in one go', async () => {
    const request = fc
      .tuple(method, target, fc.array(line, { maxLength: 6 }), fc.string({ maxLength: 40 }))
      .map(
        ([verb, path, lines, body]) =>
          `${verb} ${path} HTTP/1.1\r\n${['host: h', ...lines].join('\r\n')}\r\n\r\n${body}`,
      );
    const seen = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
        const answer = await converse(requests, true);
        for (const status of statuses(answer)) expect(status).toBeLessThan(500);
        for (const status of statuses(answer)) seen.set(status, (seen.get(status) ?? 0) + 1);
      }),
      { numRuns: 250 },
    );
    for (const status of [400, 404]) expect(seen.get(status) ?? 0, `answers ${status}`).toBeGreaterThan(0);
    await expectWell();
  });

  test('a good request and garbage behind it: the one is answered, the other refused', async () => {
    const answer = await converse([`GET /livez HTTP/1.1\r\nhost: ${host}\r\n\r\nGARBAGE\r\n\r\n`], true);
    expect(statuses(answer)).toEqual([200, 400]);
    expect(answer).toContain('application/problem+json');
    expect(answer).toContain('"code":"REQUEST_INVALID"');
  });

  test.each([
    ['two lengths', 'content-length: 2\r\ncontent-length: 3'],
    ['a length and chunks', 'content-length: 2\r\ntransfer-encoding: chunked'],
    ['an unknown coding', 'transfer-encoding: gzip'],
    ['white space before the colon', 'content-length : 2'],
  ])('smuggling by %s', async (_what, lines) => {
    const inner = `GET /v1/tasks HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${house.adminKey}\r\n\r\n`;
    const answer = await converse([`POST /v1/enrol HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n\r\n${inner}`], true);
    expect(statuses(answer)).not.toContain(200);
    for (const status of statuses(answer)) expect(status).toBeLessThan(500);
  });

  test('headers beyond 16 KiB', async () => {
    const answer = await converse([`GET /livez HTTP/1.1\r\nhost: ${host}\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`]);
    expect(statuses(answer)).toEqual([431]);
    expect(answer).toContain('"code":"HEADERS_TOO_LARGE"');
  });
});

describe('silence', () => {
  const half: Readonly<Record<string, readonly string[]>> = {
    nothing: [],
    'half a request line': ['GET /v1/ta'],
    'half the headers': ['GET /v1/tasks HTTP/1.1\r\nhost: '],
    'half a JSON body': [
      'POST /v1/client/check-in HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{"wait',
    ],
    'half a chunk': [
      'POST /v1/client/check-in HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"',
    ],
  };
  test.each(Object.entries(half))('after %s: the connection is closed', async (_what, pieces) => {
    const answer = await converse(pieces);
    for (const status of statuses(answer)) expect([400, 408]).toContain(status);
  });

  test('of two hundred connections does not keep an honest one waiting', async () => {
    const silent = Array.from({ length: 200 }, (_, index) =>
      converse([
        index % 2 === 0
          ? 'GET /v1/tasks HTTP/1.1\r\nx: '
          : 'POST /v1/enrol HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\ncontent-type: application/json\r\n\r\n{',
      ]),
    );
    for (let i = 0; i < 20; i++) expect((await client.checkIn()).status).toBe(200);
    await Promise.all(silent);
    await expectWell();
  });

  test('that is broken by a byte now and then ends with the time for the whole request', async () => {
    const { hostname, port } = new URL(house.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)));
    socket.write('GET /v1/tasks HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('x'), 100);
    const late = sleep(HANG_MS, false, { ref: false });
    expect(await Promise.race([closed, late])).toBe(true);
    clearInterval(drip);
  });
});

describe('bodies', () => {
  const refused = (answer: Answer, ...codes: string[]): void => {
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(codes).toContain(answer.json['code']);
  };
  const post = (path: string, body: string | Uint8Array, contentType = 'application/json'): Promise<Answer> =>
    house.call('POST', path, {
      body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
      headers: { 'content-type': contentType },
    });

  test('any JSON to any route that takes JSON', async () => {
    const paths = ['/v1/tasks', '/v1/tokens', '/v1/api-keys', `/v1/clients/${client.id}/revoke`];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.json({ maxDepth: 4 }), async (path, body) => {
        refused(await post(path, body), 'REQUEST_INVALID', 'TASK_INVALID');
      }),
      { numRuns: 150 },
    );
  });

  test('any JSON, properly signed, to the calls of clients', async () => {
    const paths = ['/v1/client/check-in', '/v1/client/assignments/a.1/decline'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), async (path, body) => {
        refused(
          await client.send({ method: 'POST', path, body: new TextEncoder().encode(JSON.stringify(body)) }),
          'REQUEST_INVALID',
        );
      }),
      { numRuns: 100 },
    );
    expect((await client.checkIn()).status).toBe(200);
  });

  const crooked: readonly (readonly [string, string | Uint8Array])[] = [
    ['nothing', ''],
    ['half', '{"site":"a"'],
    ['two documents', '{"site":"a"}{"site":"b"}'],
    ['a prototype', '{"site":"a","__proto__":{"ttlSeconds":1}}'],
    ['a constructor', '{"site":"a","constructor":{"prototype":{"x":1}}}'],
    ['one more key', '{"site":"a","role":"admin"}'],
    ['a number for a text', '{"site":1}'],
    ['a text for a number', '{"site":"a","ttlSeconds":"60"}'],
    ['a number out of range', '{"site":"a","ttlSeconds":1e300}'],
    ['a NUL', '{"site":"a\\u0000b"}'],
    ['an escape for the terminal', '{"site":"\\u001b[2J"}'],
    ['half a surrogate pair', '{"site":"\\ud800"}'],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)],
    ['depth', '['.repeat(100_000)],
    ['depth that closes', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
  ];
  test.each(crooked)('%s', async (_what, body) => {
    refused(await post('/v1/tokens', body), 'REQUEST_INVALID');
  });

  test('a NUL or half a surrogate pair deep in a task document', async () => {
    for (const pattern of ['* * * * *\u0000', '\ud800']) {
      const document = {
        name: 'nul',
        model: { name: 'small' },
        cohort: { target: 1 },
        schedule: { kind: 'cron', pattern },
      };
      refused(await house.call('POST', '/v1/tasks', { body: document }), 'REQUEST_INVALID', 'TASK_INVALID');
    }
  });

  test.each(['%00', '%FF', '..', "'", '%27%20OR%201=1', 'a'.repeat(200), '%F0%9F%A6%9E'])(
    'ids such as %s',
    async (id) => {
      for (const [method, path] of [
        ['DELETE', `/v1/tokens/${id}`],
        ['DELETE', `/v1/api-keys/${id}`],
        ['GET', `/v1/clients/${id}`],
        ['GET', `/v1/tasks/${id}`],
        ['GET', `/v1/rounds/${id}`],
        ['GET', `/v1/models/${id}/versions`],
        ['GET', `/v1/models/small/versions/${id}`],
        ['GET', `/v1/models/small/channels/${id}`],
      ] as const) {
        const answer = await house.call(method, path);
        refused(answer, 'REQUEST_INVALID', 'NOT_FOUND', 'METHOD_NOT_ALLOWED');
      }
    },
  );

  test.each([
    'application/json\ta',
    'application/json garbage',
    'application/jsonx',
    'text/plain',
    'application/json;charset=utf-16',
    'multipart/form-data',
  ])('the content type %s', async (contentType) => {
    refused(await post('/v1/tokens', '{"site":"a"}', contentType), 'MEDIA_TYPE_UNSUPPORTED');
    refused(
      await client.send({ method: 'POST', path: '/v1/client/check-in', body: { waitSeconds: 0 }, contentType }),
      'MEDIA_TYPE_UNSUPPORTED',
    );
  });

  test('larger than the route takes, announced or not', async () => {
    refused(await post('/v1/tokens', `{"site":"${'a'.repeat(300_000)}"}`), 'BODY_TOO_LARGE');
    const big = { waitSeconds: 0, filling: 'a'.repeat(20_000) };
    refused(await client.send({ method: 'POST', path: '/v1/client/check-in', body: big }), 'BODY_TOO_LARGE');
    refused(await post('/v1/tasks', new Uint8Array(300_000), 'application/x-safetensors'), 'MEDIA_TYPE_UNSUPPORTED');
    const announced = await converse([
      `POST /v1/enrol HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: 10000000000\r\n\r\n{`,
    ]);
    expect(statuses(announced)).toEqual([413]);
  });

  test('model files of any bytes', async () => {
    const good = modelFile(SMALL);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 40), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = good.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const answer = await post('/v1/models/fuzzed/versions', bytes, 'application/x-safetensors');
        expect(answer.status === 201 || answer.json['code'] === 'MODEL_INVALID', answer.text).toBe(true);
      }),
      { numRuns: 80 },
    );
    const nul = modelFile([{ ...SMALL[0]!, name: 'a\u0000b' }]);
    refused(await post('/v1/models/nul/versions', nul, 'application/x-safetensors'), 'MODEL_INVALID');
    refused(await post('/v1/models/json/versions', '{}'), 'MEDIA_TYPE_UNSUPPORTED');
  });

  test('nothing above was answered with a 5xx', expectWell);
});

test('six thousand crooked requests later the memory is where it was', async () => {
  const flood = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, k) =>
          k % 2 === 0
            ? call(house.url, 'GET', `/v1/tasks?${i}-${k}`, {
                key: `cak1.${'b'.repeat(26)}.${String(i * 50 + k).padStart(43, 'A')}`,
              })
            : client.send({
                method: 'POST',
                path: '/v1/client/check-in',
                body: { waitSeconds: -1, filling: 'x'.repeat(5_000) },
              }),
        ),
      );
    }
  };
  await flood(2_000);
  const before = keptBytes();
  await flood(4_000);
  // Both sides of the flood live in this process; what is looked for is growth by the request.
  expect((keptBytes() - before) / 2 ** 20, 'MiB kept').toBeLessThan(10);
  await expectWell();
});

/** What is still referenced: the collector's own laziness is not a leak. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
