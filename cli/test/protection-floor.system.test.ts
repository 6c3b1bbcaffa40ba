/** What a device requires, whatever the coordinator proposes: an authority's word for the others, enough of them, no way back into the clear. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_POLICY } from '@carapace/client-sdk';
import type { ClientEvent, FederatedClientOptions } from '@carapace/client-sdk';
import { fromBase64url, parsePublicKey } from '@carapace/crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientList, RoundList, RoundPage } from '../src/answers.ts';
import { carapace } from './support/carapace.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { startAggregator } from './support/in-process-aggregator.ts';
import { runClients } from './support/in-process-clients.ts';
import type { InProcessClients } from './support/in-process-clients.ts';
import { oneHotModel } from './support/one-hot.ts';
import { until } from './support/within.ts';

const SECAGG = { kind: 'secagg', stepSeconds: 30 };
const directory = await mkdtemp(join(tmpdir(), 'carapace-floor-'));
let coordinator: CoordinatorProcess;
let running: InProcessClients | null = null;

beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), { env: { CARAPACE_LOG: 'silent' } });
});
afterAll(async () => {
  await running?.stop();
  await coordinator.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Scene {
  readonly name: string;
  readonly clients: number;
  readonly protection: Record<string, unknown>;
  readonly cohort?: Record<string, unknown>;
  readonly options?: Partial<FederatedClientOptions>;
}

/** Clients of their own and a task for them; the events that they tell come in as they happen. */
async function play({ name, clients, protection, cohort = {}, options = {} }: Scene): Promise<ClientEvent[]> {
  const { calls } = coordinator;
  await calls.upload(`/v1/models/${name}/versions`, 'application/x-safetensors', oneHotModel(clients));
  const events: ClientEvent[] = [];
  running = await runClients(calls, { count: clients, directory: join(directory, name), options }, (_index, event) => {
    events.push(event);
  });
  await calls.post('/v1/tasks', {
    name,
    model: { name },
    cohort: { target: clients, selectionSeconds: 5, ...cohort },
    training: { maxExamples: 1 },
    protection,
  });
  return events;
}

async function stop(task: string): Promise<void> {
  await coordinator.calls.post(`/v1/tasks/${task}/stop`);
  await running?.stop();
  running = null;
}

const reasonsIn = (events: readonly ClientEvent[]): string[] =>
  events.flatMap((event) => (event.kind === 'declined' ? [event.reason] : []));

async function completedRounds(task: string): Promise<RoundList['rounds']> {
  const { rounds } = await coordinator.calls.get<RoundList>(`/v1/tasks/${task}/rounds`);
  return rounds.filter(({ state }) => state.kind === 'completed');
}

test('without an authority a client takes the coordinator’s word, and says so', async () => {
  const events = await play({ name: 'word', clients: 3, protection: SECAGG });
  await until(60_000, 'a round completes', async () => (await completedRounds('word')).length > 0);
  await stop('word');
  const trusts = events.flatMap((event) => (event.kind === 'invited' ? [event.trust] : []));
  expect(new Set(trusts)).toEqual(new Set(['coordinator']));
});

test('a device that requires secure aggregation, or more company, declines with the reason', async () => {
  const policy = { ...DEFAULT_POLICY, protections: ['secagg' as const] };
  const clear = await play({ name: 'plain', clients: 3, protection: { kind: 'clear' }, options: { policy } });
  await until(60_000, 'all decline', () => reasonsIn(clear).length >= 3);
  await stop('plain');
  expect(reasonsIn(clear)[0]).toContain('does not take part with the protection clear');

  const more = { ...DEFAULT_POLICY, secagg: { ...DEFAULT_POLICY.secagg, minimumCohort: 4, minimumSurvivors: 4 } };
  const few = await play({ name: 'few', clients: 3, protection: SECAGG, options: { policy: more } });
  await until(60_000, 'all decline', () => reasonsIn(few).length >= 3);
  await stop('few');
  expect(reasonsIn(few)[0]).toContain('SECAGG_POLICY: a cohort of 3, at least 4 wanted');
  expect(await completedRounds('few')).toEqual([]);
});

test('a device that sends nothing in the clear shares updates only with an aggregator that it has pinned', async () => {
  const away = new AbortController();
  const { client, key, run } = await startAggregator(coordinator.calls, join(directory, 'aggregator'), away.signal);
  const protection = { kind: 'shares', aggregator: client, stepSeconds: 30 };
  const policy = { ...DEFAULT_POLICY, protections: ['secagg' as const, 'shares' as const] };
  const unpinned = await play({ name: 'unpinned', clients: 3, protection, options: { policy } });
  await until(60_000, 'all decline', () => reasonsIn(unpinned).length >= 3);
  await stop('unpinned');
  expect(reasonsIn(unpinned)[0]).toContain('pin it (--aggregator)');
  expect(await completedRounds('unpinned')).toEqual([]);

  const aggregator = parsePublicKey(fromBase64url(key));
  const pinned = await play({ name: 'shared', clients: 3, protection, options: { policy, aggregator } });
  await until(60_000, 'a round completes', async () => (await completedRounds('shared')).length > 0);
  await stop('shared');
  expect(pinned.some((event) => event.kind === 'sharing' && event.trust.aggregator === 'pinned')).toBe(true);
  away.abort();
  await run;
});

test('a task that was protected once is not served in the clear', async () => {
  for (let index = 0; index < 3; index++) {
    const state = join(directory, 'downgrade', `client-${index}`);
    await mkdir(state, { recursive: true });
    await writeFile(join(state, 'protected-tasks.json'), JSON.stringify(['downgrade']));
  }
  const events = await play({ name: 'downgrade', clients: 3, protection: { kind: 'clear' } });
  await until(60_000, 'all decline', () => reasonsIn(events).length >= 3);
  await stop('downgrade');
  expect(reasonsIn(events)[0]).toContain('was protected by secure aggregation (secagg) before');
  expect(await completedRounds('downgrade')).toEqual([]);
});

test('carapace roster: clients that pin an authority take no other word, and only whom it lists is selected', async () => {
  const at = (name: string): string => join(directory, name);
  const { stdout } = await carapace(['roster', 'key', at('authority.key'), '--json']);
  const { authority } = JSON.parse(stdout) as { authority: string };
  expect((await carapace(['roster', 'key', at('authority.key')])).code).toBe(2);

  const pinned = { authority: parsePublicKey(fromBase64url(authority)) };
  const events = await play({
    name: 'pinned',
    clients: 4,
    protection: SECAGG,
    options: pinned,
    cohort: { target: 4, minimum: 3 },
  });
  await until(60_000, 'the coordinator’s own roster is refused', () => reasonsIn(events).length >= 3);
  expect(reasonsIn(events)[0]).toContain('the roster is not signed by the pinned key of the authority');
  expect(await completedRounds('pinned')).toEqual([]);

  const operator = ['--url', coordinator.url, '--data', at('coordinator')];
  const list = await carapace(['client', 'list', '--json', ...operator]);
  // The authority knows three of the four.
  const known = (JSON.parse(list.stdout) as ClientList).clients.slice(-4, -1);
  await writeFile(at('clients.json'), JSON.stringify({ clients: known }));
  const sign = ['roster', 'sign', at('clients.json'), '--key', at('authority.key'), '--out', at('roster.bin')];
  expect((await carapace([...sign, '--serial', '2'])).stdout).toContain('3 clients, serial 2');
  expect((await carapace(['roster', 'publish', at('roster.bin'), ...operator])).code).toBe(0);
  await until(90_000, 'a round completes', async () => (await completedRounds('pinned')).length > 0);
  const [round] = await completedRounds('pinned');
  const { participants } = await coordinator.calls.get<RoundPage>(`/v1/rounds/${round!.id}`);
  expect(participants.map(({ client }) => client).sort()).toEqual(known.map(({ id }) => id).sort());
  expect(events.some((event) => event.kind === 'invited' && event.trust === 'authority')).toBe(true);

  await carapace([...sign, '--serial', '1']);
  const old = await carapace(['roster', 'publish', at('roster.bin'), ...operator]);
  expect([old.code, old.stderr]).toEqual([1, expect.stringContaining('serial 1 is not above 2')]);
  expect((await carapace(['roster', 'show', ...operator])).stdout).toContain(known[0]!.id);
  await stop('pinned');
});
