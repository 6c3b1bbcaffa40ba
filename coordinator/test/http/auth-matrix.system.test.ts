/**
 * The matrix of who may not: every route times every way of not being allowed. Each attempt gets its status and stable code, and
 * changes no row and no file. The same requests are served in the end to those who may send them, so that no refusal is of another cause.
 */
import {
  decodeSession,
  DEFAULT_AGGREGATOR_FLOOR,
  DEFAULT_FLOOR,
  encodeShares,
  joinSession,
  joinShares,
  laneCount,
  newUpdateId,
  openAggregator,
  openAggregatorKey,
  parseDigest,
  sharesLanesOf,
  signRoster,
  sumShares,
  takeRequest,
} from '@carapace/aggregation';
import { fromBase64url, generateSigningKey, sha256Hex, systemRandom, toBase64url, utf8 } from '@carapace/crypto';
import type { ClientId, ModelName, RoundId } from '@carapace/aggregation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  assigned,
  call,
  chunkDraft,
  enrolled,
  files,
  HandClient,
  makeUpdate,
  modelFile,
  newToken,
  serveRecords,
  bracketWriter,
  SMALL,
  startHouse,
  startTask,
  taskDocument,
  updatePath,
} from './kit.ts';
import type { Answer, Draft, House, ServedRecords, SignedRequest, Update } from './kit.ts';
import { routesOf } from './routes-of.ts';

type Role = 'auditor' | 'operator' | 'admin';
type Who = 'anyone' | Role | 'client' | 'token';

interface Route {
  readonly who: Who;
  /** A request that is served when the right one sends it. */
  readonly draft: () => Omit<Draft, 'method'>;
}

interface World {
  readonly records: ServedRecords;
  readonly house: House;
  readonly keys: Readonly<Record<Role | 'revoked', string>>;
  readonly round: RoundId;
  readonly member: HandClient;
  /** A number that the member has used. */
  readonly used: bigint;
  readonly outsider: HandClient;
  readonly revoked: HandClient;
  readonly victim: ClientId;
  readonly update: Update;
  /** A round of secure aggregation in which another member is asked for its keys. */
  readonly secure: {
    readonly round: RoundId;
    readonly member: HandClient;
    readonly used: bigint;
    readonly keys: string;
  };
  /** A round with a second aggregator, which is asked for its sum. */
  readonly shared: {
    readonly round: RoundId;
    readonly member: HandClient;
    readonly used: bigint;
    readonly sum: Uint8Array;
  };
  readonly weights: string;
  readonly tokens: Readonly<Record<'open' | 'spent' | 'expired' | 'revoked', string>>;
  readonly idOf: Readonly<Record<'token' | 'key', string>>;
}

let world: World;

const of = (path: string, body?: unknown, contentType?: string): Omit<Draft, 'method'> => ({
  path,
  ...(body === undefined ? {} : { body }),
  ...(contentType === undefined ? {} : { contentType }),
});
const read = (who: Who, path: () => string): Route => ({ who, draft: () => of(path()) });
const write = (who: Who, path: () => string, body?: () => unknown): Route => ({
  who,
  draft: () => of(path(), body?.()),
});

/** In the order in which they can all be served, one after the other. */
const ROUTES: Readonly<Record<string, Route>> = {
  'GET /openapi.json': read('anyone', () => '/openapi.json'),
  'GET /docs': read('anyone', () => '/docs'),
  'GET /livez': read('anyone', () => '/livez'),
  'GET /readyz': read('anyone', () => '/readyz'),
  'GET /metrics': read('anyone', () => '/metrics'),
  'GET /v1/coordinator': read('anyone', () => '/v1/coordinator'),
  'OPTIONS *': read('anyone', () => '/v1/models'),

  'GET /v1/tasks': read('auditor', () => '/v1/tasks'),
  'GET /v1/tasks/:task': read('auditor', () => '/v1/tasks/matrix'),
  'GET /v1/tasks/:task/rounds': read('auditor', () => '/v1/tasks/matrix/rounds?limit=5'),
  'GET /v1/rounds/:round': read('auditor', () => `/v1/rounds/${world.round}`),
  'GET /v1/clients': read('auditor', () => '/v1/clients'),
  'GET /v1/clients/:client': read('auditor', () => `/v1/clients/${world.victim}`),
  'GET /v1/tokens': read('auditor', () => '/v1/tokens'),
  'GET /v1/audit': read('auditor', () => '/v1/audit?after=0'),
  'GET /v1/models': read('auditor', () => '/v1/models'),
  'GET /v1/models/:model/versions': read('auditor', () => '/v1/models/small/versions'),
  'GET /v1/models/:model/versions/:version': read('auditor', () => '/v1/models/small/versions/1'),
  'GET /v1/models/:model/versions/:version/model.json': read('auditor', () => '/v1/models/small/versions/1/model.json'),
  'GET /v1/models/:model/versions/:version/weights.bin': read(
    'auditor',
    () => '/v1/models/small/versions/1/weights.bin',
  ),
  'GET /v1/models/:model/versions/:version/model.safetensors': read(
    'auditor',
    () => '/v1/models/small/versions/1/model.safetensors',
  ),
  'GET /v1/models/:model/versions/:version/model.onnx': read('auditor', () => '/v1/models/small/versions/1/model.onnx'),
  'GET /v1/models/:model/channels/:channel/model.onnx': read(
    'auditor',
    () => '/v1/models/small/channels/latest/model.onnx',
  ),
  'GET /v1/models/:model/channels/:channel': read('auditor', () => '/v1/models/small/channels/latest'),
  'GET /v1/models/:model/channels/:channel/model.json': read(
    'auditor',
    () => '/v1/models/small/channels/latest/model.json',
  ),
  'GET /v1/api-keys': read('admin', () => '/v1/api-keys'),

  'POST /v1/tokens': write(
    'operator',
    () => '/v1/tokens',
    () => ({ site: 'elsewhere' }),
  ),
  'DELETE /v1/tokens/:id': write('operator', () => `/v1/tokens/${world.idOf.token}`),
  'POST /v1/clients/:client/revoke': write(
    'operator',
    () => `/v1/clients/${world.victim}/revoke`,
    () => ({ reason: 'stolen' }),
  ),
  'PUT /v1/models/:model/channels/:channel': write(
    'operator',
    () => '/v1/models/small/channels/stable',
    () => ({ version: 1 }),
  ),
  'POST /v1/models/:model/versions': {
    who: 'operator',
    draft: () => of('/v1/models/other/versions', modelFile(SMALL), 'application/x-safetensors'),
  },
  'POST /v1/api-keys': write(
    'admin',
    () => '/v1/api-keys',
    () => ({ name: 'another', role: 'admin' }),
  ),
  'PUT /v1/roster': write(
    'admin',
    () => '/v1/roster',
    () => ({ roster: toBase64url(signRoster(AUTHORITY, 1, [])) }),
  ),
  'GET /v1/roster': read('auditor', () => '/v1/roster'),
  'PUT /v1/budgets/:budget': write(
    'admin',
    () => '/v1/budgets/keyboard',
    () => ({ epsilon: 1, delta: 1e-6 }),
  ),
  'GET /v1/budgets': read('auditor', () => '/v1/budgets'),
  'GET /v1/budgets/:budget': read('auditor', () => '/v1/budgets/keyboard'),
  'GET /v1/tasks/:task/forecast': read('auditor', () => '/v1/tasks/matrix/forecast'),
  'POST /v1/plan': write(
    'auditor',
    () => '/v1/plan',
    () => ({ population: 1000, cohort: 10, rounds: 2, noiseMultiplier: '2', model: 'small', budgets: ['keyboard'] }),
  ),
  'GET /v1/ledger': read('auditor', () => '/v1/ledger?after=0'),
  'POST /v1/ledger/accept': write('admin', () => '/v1/ledger/accept'),
  'DELETE /v1/api-keys/:id': write('admin', () => `/v1/api-keys/${world.idOf.key}`),

  'POST /v1/enrol': {
    who: 'token',
    draft: () => {
      throw new Error('made by the one who enrols');
    },
  },
  'GET /v1/client/assignments/:round': read('client', () => `/v1/client/assignments/${world.round}`),
  'GET /v1/client/blobs/:digest': read('client', () => `/v1/client/blobs/${world.weights}`),
  'GET /v1/client/rounds/:round/updates/:update': read('client', () => updatePath(world.update)),
  'PUT /v1/client/rounds/:round/updates/:update': {
    who: 'client',
    // All but the last byte: a chunk that is kept, and admits nothing yet.
    draft: () => chunkDraft(world.update, 0, world.update.bytes.length - 1),
  },
  'GET /v1/client/rounds/:round/secagg/invitation': read(
    'client',
    () => `/v1/client/rounds/${world.secure.round}/secagg/invitation`,
  ),
  'GET /v1/client/rounds/:round/secagg/:step': read(
    'client',
    () => `/v1/client/rounds/${world.secure.round}/secagg/share-keys?waitSeconds=0`,
  ),
  'POST /v1/client/rounds/:round/secagg/:step': write(
    'client',
    () => `/v1/client/rounds/${world.secure.round}/secagg/advertise-keys`,
    () => ({ message: world.secure.keys }),
  ),
  'GET /v1/aggregator/work': read('client', () => '/v1/aggregator/work?waitSeconds=0'),
  'PUT /v1/aggregator/rounds/:round/sum': {
    who: 'client',
    // All but the last byte, as above.
    draft: () => {
      const { round, sum } = world.shared;
      const query = `?offset=0&total=${sum.length}&digest=${sha256Hex(sum)}`;
      return of(`/v1/aggregator/rounds/${round}/sum${query}`, sum.slice(0, -1), 'application/octet-stream');
    },
  },
  'POST /v1/aggregator/rounds/:round/decline': write(
    'client',
    () => `/v1/aggregator/rounds/${world.shared.round}/decline`,
    () => ({ reason: 'busy' }),
  ),
  'POST /v1/client/assignments/:round/decline': write(
    'client',
    () => `/v1/client/assignments/${world.round}/decline`,
    () => ({ reason: 'busy' }),
  ),
  'POST /v1/client/check-in': write(
    'client',
    () => '/v1/client/check-in',
    () => ({ waitSeconds: 0 }),
  ),

  'POST /v1/tasks': write(
    'operator',
    () => '/v1/tasks',
    () => taskDocument('another'),
  ),
  'POST /v1/tasks/:task/pause': write('operator', () => '/v1/tasks/matrix/pause'),
  'POST /v1/tasks/:task/resume': write('operator', () => '/v1/tasks/matrix/resume'),
  'POST /v1/tasks/:task/stop': write('operator', () => '/v1/tasks/matrix/stop'),
};

const AUTHORITY = generateSigningKey(systemRandom);
const RANK: Readonly<Record<Role, number>> = { auditor: 0, operator: 1, admin: 2 };
const entriesOf = (...who: readonly Who[]): [string, Route][] =>
  Object.entries(ROUTES).filter(([, route]) => who.includes(route.who));
const methodOf = (name: string): string => name.split(' ')[0] ?? '';

beforeAll(async () => {
  const records = await serveRecords();
  const house = await startHouse({ databaseUrl: records.url, publicModels: 'no' }, { modelWriter: bracketWriter });
  const makeKey = (role: Role) => house.api.createApiKey({ name: role, role }, 'system');
  const [admin, operator, auditor, revokedKey, spareKey] = [
    await makeKey('admin'),
    await makeKey('operator'),
    await makeKey('auditor'),
    await makeKey('admin'),
    await makeKey('auditor'),
  ];
  await house.api.revokeApiKey(revokedKey.record.id, 'system');
  const member = await enrolled(house, 'member');
  const outsider = await enrolled(house, 'outsider');
  const revoked = await enrolled(house, 'revoked');
  const victim = await enrolled(house, 'victim');
  await house.api.revokeClient(revoked.id, 'test', 'system');
  await startTask(house, 'matrix');
  const round = await assigned(member);
  const spent = await newToken(house);
  const spender = new HandClient(house.url);
  await spender.send(spender.enrolDraft(spent));
  const revokedToken = await house.api.createToken({ site: 'site', ttlSeconds: 60 }, 'system');
  await house.api.revokeToken(revokedToken.record.id, 'system');
  const spareToken = await house.api.createToken({ site: 'site', ttlSeconds: 60 }, 'system');
  world = {
    records,
    house,
    round,
    member,
    used: member.sequence,
    outsider,
    revoked,
    victim: victim.id,
    keys: { admin: admin.key, operator: operator.key, auditor: auditor.key, revoked: revokedKey.key },
    update: await makeUpdate(house, round),
    secure: await secureRound(house),
    shared: await sharedRound(house),
    weights: (await house.api.findVersion('small' as ModelName, 1)).weights,
    tokens: {
      open: await newToken(house),
      spent,
      expired: (await house.api.createToken({ site: 'site', ttlSeconds: -1 }, 'system')).token,
      revoked: revokedToken.token,
    },
    idOf: { token: spareToken.record.id, key: spareKey.record.id },
  };
});

/** Of three, who stand at its first step. */
async function secureRound(house: House): Promise<World['secure']> {
  await startTask(house, 'secure', { target: 3 }, SMALL, { kind: 'secagg', stepSeconds: 3600 });
  const [member, ...others] = [
    await enrolled(house, 'one'),
    await enrolled(house, 'two'),
    await enrolled(house, 'three'),
  ];
  const [round] = await Promise.all([member, ...others].map((client) => assigned(client)));
  const path = `/v1/client/rounds/${round!}/secagg/invitation`;
  const { json } = await member.send({ method: 'GET', path });
  const invitation = { session: fromBase64url(String(json['session'])), roster: fromBase64url(String(json['roster'])) };
  const { model, work, values } = decodeSession(invitation.session);
  const rosterKeys = { coordinator: house.api.publicKey };
  const standing = { client: member.id, identity: member.key, rosterKeys, floor: DEFAULT_FLOOR, model, work, values };
  const { effects } = joinSession(invitation, standing, systemRandom);
  const said = effects.find((effect) => effect.kind === 'send');
  return { round: round!, member, used: member.sequence, keys: toBase64url(said!.message) };
}

/** Of three, whose inputs are in. */
async function sharedRound(house: House): Promise<World['shared']> {
  const member = await enrolled(house, 'aggregator');
  const clients = [await enrolled(house, 'four'), await enrolled(house, 'five'), await enrolled(house, 'six')];
  const protection = { kind: 'shares', aggregator: member.id, stepSeconds: 3600 };
  await startTask(house, 'shared', { target: 3 }, SMALL, protection);
  const [round] = await Promise.all(clients.map((client) => assigned(client)));
  const work = async (): Promise<Record<string, unknown>> =>
    (await member.send({ method: 'GET', path: '/v1/aggregator/work?waitSeconds=20' })).json;
  const { session, roster } = await work();
  const invitation = { session: fromBase64url(String(session)), roster: fromBase64url(String(roster)) };
  const common = { rosterKeys: { coordinator: house.api.publicKey }, floor: DEFAULT_FLOOR };
  const opened = agreed(
    openAggregator(
      invitation,
      { client: member.id, identity: member.key, ...common, floor: DEFAULT_AGGREGATOR_FLOOR, now: Date.now() },
      systemRandom,
    ),
  );
  const path = `/v1/client/rounds/${round!}/secagg/advertise-keys`;
  await member.send({ method: 'POST', path, body: { message: toBase64url(opened.state.outbox) } });
  for (const client of clients) {
    const own = { client: client.id, identity: client.key, aggregator: member.key.publicKey };
    const part = agreed(joinShares(invitation, { ...opened.state.session, ...own, ...common })).value;
    const key = agreed(openAggregatorKey(part.session, opened.state.outbox)).value;
    const lanes = new Uint32Array(laneCount(sharesLanesOf(part.session)));
    await sendUpdate(client, round!, encodeShares(part, key, lanes, client.key, systemRandom));
  }
  const { request } = await work();
  const taken = agreed(takeRequest(opened.state, fromBase64url(String(request))));
  const sums = sumShares(taken.state.session, taken.seeds);
  let next = sums.next();
  while (next.done !== true) next = sums.next();
  return { round: round!, member, used: member.sequence, sum: next.value };
}

function agreed<T extends { readonly kind: string }>(outcome: T): Exclude<T, { readonly kind: 'refused' }> {
  if (outcome.kind === 'refused') throw new Error(JSON.stringify(outcome));
  return outcome as Exclude<T, { readonly kind: 'refused' }>;
}

async function sendUpdate(client: HandClient, round: RoundId, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const update: Update = { round, id: newUpdateId(systemRandom), bytes, digest: parseDigest(sha256Hex(bytes)) };
  const answer = await client.send(chunkDraft(update, 0, bytes.length));
  if (answer.json['kind'] !== 'admitted') throw new Error(JSON.stringify(answer.json));
}

afterAll(async () => {
  await world.house.close();
  await world.records.close();
});

interface Attack {
  readonly name: string;
  readonly send: () => Promise<Answer>;
  readonly code: string;
  readonly status: number;
  /** What the attempt may change: the number that a properly signed request has used up, and the note of a refusal. */
  readonly mayChange?: readonly string[];
}

async function snapshot(): Promise<Record<string, string | number>> {
  const found = await files(world.house.directory);
  // An empty part is a name without content: what was begun and refused.
  const kept = Object.entries(found).filter(([, bytes]) => bytes > 0);
  return { ...Object.fromEntries(kept), ...(await world.records.digests()) };
}

async function expectRefused(attacks: readonly Attack[]): Promise<void> {
  let before = await snapshot();
  for (const { name, send, code, status, mayChange = [] } of attacks) {
    const answer = await send();
    expect.soft({ name, status: answer.status, code: answer.json['code'] }, name).toEqual({ name, status, code });
    expect.soft(answer.headers.get('content-type'), name).toMatch(/^application\/problem\+json/);
    expect.soft(answer.headers.get('cache-control'), name).toBe('no-store');
    const after = await snapshot();
    const changed = Object.keys({ ...before, ...after }).filter((key) => before[key] !== after[key]);
    expect
      .soft({ name, changed: changed.filter((key) => !mayChange.includes(key)) }, name)
      .toEqual({ name, changed: [] });
    before = after;
  }
}

test('the table has every route of the server, and no other', async () => {
  const routes = await routesOf(world.house.api);
  const heads = routes.filter((route) => route.startsWith('HEAD '));
  // A HEAD route exists exactly where a GET route does: it is attacked together with it.
  expect(heads.map((route) => route.replace('HEAD', 'GET')).sort()).toEqual(
    Object.keys(ROUTES)
      .filter((route) => route.startsWith('GET '))
      .sort(),
  );
  expect(routes.filter((route) => !route.startsWith('HEAD '))).toEqual(Object.keys(ROUTES).sort());
});

test('the snapshot sees a change of any table', async () => {
  const before = await world.records.digests();
  expect(Object.keys(before)).toEqual(
    expect.arrayContaining([
      'api_keys',
      'audit',
      'clients',
      'client_sequences',
      'enrolment_tokens',
      'rounds',
      'updates',
    ]),
  );
  await world.house.api.createToken({ site: 'site', ttlSeconds: 60 }, 'system');
  const after = await world.records.digests();
  expect(Object.keys(after).filter((table) => before[table] !== after[table])).toEqual(['audit', 'enrolment_tokens']);
});

describe('routes of operators', () => {
  test.each(entriesOf('auditor', 'operator', 'admin'))('%s', async (name, route) => {
    await expectRefused(operatorAttacks(name, route));
  });
});

describe('routes of clients', () => {
  test.each(entriesOf('client'))('%s', async (name, route) => {
    await expectRefused(clientAttacks(name, route));
  });
});

test('enrolment', async () => {
  await expectRefused(enrolmentAttacks());
});

describe('what is refused above is served to those who may', () => {
  test.each(Object.entries(ROUTES))('%s', async (name, route) => {
    const answer = await served(name, route);
    expect(answer.status, `${name}: ${answer.text}`).toBeLessThan(300);
    if (methodOf(name) !== 'GET') return;
    const head = await served(name.replace('GET', 'HEAD'), route);
    expect(head.status).toBe(answer.status);
    expect(head.text).toBe('');
  });

  test('and the byte-identical request is refused when it comes again', async () => {
    const { house, member } = world;
    for (const draft of [
      { method: 'POST', path: '/v1/client/check-in', body: { waitSeconds: 0 } },
      { ...chunkDraft(world.update, 0, 10), method: 'PUT' },
      { method: 'POST', path: `/v1/client/assignments/${world.round}/decline`, body: { reason: 'again' } },
    ]) {
      const request = member.sign(draft);
      await member.deliver(request);
      const before = await snapshot();
      const again = await member.deliver(request);
      expect(again.json).toMatchObject({ code: 'SEQUENCE_REPLAYED', highest: String(member.sequence) });
      expect(await snapshot()).toEqual(before);
    }
    expect(house.url).toBe(member.url);
  });
});

async function served(name: string, route: Route): Promise<Answer> {
  const { house, keys } = world;
  const method = methodOf(name);
  if (route.who === 'token') {
    const fresh = new HandClient(house.url);
    return fresh.send(fresh.enrolDraft(world.tokens.open));
  }
  const draft = { ...route.draft(), method };
  if (route.who === 'client') return memberFor(name).member.send(draft);
  return plain(draft, route.who === 'anyone' ? {} : { authorization: `Bearer ${keys[route.who]}` });
}

function plain({ method, path, body, contentType }: Draft, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return call(world.house.url, method, path, {
    headers: { ...headers, ...(contentType === undefined ? {} : { 'content-type': contentType }) },
    ...(body === undefined ? {} : { body }),
  });
}

function operatorAttacks(name: string, route: Route): Attack[] {
  const { keys, member, tokens } = world;
  const method = methodOf(name);
  const draft = { ...route.draft(), method };
  const good = keys.admin;
  const [kind, id = '', secret = ''] = good.split('.');
  const flipped = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`;
  const otherId = `${id.startsWith('a') ? 'b' : 'a'}${id.slice(1)}`;
  const attempt = (what: string, headers: Readonly<Record<string, string>>, code: string, status = 401): Attack[] => {
    const asked = { name: `${name}: ${what}`, send: () => plain(draft, headers), code, status };
    return [asked];
  };
  const wrong: Readonly<Record<string, string>> = {
    'an empty bearer': 'Bearer',
    'another scheme': `Basic ${Buffer.from(`admin:${good}`).toString('base64')}`,
    'a key without a scheme': good,
    'two keys': `Bearer ${good} ${good}`,
    'two headers in one': `Bearer ${good}, Bearer ${good}`,
    'a wrong secret': `Bearer ${kind}.${id}.${flipped}`,
    'half a secret': `Bearer ${kind}.${id}.${secret.slice(0, 21)}`,
    'no secret': `Bearer ${kind}.${id}.`,
    'an unknown id': `Bearer ${kind}.${otherId}.${secret}`,
    'one more part': `Bearer ${good}.x`,
    'an id in capitals': `Bearer ${kind}.${id.toUpperCase()}.${secret}`,
    'an enrolment token': `Bearer ${tokens.open}`,
    'a token dressed as a key': `Bearer ${tokens.open.split('.').slice(0, 3).join('.').replace('cpt1', 'cak1')}`,
    'a revoked key': `Bearer ${keys.revoked}`,
    'a pattern': `Bearer ${kind}.%.%`,
  };
  const needed = RANK[route.who as Role];
  const lower = (Object.keys(RANK) as Role[]).filter((role) => RANK[role] < needed);
  const signature = member.sign({ ...draft, method, contentType: draft.contentType ?? 'application/json' });
  return [
    ...attempt('nothing', {}, 'AUTHENTICATION_REQUIRED'),
    ...attempt(
      'the key in a header of another name',
      { 'x-api-key': good, cookie: `authorization=${good}` },
      'AUTHENTICATION_REQUIRED',
    ),
    ...Object.entries(wrong).flatMap(([what, authorization]) => attempt(what, { authorization }, 'API_KEY_INVALID')),
    ...lower.flatMap((role) =>
      attempt(`the role ${role}`, { authorization: `Bearer ${keys[role]}` }, 'ROLE_INSUFFICIENT', 403),
    ),
    {
      name: `${name}: the key in the query`,
      send: () => plain({ ...draft, path: `${draft.path}${draft.path.includes('?') ? '&' : '?'}key=${good}` }, {}),
      code: 'AUTHENTICATION_REQUIRED',
      status: 401,
    },
    {
      name: `${name}: a client's signature`,
      send: () => member.deliver(signature),
      code: 'AUTHENTICATION_REQUIRED',
      status: 401,
    },
    {
      name: `${name}: a client's signature beside a wrong key`,
      send: () =>
        member.deliver({ ...signature, headers: { ...signature.headers, authorization: `Bearer ${keys.revoked}` } }),
      code: 'API_KEY_INVALID',
      status: 401,
    },
  ];
}

/** Changes one header of a signed request; null takes it away. */
function changed(request: SignedRequest, header: string, value: string | null): SignedRequest {
  const { [header]: _before, ...rest } = request.headers;
  return { ...request, headers: value === null ? rest : { ...rest, [header]: value } };
}

/** Whose round the route is about. */
function memberFor(name: string): { readonly member: HandClient; readonly used: bigint } {
  if (name.includes('/v1/aggregator/')) return world.shared;
  return name.includes('/secagg/') ? world.secure : world;
}

function clientAttacks(name: string, route: Route): Attack[] {
  const { outsider, revoked, keys, house } = world;
  const { member } = memberFor(name);
  const method = methodOf(name);
  const draft: Draft = { ...route.draft(), method };
  const stranger = new HandClient(house.url);
  const inTheName = (who: HandClient): HandClient => new HandClient(who.url, who.key);
  const sign = (more: Partial<Draft> = {}): SignedRequest => member.sign({ ...draft, ...more });
  const attack = (
    what: string,
    request: () => SignedRequest,
    code = 'SIGNATURE_INVALID',
    more: Partial<Attack> = {},
  ): Attack => ({ name: `${name}: ${what}`, send: () => member.deliver(request()), code, status: 401, ...more });
  const edited = (what: string, edit: (input: string) => string): Attack =>
    attack(what, () => {
      const request = sign();
      const before = request.headers['signature-input'] ?? '';
      const after = edit(before);
      if (after === before) throw new Error(`${what}: the edit changed nothing`);
      return changed(request, 'signature-input', after);
    });
  return [
    { name: `${name}: nothing`, send: () => plain(draft, {}), code: 'AUTHENTICATION_REQUIRED', status: 401 },
    {
      name: `${name}: an admin's key`,
      send: () => plain(draft, { authorization: `Bearer ${keys.admin}` }),
      code: 'AUTHENTICATION_REQUIRED',
      status: 401,
    },
    attack('no signature', () => changed(sign(), 'signature', null), 'AUTHENTICATION_REQUIRED'),
    attack('no signature input', () => changed(sign(), 'signature-input', null), 'AUTHENTICATION_REQUIRED'),
    attack('a stranger', () => stranger.sign(draft), 'CLIENT_UNKNOWN'),
    attack('a stranger in the name of a member', () => stranger.sign({ ...draft, keyId: member.fingerprint })),
    attack('another client in the name of a member', () =>
      inTheName(outsider).sign({ ...draft, keyId: member.fingerprint }),
    ),
    attack('a member in the name of another client', () => sign({ keyId: outsider.fingerprint })),
    attack('a revoked client', () => revoked.sign(draft), 'CLIENT_UNKNOWN'),
    ...[-61, -3600, -86_400, 62, 3600].map((skew) =>
      attack(`signed ${skew} s off`, () => sign({ skew }), 'SIGNATURE_EXPIRED'),
    ),
    attack('signed for another path', () => sign({ as: { path: draft.path.replace('/v1/', '/v1/x') } })),
    attack('signed for another query', () =>
      sign({ as: { path: `${draft.path}${draft.path.includes('?') ? '&' : '?'}a=1` } }),
    ),
    attack('signed for another method', () => sign({ as: { method: method === 'DELETE' ? 'PUT' : 'DELETE' } })),
    attack('signed for another host', () => sign({ as: { authority: 'coordinator.example' } })),
    ...[0, 20, 43, 63, 84].map((at) =>
      attack(`letter ${at} of the signature changed`, () => {
        const request = sign();
        const [, letters = ''] = /^carapace=:(.*):$/.exec(request.headers['signature'] ?? '') ?? [];
        const other = letters[at] === 'A' ? 'Q' : 'A';
        return changed(request, 'signature', `carapace=:${letters.slice(0, at)}${other}${letters.slice(at + 1)}:`);
      }),
    ),
    attack('a signature of zeros', () => changed(sign(), 'signature', `carapace=:${'A'.repeat(86)}==:`)),
    attack('two signatures', () => {
      const request = sign();
      return changed(
        request,
        'signature',
        `${request.headers['signature'] ?? ''}, ${request.headers['signature'] ?? ''}`,
      );
    }),
    edited('another label', (input) => input.replace('carapace=', 'sig1=')),
    edited('two inputs', (input) => `${input}, ${input}`),
    edited('no algorithm', (input) => input.replace(';alg="ed25519"', '')),
    edited('the algorithm none', (input) => input.replace('alg="ed25519"', 'alg="none"')),
    edited('a symmetric algorithm', (input) => input.replace('alg="ed25519"', 'alg="hmac-sha256"')),
    edited('another tag', (input) => input.replace('carapace-v1', 'carapace-v2')),
    edited('one more parameter', (input) => `${input};x=1`),
    edited('a longer life', (input) =>
      input.replace(/expires=(\d+)/, (_all, at: string) => `expires=${Number(at) + 60}`),
    ),
    edited('another nonce', (input) =>
      input.replace(/nonce="./, (found) => (found.endsWith('A') ? 'nonce="B' : 'nonce="A')),
    ),
    edited('made a second later', (input) =>
      input.replace(
        /created=(\d+);expires=(\d+)/,
        (_all, from: string, to: string) => `created=${Number(from) + 1};expires=${Number(to)}`,
      ),
    ),
    ...['"@method"', '"@authority"', '"@path"', '"@query"'].map((component) =>
      edited(`${component} not covered`, (input) => input.replace(` ${component}`, '').replace(`${component} `, '')),
    ),
    ...(method === 'GET' ? [] : bodyAttacks(attack, edited, sign, draft, memberFor(name))),
    ...otherClientAttacks(name, draft),
  ];
}

type MakeAttack = (what: string, request: () => SignedRequest, code?: string, more?: Partial<Attack>) => Attack;

/** What only requests with a body and a sequence number can be attacked by. */
function bodyAttacks(
  attack: MakeAttack,
  edited: (what: string, edit: (input: string) => string) => Attack,
  sign: (more?: Partial<Draft>) => SignedRequest,
  draft: Draft,
  { member, used }: { readonly member: HandClient; readonly used: bigint },
): Attack[] {
  const isChunk = draft.contentType === 'application/octet-stream';
  const body = draft.body instanceof Uint8Array ? draft.body : utf8(JSON.stringify(draft.body));
  const other = Uint8Array.from(body);
  // Still a body of the route's form: one letter or digit of a JSON text, one byte of a chunk.
  const at = isChunk
    ? 0
    : Buffer.from(body)
        .toString('latin1')
        .search(/[A-Za-z0-9_-]"?\}$/);
  other[at] = (other[at] ?? 0) ^ 1;
  // A chunk is checked while it streams: its number is used up by then, its bytes are not kept.
  const streaming = isChunk ? { mayChange: ['client_sequences'] } : {};
  return [
    attack('another body', () => sign({ body: other, as: { body } }), 'CONTENT_DIGEST_MISMATCH', {
      status: 400,
      ...streaming,
    }),
    attack(
      'a body cut short',
      () => sign({ body: body.slice(0, -1), as: { body } }),
      isChunk ? 'CONTENT_DIGEST_MISMATCH' : 'REQUEST_INVALID',
      {
        status: 400,
        ...streaming,
      },
    ),
    attack('another body with its own digest', () => {
      const { headers } = sign({ body: other });
      return { ...changed(sign(), 'content-digest', headers['content-digest'] ?? ''), body: other };
    }),
    attack('another content type signed', () => sign({ as: { contentType: 'text/plain' } })),
    attack('no digest', () => changed(sign(), 'content-digest', null)),
    attack('a digest of another kind', () => changed(sign(), 'content-digest', 'sha-512=:AAAA:')),
    attack('no sequence', () => changed(sign(), 'carapace-sequence', null)),
    attack('another sequence than signed', () =>
      changed(sign(), 'carapace-sequence', String(member.sequence + 2_000n)),
    ),
    ...['0', '-1', '1e3', '01', '99999999999999999999', ' 7 7'].map((sequence) =>
      attack(`the sequence ${sequence}`, () => changed(sign(), 'carapace-sequence', sequence)),
    ),
    attack('the sequence used last', () => sign({ sequence: used }), 'SEQUENCE_REPLAYED', { status: 409 }),
    attack('a sequence beyond what is kept', () => sign({ sequence: 2n ** 63n }), 'SEQUENCE_REPLAYED', { status: 409 }),
    edited('the digest not covered', (input) => input.replace(' "content-digest"', '')),
    edited('the sequence not covered', (input) => input.replace(' "carapace-sequence"', '')),
  ];
}

/** A client that is who it says, and does what only another may. */
function otherClientAttacks(name: string, draft: Draft): Attack[] {
  const { outsider } = world;
  const refusal = (code: string, status: number, mayChange: readonly string[]): Attack[] => [
    { name: `${name}: a client outside the cohort`, send: () => outsider.send(draft), code, status, mayChange },
  ];
  switch (name) {
    case 'GET /v1/client/assignments/:round':
    case 'GET /v1/client/rounds/:round/secagg/invitation':
      return refusal('ROUND_OVER', 410, []);
    case 'POST /v1/client/assignments/:round/decline':
      return refusal('ROUND_OVER', 410, ['client_sequences']);
    case 'GET /v1/client/rounds/:round/secagg/:step':
      return refusal('PROTOCOL_REFUSED', 409, []);
    case 'POST /v1/client/rounds/:round/secagg/:step':
      return refusal('PROTOCOL_REFUSED', 409, ['client_sequences']);
    case 'POST /v1/aggregator/rounds/:round/decline':
    case 'PUT /v1/aggregator/rounds/:round/sum':
      return refusal('PROTOCOL_REFUSED', 409, ['client_sequences']);
    case 'PUT /v1/client/rounds/:round/updates/:update':
      return refusal('UPDATE_REFUSED', 409, ['client_sequences', 'refusals']);
    default:
      return [];
  }
}

function enrolmentAttacks(): Attack[] {
  const { house, tokens, keys } = world;
  const fresh = (): HandClient => new HandClient(house.url);
  const attack = (what: string, request: () => SignedRequest, code: string, status = 401): Attack => ({
    name: `enrol: ${what}`,
    send: () => fresh().deliver(request()),
    code,
    status,
  });
  const withToken = (what: string, token: string): Attack =>
    attack(
      what,
      () => {
        const client = fresh();
        return client.sign(client.enrolDraft(token));
      },
      'TOKEN_INVALID',
    );
  const [kind, id, secret = '', pin] = tokens.open.split('.');
  const flipped = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`;
  const signed = (more: Partial<Draft> = {}): SignedRequest => {
    const client = fresh();
    return client.sign({ ...client.enrolDraft(tokens.open), ...more });
  };
  const withKey = (publicKey: string): SignedRequest => signed({ body: { token: tokens.open, publicKey, name: 'x' } });
  return [
    withToken('a spent token', tokens.spent),
    withToken('an expired token', tokens.expired),
    withToken('a revoked token', tokens.revoked),
    withToken('a wrong secret', [kind, id, flipped, pin].join('.')),
    withToken('no secret', [kind, id, '', pin].join('.')),
    withToken('an unknown id', [kind, (id ?? '').replaceAll(/./g, 'a'), secret, pin].join('.')),
    withToken('no pin', [kind, id, secret].join('.')),
    withToken('an API key', keys.admin),
    attack('no signature', () => changed(signed(), 'signature', null), 'AUTHENTICATION_REQUIRED'),
    attack('signed by another key', () => fresh().sign(fresh().enrolDraft(tokens.open)), 'SIGNATURE_INVALID'),
    attack(
      'signed by another key in the name of this one',
      () => {
        const client = fresh();
        return fresh().sign({ ...client.enrolDraft(tokens.open), keyId: client.fingerprint });
      },
      'SIGNATURE_INVALID',
    ),
    attack('signed an hour ago', () => signed({ skew: -3600 }), 'SIGNATURE_EXPIRED'),
    attack('another body', () => signed({ as: { body: utf8('{}') } }), 'CONTENT_DIGEST_MISMATCH', 400),
    attack('signed for another path', () => signed({ as: { path: '/v1/client/check-in' } }), 'SIGNATURE_INVALID'),
    attack('a key of small order', () => withKey(toBase64url(new Uint8Array(32))), 'REQUEST_INVALID', 400),
    attack('a key too short', () => withKey(toBase64url(systemRandom.bytes(31))), 'REQUEST_INVALID', 400),
    attack('a key that is no base64url', () => withKey('='.repeat(43)), 'REQUEST_INVALID', 400),
    attack(
      'the key of another client, without holding it',
      () => withKey(toBase64url(generateSigningKey(systemRandom).publicKey)),
      'SIGNATURE_INVALID',
    ),
    {
      name: 'enrol: a key that is enrolled, with a new token',
      send: () => world.member.send({ ...world.member.enrolDraft(tokens.open) }),
      code: 'KEY_ENROLLED',
      status: 409,
    },
    {
      name: 'enrol: a key that was revoked, with a new token',
      send: () => world.revoked.send({ ...world.revoked.enrolDraft(tokens.open) }),
      code: 'KEY_ENROLLED',
      status: 409,
    },
  ];
}
