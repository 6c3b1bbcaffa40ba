/** A whole coordinator on loopback with its records reachable from outside, and clients that sign by hand so that they can sign wrongly. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeClearUpdate, layoutOf, newUpdateId, parseModelName, parseTask } from '@carapace/aggregation';
import type { ClientId, Digest, RoundId, Task, TensorSpec, UpdateId } from '@carapace/aggregation';
import { defaultPolicies, safetensorsHeader } from '@carapace/aggregation';
import {
  concatBytes,
  contentDigest,
  fingerprint,
  generateSigningKey,
  sha256,
  sha256Hex,
  signMessage,
  systemRandom,
  toBase64url,
  utf8,
} from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import pg from 'pg';
import { Engine } from '../../src/adapters/store/embedded/engine.ts';
import { Session } from '../../src/adapters/store/embedded/session.ts';
import { EngineSocket } from '../../src/adapters/store/embedded/socket.ts';
import { parseConfig } from '../../src/config.ts';
import { startCoordinator } from '../../src/main.ts';
import type { Extras, Running } from '../../src/main.ts';
import type { ModelWriter } from '../../src/ports.ts';

export interface House extends Running {
  readonly directory: string;
  readonly adminKey: string;
  readonly call: (method: string, path: string, options?: CallOptions) => Promise<Answer>;
}

export interface CallOptions {
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** Longer than the longest poll that a test makes to its end. */
const ANSWER_MS = 20_000;

export const SMALL: readonly TensorSpec[] = defaultPolicies([
  { name: 'dense/kernel', shape: [3, 2] },
  { name: 'dense/bias', shape: [2] },
]);

/** `close` removes the data directory too. */
export async function startHouse(config: Record<string, unknown> = {}, extras: Extras = {}): Promise<House> {
  const directory = await mkdtemp(join(tmpdir(), 'carapace-http-'));
  const settings = {
    port: 0,
    data: directory,
    log: process.env['CARAPACE_TEST_LOG'] ?? 'silent',
    reconcileSeconds: 3600,
    enrolmentsPerMinute: 1_000_000,
    authenticationFailuresPerMinute: 1_000_000,

    ...config,
  };
  const running = await startCoordinator(parseConfig(settings, {}, {}), extras);
  const adminKey = running.firstAdminKey ?? '';
  return {
    ...running,
    directory,
    adminKey,
    call: (method, path, options = {}) => call(running.url, method, path, { key: adminKey, ...options }),
    close: async () => {
      await running.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function call(url: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { key = null, headers = {}, body } = options;
  const raw = body instanceof Uint8Array;
  // Not AbortSignal.timeout: that keeps the request in memory until it fires.
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`${method} ${path} was not answered in time`)), ANSWER_MS);
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: raw ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
    signal: late.signal,
  });
  return answerOf(response).finally(() => clearTimeout(timer));
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

export function modelFile(
  tensors: readonly TensorSpec[],
  topology = '{"class_name":"Sequential"}',
): Uint8Array<ArrayBuffer> {
  const values = new Float32Array(layoutOf(tensors).size).map((_, index) => Math.sin(index));
  return concatBytes(safetensorsHeader(tensors, { topology }), new Uint8Array(values.buffer));
}

/** One piece before each tensor and one after the last; refuses what its topology says it should. */
export const bracketWriter: ModelWriter = {
  onnx: ({ topology, tensors }) => {
    if (topology.includes('Odd')) return Promise.resolve({ unsupported: 'Odd layer7 is a layer that is not compiled' });
    return Promise.resolve([...tensors.map(({ name }) => utf8(`<${name}>`)), utf8('<end>')]);
  },
};

export function taskDocument(name: string, cohort: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    model: { name: 'small' },
    cohort: { target: 1, reportSeconds: 3600, selectionSeconds: 3600, ...cohort },
  };
}

/** Publishes the model `small` and starts a task whose rounds stay open until their clients report. */
export async function startTask(
  house: Running,
  name: string,
  cohort: Record<string, unknown> = {},
  tensors: readonly TensorSpec[] = SMALL,
  protection: Record<string, unknown> = { kind: 'clear' },
): Promise<Task> {
  const model = parseModelName('small');
  const known = await house.api.listModels();
  if (!known.some((found) => found.name === model)) await house.api.uploadModel(model, modelFile(tensors), 'system');
  const task = parseTask({ ...taskDocument(name, cohort), protection });
  await house.api.createTask(task, 'system');
  return task;
}

export interface Draft {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** What is signed instead of what is sent. */
  readonly as?: Partial<{ method: string; path: string; body: Uint8Array; contentType: string; authority: string }>;
  readonly sequence?: bigint;
  /** Seconds added to the time of signing. */
  readonly skew?: number;
  /** Signs in the name of this key's fingerprint. */
  readonly keyId?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array<ArrayBuffer> | null;
}

/** Counts its own sequence, and signs whatever it is asked to. */
export class HandClient {
  readonly url: string;
  readonly key: SigningKey;
  id = '' as ClientId;
  sequence = 0n;

  constructor(url: string, key: SigningKey = generateSigningKey(systemRandom)) {
    this.url = url;
    this.key = key;
  }

  get fingerprint(): string {
    return fingerprint(this.key.publicKey);
  }

  sign(draft: Draft): SignedRequest {
    const { method, path, contentType = 'application/json', as = {}, headers = {} } = draft;
    const body = bytesOf(draft.body);
    const signedUrl = new URL(`${this.url}${as.path ?? path}`);
    const covered = {
      method: as.method ?? method,
      authority: as.authority ?? new URL(this.url).host,
      path: signedUrl.pathname,
      query: signedUrl.search === '' ? '?' : signedUrl.search,
    };
    const created = Math.floor(Date.now() / 1000) + (draft.skew ?? 0);
    const keyId = draft.keyId ?? this.fingerprint;
    const nonce = toBase64url(systemRandom.bytes(18));
    if (method === 'GET' && as.method === undefined)
      return { method, path, body, headers: { ...signMessage(this.key, keyId, covered, created, nonce), ...headers } };
    const digest = contentDigest(sha256(as.body ?? body ?? new Uint8Array(0)));
    const sequence = draft.sequence ?? (this.sequence += 1n);
    const message = {
      ...covered,
      body: { contentType: as.contentType ?? contentType, contentDigest: digest },
      sequence,
    };
    return {
      method,
      path,
      body,
      headers: {
        'content-type': contentType,
        'content-digest': digest,
        'carapace-sequence': String(sequence),
        ...signMessage(this.key, keyId, message, created, nonce),
        ...headers,
      },
    };
  }

  async send(draft: Draft): Promise<Answer> {
    return this.deliver(this.sign(draft));
  }

  async deliver({ method, path, headers, body }: SignedRequest): Promise<Answer> {
    return call(this.url, method, path, { headers, ...(body === null ? {} : { body }) });
  }

  enrolDraft(token: string, name = 'a client'): Draft {
    return { method: 'POST', path: '/v1/enrol', body: { token, publicKey: toBase64url(this.key.publicKey), name } };
  }

  async checkIn(waitSeconds = 0): Promise<Answer> {
    return this.send({ method: 'POST', path: '/v1/client/check-in', body: { waitSeconds } });
  }
}

export async function newToken(house: Running, site = 'site', ttlSeconds = 3600): Promise<string> {
  return (await house.api.createToken({ site, ttlSeconds }, 'system')).token;
}

export async function enrolled(house: Running, name = 'a client'): Promise<HandClient> {
  const client = new HandClient(house.url);
  const answer = await client.send(client.enrolDraft(await newToken(house), name));
  if (answer.status !== 201) throw new Error(`enrolment answered ${answer.status}: ${answer.text}`);
  client.id = (JSON.parse(String(answer.json['payload'])) as { client: ClientId }).client;
  return client;
}

/** Polls until it is assigned; throws after ten seconds. */
export async function assigned(client: HandClient): Promise<RoundId> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const answer = await client.checkIn(1);
    if (answer.status !== 200) throw new Error(`check-in answered ${answer.status}: ${answer.text}`);
    const assignment = answer.json['assignment'] as { payload: string } | undefined;
    if (assignment !== undefined) return (JSON.parse(assignment.payload) as { round: RoundId }).round;
  }
  throw new Error('the client was not selected within 10 s');
}

export interface Update {
  readonly id: UpdateId;
  readonly round: RoundId;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

export async function makeUpdate(
  house: Running,
  round: RoundId,
  fill: (index: number) => number = (index) => index / 8,
  tensors: readonly TensorSpec[] = SMALL,
  examples = 10,
): Promise<Update> {
  const { baseVersion } = (await house.api.showRound(round)).round;
  const base = await house.api.findVersion(parseModelName('small'), baseVersion);
  const layout = layoutOf(tensors);
  const delta = new Float32Array(layout.size).map((_, index) => fill(index));
  const bytes = encodeClearUpdate({
    round,
    base: base.weights,
    layout: layout.digest,
    examples,
    metrics: {},
    delta,
  });
  return { id: newUpdateId(systemRandom), round, bytes, digest: sha256Hex(bytes) as Digest };
}

export function chunkDraft(update: Update, from = 0, to: number = update.bytes.length): Draft {
  return {
    method: 'PUT',
    path: `${updatePath(update)}?offset=${from}&total=${update.bytes.length}&digest=${update.digest}`,
    body: update.bytes.slice(from, to),
    contentType: 'application/octet-stream',
  };
}

/** Announces the whole, sends all but ten bytes, and keeps the socket. */
export async function openHalf(client: HandClient, draft: Draft): Promise<Socket> {
  const { method, path, headers, body } = client.sign(draft);
  const { hostname, port } = new URL(client.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  const lines = Object.entries({
    host: `${hostname}:${port}`,
    ...headers,
    'content-length': String(body?.length ?? 0),
  });
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  socket.write(body?.slice(0, -10) ?? '');
  await sleep(250);
  return socket;
}

export function updatePath({ round, id }: Pick<Update, 'round' | 'id'>): string {
  return `/v1/client/rounds/${round}/updates/${id}`;
}

function bytesOf(body: unknown): Uint8Array<ArrayBuffer> | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : utf8(JSON.stringify(body));
}

// ---- Records that a test can look into, and cut off ----

export interface ServedRecords {
  readonly url: string;
  /** One digest per table, taken in one statement. */
  digests(): Promise<Record<string, string>>;
  rows(table: string): Promise<unknown[]>;
  /** Ends every connection and refuses new ones. */
  cut(): void;
  close(): Promise<void>;
}

/** The embedded engine behind a TCP port: to the coordinator a PostgreSQL server, to the test a window. */
export async function serveRecords(): Promise<ServedRecords> {
  const directory = await mkdtemp(join(tmpdir(), 'carapace-records-'));
  const engine = await Engine.open(join(directory, 'data'), (error) => {
    throw error;
  });
  const session = new Session(engine, { turnMs: 30_000, idleMs: 30_000, statementMs: 30_000 });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    const inner = new EngineSocket(session, '18.0');
    socket.on('error', () => inner.destroy());
    inner.on('error', () => socket.destroy());
    socket.on('close', () => inner.destroy());
    inner.on('close', () => socket.destroySoon());
    socket.pipe(inner).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/postgres`;
  // Not through the port, so that the window stays open when the port is cut.
  const inside = new pg.Pool({
    max: 1,
    user: 'postgres',
    host: 'inside',
    stream: () => new EngineSocket(session, '18.0'),
  });
  await inside.query('SET search_path TO public, bullmq');
  const cut = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return {
    url,
    digests: async () => {
      const { rows: tables } = await inside.query<{ name: string }>(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
      );
      const parts = tables.map(
        ({ name }) =>
          `SELECT '${name}' AS name, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) AS digest FROM ${name} t`,
      );
      const { rows } = await inside.query<{ name: string; digest: string }>(parts.join(' UNION ALL '));
      return Object.fromEntries(rows.map(({ name, digest }) => [name, digest]));
    },
    rows: async (table) => (await inside.query(`SELECT * FROM ${table}`)).rows as unknown[],
    cut,
    close: async () => {
      cut();
      await inside.end();
      await engine.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Every blob and pending part below a data directory, with its size. */
export async function files(directory: string): Promise<Record<string, number>> {
  const names = await readdir(directory, { recursive: true });
  const sized = await Promise.all(names.map(async (name) => [name, await stat(join(directory, name))] as const));
  return Object.fromEntries(sized.filter(([, found]) => found.isFile()).map(([name, { size }]) => [name, size]));
}
