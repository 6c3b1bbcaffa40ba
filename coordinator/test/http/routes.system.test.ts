/** What each route answers: its good path, its documented refusals, its caching, and that the OpenAPI document says the same. */
import { defaultPolicies, layoutOf } from '@carapace/aggregation';
import type { ModelName } from '@carapace/aggregation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COORDINATOR_ERRORS } from '../../src/errors.ts';
import {
  assigned,
  bracketWriter,
  call,
  chunkDraft,
  enrolled,
  makeUpdate,
  modelFile,
  serveRecords,
  SMALL,
  startHouse,
  startTask,
  taskDocument,
} from './kit.ts';
import type { Answer, House } from './kit.ts';
import { routesOf } from './routes-of.ts';

let house: House;
const FILE = modelFile(SMALL);

beforeAll(async () => {
  house = await startHouse({}, { modelWriter: bracketWriter });
  await house.api.uploadModel('small' as ModelName, FILE, 'system');
});
afterAll(() => house.close());

/** A problem as RFC 9457 and our own table have it. */
function expectProblem(answer: Answer, status: number, code: keyof typeof COORDINATOR_ERRORS): void {
  expect({ status: answer.status, code: answer.json['code'] }, answer.text).toEqual({ status, code });
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.json).toMatchObject({
    type: `urn:carapace:error:${code}`,
    title: COORDINATOR_ERRORS[code][1],
    status,
    detail: expect.stringMatching(/./),
    instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect(answer.text).not.toMatch(/\.ts:|node_modules|SELECT|at async/);
}

describe('operators', () => {
  test('tokens: created once in clear, listed without their secrets, revoked once', async () => {
    const created = await house.call('POST', '/v1/tokens', { body: { site: 'north', ttlSeconds: 60 } });
    expect(created).toMatchObject({ status: 201, json: { site: 'north', usedAt: null, revokedAt: null } });
    const { id, token } = created.json as { id: string; token: string };
    const listed = await house.call('GET', '/v1/tokens');
    expect(listed.text).toContain(id);
    expect(listed.text).not.toContain(token.split('.')[2]);
    expect(listed.text).not.toMatch(/secret/i);
    expect((await house.call('DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    expectProblem(await house.call('DELETE', `/v1/tokens/${id}`), 404, 'TOKEN_NOT_FOUND');
    expectProblem(
      await house.call('POST', '/v1/tokens', { body: { site: 'n', ttlSeconds: 86_401 } }),
      400,
      'REQUEST_INVALID',
    );
    expectProblem(await house.call('POST', '/v1/tokens', { body: {} }), 400, 'REQUEST_INVALID');
  });

  test('API keys: created once in clear, listed without their secrets, revoked once', async () => {
    const created = await house.call('POST', '/v1/api-keys', { body: { name: 'board', role: 'auditor' } });
    expect(created).toMatchObject({ status: 201, json: { name: 'board', role: 'auditor' } });
    const { id, key } = created.json as { id: string; key: string };
    expect((await house.call('GET', '/v1/api-keys')).text).not.toContain(key.split('.')[2]);
    expect((await house.call('DELETE', `/v1/api-keys/${id}`)).status).toBe(204);
    expectProblem(await house.call('DELETE', `/v1/api-keys/${id}`), 404, 'API_KEY_NOT_FOUND');
    expectProblem(
      await house.call('POST', '/v1/api-keys', { body: { name: 'x', role: 'root' } }),
      400,
      'REQUEST_INVALID',
    );
  });

  test('tasks: created, shown, paused, resumed, stopped; every wrong step is refused', async () => {
    const created = await house.call('POST', '/v1/tasks', { body: taskDocument('steps') });
    expect(created).toMatchObject({ status: 201, json: { status: 'active' } });
    expectProblem(await house.call('POST', '/v1/tasks', { body: taskDocument('steps') }), 409, 'TASK_EXISTS');
    expectProblem(
      await house.call('POST', '/v1/tasks', { body: { ...taskDocument('other'), extra: 1 } }),
      400,
      'TASK_INVALID',
    );
    const unknown = { ...taskDocument('other'), model: { name: 'nothing' } };
    expectProblem(await house.call('POST', '/v1/tasks', { body: unknown }), 404, 'VERSION_NOT_FOUND');
    expect((await house.call('GET', '/v1/tasks')).json['tasks']).toHaveLength(1);
    expect((await house.call('GET', '/v1/tasks/steps')).json).toMatchObject({ task: { name: 'steps' } });
    expectProblem(await house.call('GET', '/v1/tasks/none'), 404, 'TASK_NOT_FOUND');
    expectProblem(await house.call('GET', '/v1/tasks/No_Name'), 400, 'REQUEST_INVALID');
    expectProblem(await house.call('POST', '/v1/tasks/steps/resume'), 409, 'TASK_STATE');
    expect((await house.call('POST', '/v1/tasks/steps/pause')).json).toMatchObject({ status: 'paused' });
    expectProblem(await house.call('POST', '/v1/tasks/steps/pause'), 409, 'TASK_STATE');
    expect((await house.call('POST', '/v1/tasks/steps/resume')).json).toMatchObject({ status: 'active' });
    expect((await house.call('POST', '/v1/tasks/steps/stop')).json).toMatchObject({ status: 'stopped' });
    expectProblem(await house.call('POST', '/v1/tasks/steps/stop'), 409, 'TASK_STATE');
    const rounds = await house.call('GET', '/v1/tasks/steps/rounds?limit=1');
    expect(rounds.json['rounds']).toMatchObject([{ id: 'steps.1', state: { kind: 'abandoned' } }]);
    expectProblem(await house.call('GET', '/v1/tasks/steps/rounds?limit=0'), 400, 'REQUEST_INVALID');
    expect((await house.call('GET', '/v1/rounds/steps.1')).json).toMatchObject({
      participants: [],
      round: { id: 'steps.1' },
    });
    expectProblem(await house.call('GET', '/v1/rounds/steps.99'), 404, 'ROUND_NOT_FOUND');
  });

  test('clients: listed and shown without anything secret, revoked for good', async () => {
    const { id } = await enrolled(house, 'shown');
    expect((await house.call('GET', '/v1/clients')).text).toContain(id);
    expect((await house.call('GET', `/v1/clients/${id}`)).json).toMatchObject({ id, name: 'shown', status: 'active' });
    for (let i = 0; i < 2; i++) {
      const revoked = await house.call('POST', `/v1/clients/${id}/revoke`, { body: { reason: 'lost' } });
      expect(revoked).toMatchObject({ status: 200, json: { status: 'revoked', revokedReason: 'lost' } });
    }
    const missing = `cl_${'a'.repeat(26)}`;
    expectProblem(await house.call('GET', `/v1/clients/${missing}`), 404, 'CLIENT_NOT_FOUND');
    expectProblem(
      await house.call('POST', `/v1/clients/${missing}/revoke`, { body: { reason: 'x' } }),
      404,
      'CLIENT_NOT_FOUND',
    );
  });

  test('models: published, moved between channels, refused when they do not fit', async () => {
    const headers = { 'content-type': 'application/x-safetensors' };
    const created = await house.call('POST', '/v1/models/own/versions', { body: FILE, headers });
    expect(created).toMatchObject({
      status: 201,
      json: { model: 'own', version: 1, parameters: layoutOf(SMALL).size },
    });
    const other = modelFile([SMALL[0]!]);
    expectProblem(await house.call('POST', '/v1/models/own/versions', { body: other, headers }), 400, 'MODEL_INVALID');
    expectProblem(
      await house.call('POST', '/v1/models/own/versions', { body: FILE.slice(1), headers }),
      400,
      'MODEL_INVALID',
    );
    expectProblem(await house.call('POST', '/v1/models/own/versions', { body: {} }), 415, 'MEDIA_TYPE_UNSUPPORTED');
    expect((await house.call('PUT', '/v1/models/own/channels/stable', { body: { version: 1 } })).json).toMatchObject({
      version: 1,
    });
    expectProblem(
      await house.call('PUT', '/v1/models/own/channels/stable', { body: { version: 9 } }),
      404,
      'VERSION_NOT_FOUND',
    );
    expect((await house.call('GET', '/v1/models/own/channels/stable')).json).toMatchObject({ version: 1 });
  });

  test('the audit names who did what, in a chain', async () => {
    const { entries } = (await house.call('GET', '/v1/audit?after=0')).json as {
      entries: { sequence: number; action: string; actor: string; hash: string; previousHash: string }[];
    };
    expect(entries.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['token.create', 'client.enrol', 'client.revoke']),
    );
    entries.slice(1).forEach((entry, index) => expect(entry.previousHash).toBe(entries[index]?.hash));
    const [, second] = entries;
    expect(JSON.stringify((await house.call('GET', '/v1/audit?after=1')).json['entries'])).toContain(second?.hash);
  });
});

describe('clients', () => {
  test('check in, are assigned, load the model, contribute, and have a receipt', async () => {
    const client = await enrolled(house);
    expect((await client.checkIn()).json).toMatchObject({ kind: 'idle', reason: 'nothing-yet' });
    await startTask(house, 'whole');
    const round = await assigned(client);
    const again = await client.send({ method: 'GET', path: `/v1/client/assignments/${round}` });
    const assignment = JSON.parse(String(again.json['payload'])) as { model: { weights: string; topology: string } };
    const blob = await client.send({ method: 'GET', path: `/v1/client/blobs/${assignment.model.weights}` });
    expect(blob.headers.get('content-length')).toBe(String(4 * layoutOf(SMALL).size));
    expectProblem(
      await client.send({ method: 'GET', path: `/v1/client/blobs/${'0'.repeat(64)}` }),
      404,
      'BLOB_NOT_FOUND',
    );
    expectProblem(await client.send({ method: 'GET', path: '/v1/client/blobs/none' }), 400, 'REQUEST_INVALID');
    const update = await makeUpdate(house, round);
    expect((await client.send(chunkDraft(update))).json).toMatchObject({ kind: 'admitted' });
    expectProblem(
      await client.send({ method: 'GET', path: '/v1/client/assignments/whole.99' }),
      404,
      'ROUND_NOT_FOUND',
    );
    const declined = { method: 'POST', path: `/v1/client/assignments/${round}/decline`, body: { reason: 'done' } };
    expectProblem(await client.send(declined), 410, 'ROUND_OVER');
    await house.api.revokeClient(client.id, 'done', 'system');
  });

  test('a missing blob is not promised to be missing for ever', async () => {
    const client = await enrolled(house);
    const answer = await client.send({ method: 'GET', path: `/v1/client/blobs/${'0'.repeat(64)}` });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('etag')).toBeNull();
    await house.api.revokeClient(client.id, 'done', 'system');
  });
});

describe('models as anyone loads them', () => {
  const version = '/v1/models/small/versions/1';
  const read = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    call(house.url, 'GET', path, { headers });

  test.each([`${version}/model.json`, `${version}/weights.bin`, `${version}/model.safetensors`])(
    '%s: a strong ETag, for ever',
    async (path) => {
      const first = await read(path);
      expect(first.status).toBe(200);
      const etag = first.headers.get('etag') ?? '';
      expect(etag).toMatch(/^"[^"]+"$/);
      expect(first.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(first.headers.get('access-control-allow-origin')).toBe('*');
      for (const known of [etag, `"x", ${etag}`, `W/${etag}`, '*']) {
        const again = await read(path, { 'if-none-match': known });
        expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
      }
      expect((await read(path, { 'if-none-match': '"other"' })).status).toBe(200);
      const head = await call(house.url, 'HEAD', path);
      expect([head.status, head.headers.get('etag'), head.text]).toEqual([200, etag, '']);
    },
  );

  test('the three files hold the same weights', async () => {
    const bytes = async (path: string): Promise<Buffer> =>
      Buffer.from(await (await fetch(`${house.url}${path}`)).arrayBuffer());
    const weights = await bytes(`${version}/weights.bin`);
    const safetensors = await bytes(`${version}/model.safetensors`);
    expect(safetensors.subarray(safetensors.length - weights.length).equals(weights)).toBe(true);
    expect((await read(`${version}/model.json`)).json).toMatchObject({
      format: 'layers-model',
      weightsManifest: [
        { paths: ['weights.bin'], weights: SMALL.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })) },
      ],
    });
  });

  test('model.onnx: the pieces of the writer with the weights between them, asked about each time', async () => {
    const bytes = async (path: string): Promise<Buffer> =>
      Buffer.from(await (await fetch(`${house.url}${path}`)).arrayBuffer());
    const weights = await bytes(`${version}/weights.bin`);
    const wanted = Buffer.concat([
      Buffer.from('<dense/kernel>'),
      weights.subarray(0, 24),
      Buffer.from('<dense/bias>'),
      weights.subarray(24),
      Buffer.from('<end>'),
    ]);
    for (const path of [`${version}/model.onnx`, '/v1/models/small/channels/latest/model.onnx']) {
      expect((await bytes(path)).equals(wanted), path).toBe(true);
      const first = await call(house.url, 'HEAD', path);
      expect(first.headers.get('content-length')).toBe(String(wanted.length));
      expect(first.headers.get('cache-control')).toBe('no-cache');
      const again = await read(path, { 'if-none-match': first.headers.get('etag') ?? '' });
      expect([again.status, again.text]).toEqual([304, '']);
    }
  });

  test('model.onnx of many tensors, in a blob that comes in parts', async () => {
    const tensors = defaultPolicies(
      [60_000, 1, 90_000, 2, 16_384].map((size, at) => ({ name: `t${at}`, shape: [size] })),
    );
    await house.api.uploadModel('parts' as ModelName, modelFile(tensors), 'system');
    const path = '/v1/models/parts/versions/1';
    const weights = Buffer.from(await (await fetch(`${house.url}${path}/weights.bin`)).arrayBuffer());
    const file = Buffer.from(await (await fetch(`${house.url}${path}/model.onnx`)).arrayBuffer());
    const parts = layoutOf(tensors).slots.flatMap(({ name, offset, size }) => [
      Buffer.from(`<${name}>`),
      weights.subarray(4 * offset, 4 * (offset + size)),
    ]);
    expect(file.equals(Buffer.concat([...parts, Buffer.from('<end>')]))).toBe(true);
  });

  test('model.onnx of a model that cannot be written so, or by a coordinator without a writer', async () => {
    await house.api.uploadModel('odd' as ModelName, modelFile(SMALL, '{"class_name":"Odd"}'), 'system');
    const refused = await read('/v1/models/odd/versions/1/model.onnx');
    expectProblem(refused, 404, 'MODEL_FORMAT_MISSING');
    expect(refused.json['detail']).toContain('Odd layer7');
    const plain = await startHouse();
    try {
      await plain.api.uploadModel('small' as ModelName, FILE, 'system');
      expectProblem(await call(plain.url, 'GET', `${version}/model.onnx`, {}), 404, 'MODEL_FORMAT_MISSING');
    } finally {
      await plain.close();
    }
  });

  test('ranges', async () => {
    const all = Buffer.from(await (await fetch(`${house.url}${version}/weights.bin`)).arrayBuffer());
    const cases: readonly (readonly [string, number, number, number])[] = [
      ['bytes=0-3', 206, 0, 3],
      ['bytes=4-', 206, 4, all.length - 1],
      ['bytes=30-9999', 206, 30, all.length - 1],
      ['bytes=31-31', 206, 31, 31],
      // What cannot be read or is more than one range is answered whole, as RFC 9110 (section 14.2) allows.
      ['bytes=0-1,3-4', 200, 0, all.length - 1],
      ['items=0-3', 200, 0, all.length - 1],
      ['bytes=9-3', 200, 0, all.length - 1],
    ];
    for (const [range, status, from, to] of cases) {
      const response = await fetch(`${house.url}${version}/weights.bin`, { headers: { range } });
      const found = Buffer.from(await response.arrayBuffer());
      expect({ range, status: response.status, same: found.equals(all.subarray(from, to + 1)) }).toEqual({
        range,
        status,
        same: true,
      });
      if (status === 206) expect(response.headers.get('content-range')).toBe(`bytes ${from}-${to}/${all.length}`);
    }
  });

  test('a channel is asked about each time, and names its weights by version', async () => {
    const channel = await read('/v1/models/small/channels/latest/model.json');
    expect(channel.headers.get('cache-control')).toBe('no-cache');
    expect(channel.json).toMatchObject({
      weightsManifest: [{ paths: [expect.stringMatching(/^\.\.\/\.\.\/versions\/\d+\/weights\.bin$/)] }],
    });
    const [path = ''] = (channel.json['weightsManifest'] as [{ paths: string[] }])[0].paths;
    expect((await fetch(new URL(path, `${house.url}/v1/models/small/channels/latest/model.json`))).status).toBe(200);
  });

  test('what is not there', async () => {
    expectProblem(await read('/v1/models/none/versions'), 404, 'MODEL_NOT_FOUND');
    expectProblem(await read('/v1/models/small/versions/9999'), 404, 'VERSION_NOT_FOUND');
    expectProblem(await read('/v1/models/small/channels/none'), 404, 'VERSION_NOT_FOUND');
    expectProblem(await read('/v1/models/small/versions/0'), 400, 'REQUEST_INVALID');
    expectProblem(await read('/v1/models/small/versions/1/other.bin'), 404, 'NOT_FOUND');
  });

  test('other origins may read and nothing else', async () => {
    const preflight = (path: string, method: string): Promise<Answer> =>
      call(house.url, 'OPTIONS', path, {
        headers: { origin: 'https://elsewhere.example', 'access-control-request-method': method },
      });
    const answer = await preflight('/v1/tasks', 'POST');
    expect(answer.headers.get('access-control-allow-methods')).toBe('GET, HEAD');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    expect((await read(version)).headers.get('access-control-expose-headers')).toContain('etag');
  });
});

test('a method that a route does not take is answered with those it takes', async () => {
  const answer = await house.call('PATCH', '/v1/tasks');
  expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
  expect(answer.headers.get('allow')).toBe('GET, POST');
  expectProblem(await house.call('GET', '/v2/tasks'), 404, 'NOT_FOUND');
});

describe('the description of the API', () => {
  interface Operation {
    readonly operationId?: string;
    readonly summary?: string;
    readonly security?: readonly Record<string, unknown>[];
    readonly parameters?: readonly {
      readonly name: string;
      readonly in: string;
      readonly required?: boolean;
      readonly schema?: unknown;
    }[];
    readonly responses: Readonly<
      Record<string, { readonly description?: string; readonly content?: Record<string, { schema?: unknown }> }>
    >;
  }
  const operations = async (): Promise<[string, string, Operation][]> => {
    const { json } = await call(house.url, 'GET', '/openapi.json');
    expect(json['openapi']).toMatch(/^3\.1\.\d+$/);
    expect(json['info']).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    return Object.entries(json['paths'] as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
        method.toUpperCase(),
        path,
        operation,
      ]),
    );
  };

  test('equals the routes', async () => {
    const described = (await operations())
      .map(([method, path]) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`)
      .sort();
    const hidden = ['GET /docs', 'GET /openapi.json', 'OPTIONS *'];
    const routes = (await routesOf(house.api)).filter((route) => !route.startsWith('HEAD ') && !hidden.includes(route));
    expect(described).toEqual(routes);
  });

  test('names, sums up and answers every operation', async () => {
    const { json } = await call(house.url, 'GET', '/openapi.json');
    const schemes = Object.keys((json['components'] as { securitySchemes: object }).securitySchemes);
    const all = await operations();
    const ids = all.map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [method, path, operation] of all) {
      const name = `${method} ${path}`;
      expect(operation.operationId, name).toMatch(/^[a-z][a-zA-Z]+$/);
      expect(operation.summary, name).toMatch(/^\S.*[^.]$/);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(inPath.map((parameter) => parameter.name).sort(), name).toEqual(named.sort());
      for (const parameter of inPath) expect(parameter.required, name).toBe(true);
      for (const scheme of (operation.security ?? []).flatMap((security) => Object.keys(security)))
        expect(schemes, name).toContain(scheme);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(status, name).toMatch(/^([1-5]\d\d|[1-5]XX|default)$/);
        expect(response.description, `${name} ${status}`).toEqual(expect.any(String));
      }
      if (!path.startsWith('/v1/') || path === '/v1/coordinator') continue;
      expect(Object.keys(operation.responses), name).toEqual(expect.arrayContaining(['4XX', '5XX']));
      expect(operation.responses['4XX']?.content?.['application/problem+json'], name).toBeDefined();
    }
  });

  test('is a page without anything from elsewhere', async () => {
    const page = await call(house.url, 'GET', '/docs');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.text).not.toMatch(/<script|<link|<img|@import|url\(|src=|https?:\/\//);
    for (const [, path, { summary }] of await operations()) {
      expect(page.text).toContain(path);
      expect(page.text).toContain(
        summary?.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
      );
    }
  });
});

describe('health', () => {
  test('metrics are named as Prometheus asks, and have no label without a bound', async () => {
    const { text, headers } = await call(house.url, 'GET', '/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const kinds = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind]) => [name, kind] as const);
    for (const [name, kind] of kinds) {
      expect(name).toMatch(/^(fl|http_server|process|nodejs)_[a-z0-9_]+$/);
      if (name.startsWith('fl_') && kind === 'counter') expect(name).toMatch(/_total$/);
      if (name.startsWith('fl_') && kind === 'histogram') expect(name).toMatch(/_(seconds|bytes|participants)$/);
    }
    expect(kinds.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'fl_rounds_total',
        'fl_round_duration_seconds',
        'fl_round_phase_duration_seconds',
        'fl_round_participants',
        'fl_updates_total',
        'fl_update_size_bytes',
        'fl_clients',
        'fl_auth_failures_total',
        'fl_enrolments_total',
        'fl_jobs',
        'fl_reconciler_repairs_total',
        'fl_build_info',
        'http_server_request_duration_seconds',
      ]),
    );
    const labels = new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, label]) => label));
    const allowed = [
      'task',
      'outcome',
      'reason',
      'phase',
      'state',
      'result',
      'queue',
      'what',
      'version',
      'le',
      'quantile',
      'space',
      'type',
      'kind',
      'major',
      'minor',
      'patch',
    ];
    const http = ['http_request_method', 'http_route', 'http_response_status_code'];
    expect([...labels].filter((label) => ![...allowed, ...http].includes(label ?? ''))).toEqual([]);
    expect(text).not.toMatch(/cl_[a-z2-7]{26}|up_[a-z2-7]{26}/);
  });

  test('the coordinator says who it is and what time it has', async () => {
    const { json } = await call(house.url, 'GET', '/v1/coordinator');
    expect(json).toMatchObject({ name: 'carapace', protocol: 1, publicKey: expect.stringMatching(/^[\w-]{43}$/) });
    expect(Math.abs(Number(json['time']) - Date.now())).toBeLessThan(5_000);
  });

  test('without its records it is alive, not ready, and refuses plainly until they are back', async () => {
    const records = await serveRecords();
    const cut = await startHouse({ databaseUrl: records.url });
    try {
      expect(await call(cut.url, 'GET', '/readyz')).toMatchObject({
        status: 200,
        json: { ready: true, checks: { database: 'ok' } },
      });
      records.cut();
      const answer = await call(cut.url, 'GET', '/readyz');
      expect(answer).toMatchObject({ status: 503, json: { ready: false, checks: { database: 'failing' } } });
      expect((await call(cut.url, 'GET', '/livez')).status).toBe(200);
      expect((await call(cut.url, 'GET', '/metrics')).status).toBe(200);
      const refused = await cut.call('GET', '/v1/tasks');
      expectProblem(refused, 503, 'STORE_UNAVAILABLE');
      expect(refused.headers.get('retry-after')).toBe('1');
    } finally {
      await cut.close().catch(() => undefined);
      await records.close();
    }
  });
});
