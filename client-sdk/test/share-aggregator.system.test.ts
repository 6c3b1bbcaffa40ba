/**
 * The second aggregator's process on a real state directory, with a coordinator that is played over HTTP: one that asks as it should, one that
 * is not there in the wrong moment, and one that asks for more than it may have. The aggregator is killed by ending it and beginning again with
 * what is on the disk.
 */
import {
  decodeAggregation,
  encodeAggregation,
  encodeShares,
  encodeSharesSession,
  forgetSecret,
  joinShares,
  judgeShareInput,
  judgeShareSum,
  laneCount,
  newClientId,
  openAggregator,
  openAggregatorKey,
  openRoster,
  parseRoundId,
  sharesContextOf,
  sharesLanesOf,
  signRoster,
  sumRequest,
  DEFAULT_AGGREGATOR_FLOOR,
  DEFAULT_FLOOR,
} from '@carapace/aggregation';
import type { Deposit, Invitation, KeptAggregation, RoundId, SharesSession } from '@carapace/aggregation';
import { fromBase64url, generateSigningKey, sha256, systemRandom, toBase64url } from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AggregatorEvent } from '../src/events.ts';
import { ShareAggregator } from '../src/share-aggregator.ts';
import type { ShareAggregatorOptions } from '../src/share-aggregator.ts';
import { StateDirectory } from '../src/state/state-directory.ts';
import type { Membership } from '../src/state/state-directory.ts';

const HOUR = 3_600_000;
const ROUND = parseRoundId('task.1').id;
const coordinatorKey = generateSigningKey(systemRandom);
const people = Array.from({ length: 4 }, () => ({
  client: newClientId(systemRandom),
  key: generateSigningKey(systemRandom),
})).sort((a, b) => (a.client < b.client ? -1 : 1));

interface Said {
  readonly what: 'key' | 'sum' | 'decline';
  readonly round: string;
  readonly bytes: Uint8Array;
}

let directory = '';
let coordinator: PlayedCoordinator;
const running: AbortController[] = [];
const ends: Promise<unknown>[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'carapace-second-'));
  coordinator = await PlayedCoordinator.listen();
});
afterEach(async () => {
  for (const controller of running.splice(0)) controller.abort();
  await Promise.all(ends.splice(0));
  await coordinator.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Offers what it is told to, keeps what it is sent, and answers as it is told. */
class PlayedCoordinator {
  readonly #server: Server;
  /** What is offered now; null while there is nothing to do. */
  work: Record<string, unknown> | null = null;
  readonly said: Said[] = [];
  /** What happens instead of the usual answer. */
  hook: (said: Said, response: ServerResponse) => boolean = () => false;
  #waiting: (() => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async listen(): Promise<PlayedCoordinator> {
    const played = new PlayedCoordinator();
    await new Promise<void>((resolve) => played.#server.listen(0, '127.0.0.1', resolve));
    return played;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  offerKey(round: RoundId, { session, roster }: Invitation): void {
    this.work = { kind: 'key', round, session: toBase64url(session), roster: toBase64url(roster) };
  }

  askSum(round: RoundId, request: Uint8Array): void {
    this.work = { kind: 'sum', round, request: toBase64url(request) };
  }

  /** The next thing that is said, from the one numbered `after` on. */
  async next(after = this.said.length): Promise<Said> {
    while (this.said.length <= after) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.said[after]!;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const body = await buffer(request);
    if (path.startsWith('/v1/aggregator/work')) {
      answer(response, 200, this.work ?? { kind: 'idle', retryAfterMs: 50 });
      return;
    }
    const said = read(path, body);
    this.work = null;
    const taken = this.hook(said, response);
    this.said.push(said);
    for (const wake of this.#waiting.splice(0)) wake();
    if (taken) return;
    if (said.what === 'sum') answer(response, 200, { kind: 'taken' });
    else answer(response, 204);
  }
}

function read(path: string, body: Buffer): Said {
  const [, round = ''] = /rounds\/([^/]+)\//.exec(path) ?? [];
  if (path.includes('/sum?')) return { what: 'sum', round, bytes: new Uint8Array(body) };
  const { message, reason } = JSON.parse(body.toString()) as { message?: string; reason?: string };
  if (message !== undefined) return { what: 'key', round, bytes: fromBase64url(message) };
  return { what: 'decline', round, bytes: new TextEncoder().encode(reason) };
}

function answer(response: ServerResponse, status: number, value?: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(value === undefined ? undefined : JSON.stringify(value));
}

function problem(response: ServerResponse, status: number, code: string): true {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ code, detail: 'as the test wants it' }));
  return true;
}

const reasonOf = ({ bytes }: Said): string => new TextDecoder().decode(bytes);

interface Scene {
  readonly key: SigningKey;
  readonly membership: Membership;
}

/** The state directory of a member; the identity is made on the first look. */
async function enrol(more: Partial<Membership> = {}): Promise<Scene> {
  const state = await StateDirectory.open(directory, systemRandom);
  const known = await state.membership();
  const membership: Membership = {
    client: known?.client ?? newClientId(systemRandom),
    coordinator: coordinator.url,
    coordinatorKey: coordinatorKey.publicKey,
    ...more,
  };
  await state.join(membership);
  state.close();
  return { key: state.key, membership };
}

interface Process {
  readonly events: AggregatorEvent[];
  /** Ends it where it stands. */
  readonly end: () => Promise<void>;
  /** How it ended by itself, if it did. */
  readonly ended: () => unknown;
}

function start(options: Partial<ShareAggregatorOptions> = {}): Process {
  const events: AggregatorEvent[] = [];
  const controller = new AbortController();
  let ended: unknown;
  const aggregator = new ShareAggregator({
    stateDirectory: directory,
    waitSeconds: 0,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const run = aggregator.run(controller.signal).then(
    () => (ended = 'stopped'),
    (error: unknown) => (ended = error),
  );
  running.push(controller);
  ends.push(run);
  return {
    events,
    ended: () => ended,
    end: async () => {
      controller.abort();
      await run;
    },
  };
}

function invite(
  { key, membership }: Scene,
  change: Partial<SharesSession> = {},
  serial = 1,
  signer = coordinatorKey,
): { readonly session: SharesSession; readonly invitation: Invitation } {
  const cohort = people.map(({ client, key: own }) => ({ client, identity: own.publicKey }));
  const roster = signRoster(signer, serial, cohort);
  const session: SharesSession = {
    round: ROUND,
    attempt: 1,
    model: 'a'.repeat(64) as SharesSession['model'],
    work: 'b'.repeat(64) as SharesSession['work'],
    values: 6,
    quantiser: { clip: 1, bits: 8, maxWeight: 100 },
    minimumSurvivors: 3,
    deadline: Date.now() + HOUR,
    aggregator: { client: membership.client, identity: key.publicKey },
    roster: openRoster(roster, { coordinator: signer.publicKey }).roster.digest,
    cohort,
    ...change,
  };
  return { session, invitation: { session: encodeSharesSession(session), roster } };
}

/** What the members deposit under this key. */
function depositsOf(session: SharesSession, invitation: Invitation, outbox: Uint8Array): Deposit[] {
  return people.map(({ client, key }, member) => {
    const { model, work, values, aggregator } = session;
    const own = { client, identity: key, model, work, values, aggregator: aggregator.identity };
    const part = joinShares(invitation, {
      ...own,
      rosterKeys: { coordinator: coordinatorKey.publicKey },
      floor: DEFAULT_FLOOR,
    });
    if (part.kind === 'refused') throw new Error(part.why);
    const sealing = openAggregatorKey(part.value.session, outbox);
    if (sealing.kind === 'refused') throw new Error(sealing.why);
    const lanes = new Uint32Array(laneCount(sharesLanesOf(session))).fill(member);
    const judged = judgeShareInput(session, member, encodeShares(part.value, sealing.value, lanes, key, systemRandom));
    if (judged.kind === 'refused') throw new Error(judged.code);
    return judged.deposit;
  });
}

const folder = (): string => join(directory, 'aggregations');
const kept = (round: RoundId = ROUND): KeptAggregation =>
  decodeAggregation(new Uint8Array(readFileSync(join(folder(), `${round}.bin`))));

/** With its key given and everybody's deposit made. */
async function collected() {
  const scene = await enrol();
  const { session, invitation } = invite(scene);
  const first = start();
  coordinator.offerKey(ROUND, invitation);
  const { what, bytes } = await coordinator.next(0);
  expect(what).toBe('key');
  const deposits = depositsOf(session, invitation, bytes);
  return { scene, session, invitation, first, deposits, request: sumRequest(session, deposits) };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('one sum a session, through crashes', () => {
  test('which request is answered is on the disk before a byte of the answer is sent', async () => {
    const { session, request } = await collected();
    let before: KeptAggregation | null = null;
    coordinator.hook = () => {
      before = kept();
      return false;
    };
    coordinator.askSum(ROUND, request);
    const { what, bytes } = await coordinator.next(1);
    expect(what).toBe('sum');
    expect(judgeShareSum(session, [0, 1, 2, 3], bytes).kind).toBe('admitted');
    expect(before).toMatchObject({ kind: 'keyed', answered: sha256(request) });
    await until(() => kept().kind === 'forgotten');
    expect(kept()).toEqual({ kind: 'forgotten', context: sharesContextOf(session), deadline: session.deadline });
  });

  test('whoever died after it took a request tells that sum, and never another', async () => {
    const { session, first, deposits, request } = await collected();
    // The answer is lost, and with it the process.
    coordinator.hook = (_said, response) => {
      response.destroy();
      return true;
    };
    coordinator.askSum(ROUND, request);
    const lost = await coordinator.next(1);
    await first.end();
    coordinator.hook = () => false;
    const from = coordinator.said.length;

    const second = start();
    coordinator.askSum(ROUND, request);
    const told = await coordinator.next(from);
    expect(told).toEqual(lost);
    await until(() => kept().kind === 'forgotten');
    await second.end();

    start();
    for (const asked of [sumRequest(session, deposits.slice(1)), request]) {
      const now = coordinator.said.length;
      coordinator.askSum(ROUND, asked);
      const refused = await coordinator.next(now);
      expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_DUPLICATE')]);
    }
  });

  test('whoever died between taking a request and telling its sum does not take another', async () => {
    const { session, first, deposits, request } = await collected();
    coordinator.hook = (said, response) => {
      if (said.what === 'sum') response.destroy();
      return said.what === 'sum';
    };
    coordinator.askSum(ROUND, request);
    await coordinator.next(1);
    await first.end();
    const from = coordinator.said.length;
    start();
    coordinator.askSum(ROUND, sumRequest(session, deposits.slice(1)));
    const refused = await coordinator.next(from);
    expect([refused.what, reasonOf(refused)]).toEqual([
      'decline',
      expect.stringContaining('SECAGG_DUPLICATE: another sum of this session'),
    ]);
  });

  test('a request of a round that never had a key here is declined', async () => {
    const { request } = await collected();
    const other = parseRoundId('task.2').id;
    coordinator.askSum(other, request);
    const refused = await coordinator.next(1);
    expect([refused.what, refused.round, reasonOf(refused)]).toEqual([
      'decline',
      other,
      expect.stringContaining('SECAGG_ORDER'),
    ]);
  });
});

describe('one key a round', () => {
  test('the same offer gets the same key again, also after a crash', async () => {
    const { invitation, first } = await collected();
    await first.end();
    start();
    coordinator.offerKey(ROUND, invitation);
    expect(await coordinator.next(1)).toEqual(coordinator.said[0]);
  });

  test('another session of the round gets none', async () => {
    const { scene } = await collected();
    coordinator.offerKey(ROUND, invite(scene, { attempt: 2 }).invitation);
    const refused = await coordinator.next(1);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_DUPLICATE')]);
  });

  test('nor does one whose secret was destroyed', async () => {
    const { invitation, request } = await collected();
    coordinator.askSum(ROUND, request);
    await coordinator.next(1);
    await until(() => kept().kind === 'forgotten');
    coordinator.offerKey(ROUND, invitation);
    const refused = await coordinator.next(2);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_DUPLICATE')]);
  });

  test('a session that is offered as another round gets none, and nothing is kept of it', async () => {
    const scene = await enrol();
    start();
    coordinator.offerKey(parseRoundId('task.2').id, invite(scene).invitation);
    const refused = await coordinator.next(0);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_CONTEXT')]);
    expect(existsSync(folder())).toBe(false);
  });

  test.each([
    ['another aggregator’s', { aggregator: { client: newClientId(systemRandom), identity: people[0]!.key.publicKey } }],
    ['one that never ends', { deadline: Number.MAX_SAFE_INTEGER }],
    ['one whose sum it could not hold', { values: 2 ** 31 }],
  ])('%s gets none', async (_, change) => {
    const scene = await enrol();
    start();
    coordinator.offerKey(ROUND, invite(scene, { cohort: invite(scene).session.cohort.slice(1), ...change }).invitation);
    expect((await coordinator.next(0)).what).toBe('decline');
  });

  test('an older edition of the roster than one that was taken gets none, also after a crash', async () => {
    const authority = generateSigningKey(systemRandom);
    const scene = await enrol({ authority: authority.publicKey });
    const first = start();
    coordinator.offerKey(ROUND, invite(scene, {}, 5, authority).invitation);
    expect((await coordinator.next(0)).what).toBe('key');
    await first.end();
    start();
    const next = parseRoundId('task.2').id;
    coordinator.offerKey(next, invite(scene, { round: next }, 4, authority).invitation);
    const refused = await coordinator.next(1);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_ROSTER')]);
    coordinator.offerKey(next, invite(scene, { round: next }, 5, authority).invitation);
    expect((await coordinator.next(2)).what).toBe('key');
  });

  test('a roster that is the coordinator’s own gets none where an authority was ever pinned', async () => {
    const scene = await enrol({ authority: generateSigningKey(systemRandom).publicKey });
    start();
    coordinator.offerKey(ROUND, invite(scene).invitation);
    const refused = await coordinator.next(0);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_ROSTER')]);
  });
});

describe('a round that ends', () => {
  test.each(['PROTOCOL_STEP', 'ROUND_OVER', 'ROUND_NOT_FOUND'])(
    'while its sum is told (%s) has its secret destroyed, and the next round is served',
    async (code) => {
      const { scene, request, first } = await collected();
      coordinator.hook = (said, response) => said.what === 'sum' && problem(response, 409, code);
      coordinator.askSum(ROUND, request);
      await coordinator.next(1);
      await until(() => kept().kind === 'forgotten');
      const next = parseRoundId('task.2').id;
      coordinator.offerKey(next, invite(scene, { round: next }).invitation);
      expect(await coordinator.next(2)).toMatchObject({ what: 'key', round: next });
      expect(first.events.map(({ kind }) => kind)).toEqual(['ready', 'keyed', 'left-out', 'keyed']);
    },
  );

  test('while it is declined does not end the aggregator', async () => {
    const scene = await enrol();
    const process = start({ floor: { ...DEFAULT_AGGREGATOR_FLOOR, minimumCohort: 9 } });
    coordinator.hook = (_said, response) => problem(response, 409, 'PROTOCOL_STEP');
    for (const number of [0, 1]) {
      coordinator.offerKey(ROUND, invite(scene).invitation);
      expect((await coordinator.next(number)).what).toBe('decline');
    }
    await until(() => process.events.length >= 4);
    expect(process.ended()).toBeUndefined();
    expect(process.events.map(({ kind }) => kind)).toEqual(['ready', 'declined', 'left-out', 'left-out']);
  });

  test('by the aggregator’s own decline of its sum has its secret destroyed', async () => {
    const { session, deposits } = await collected();
    coordinator.askSum(ROUND, sumRequest(session, deposits.slice(0, 2)));
    const refused = await coordinator.next(1);
    expect([refused.what, reasonOf(refused)]).toEqual(['decline', expect.stringContaining('SECAGG_COHORT_SMALL')]);
    await until(() => kept().kind === 'forgotten');
  });
});

describe('what is swept at the start', () => {
  const DAY = 24 * HOUR;

  test('is what ended more than a day ago, told or not, and what a kill left half-written; one that does not parse is told', async () => {
    const scene = await enrol();
    const put = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder(), name), bytes);
    mkdirSync(folder(), { recursive: true });
    const states = [0, DAY - HOUR, DAY + HOUR].map((ago) => {
      const deadline = Date.now() - ago;
      const opened = openAggregator(
        invite(scene, { deadline }).invitation,
        {
          client: scene.membership.client,
          identity: scene.key,
          rosterKeys: { coordinator: coordinatorKey.publicKey },
          floor: DEFAULT_AGGREGATOR_FLOOR,
          now: deadline,
        },
        systemRandom,
      );
      if (opened.kind === 'refused') throw new Error(opened.why);
      return opened.state;
    });
    states.forEach((state, i) => {
      put(`keyed.${i + 1}.bin`, encodeAggregation(state));
      put(`told.${i + 1}.bin`, encodeAggregation(forgetSecret(state)));
    });
    put('bad.1.bin', new Uint8Array(3));
    put('task.7.bin.tmp', new Uint8Array(0));
    const process = start();
    await until(() => process.events.some(({ kind }) => kind === 'note'));
    await until(() => !existsSync(join(folder(), 'told.3.bin')));
    expect(readdirSync(folder()).sort()).toEqual(
      ['bad.1', 'keyed.1', 'keyed.2', 'told.1', 'told.2'].map((name) => `${name}.bin`),
    );
    expect(process.events).toContainEqual({ kind: 'note', message: expect.stringContaining('aggregations/bad.1.bin') });
    const next = parseRoundId('task.2').id;
    coordinator.offerKey(next, invite(scene, { round: next }).invitation);
    expect((await coordinator.next(0)).what).toBe('key');
    // The damaged round may have been answered: it is declined, and nothing of it is written over.
    const bad = parseRoundId('bad.1').id;
    coordinator.offerKey(bad, invite(scene, { round: bad }).invitation);
    expect((await coordinator.next(1)).what).toBe('decline');
    expect(readFileSync(join(folder(), 'bad.1.bin'))).toHaveLength(3);
    expect(process.ended()).toBeUndefined();
  });
});
