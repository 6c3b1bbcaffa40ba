/** Clients that die in mid-round: the round completes by quorum or is abandoned with its reason by its deadline; a client that comes back goes on. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoundList } from '../src/answers.ts';
import { restartClient, startClients, stateOf, stopClients } from './support/client-processes.ts';
import type { ClientProcess } from './support/client-processes.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { countedIn, oneHotModel, receiptsOf } from './support/one-hot.ts';
import { until } from './support/within.ts';

const directory = await mkdtemp(join(tmpdir(), 'carapace-clients-'));
let coordinator: CoordinatorProcess;
const started: ClientProcess[] = [];

beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'));
});
afterAll(async () => {
  await stopClients(started, 'SIGKILL');
  await coordinator.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Scene {
  readonly name: string;
  readonly clients: number;
  readonly pauseMs: number;
  readonly cohort: Readonly<Record<string, number>>;
  readonly rounds?: number;
}

async function play({ name, clients, pauseMs, cohort, rounds = 1 }: Scene): Promise<ClientProcess[]> {
  const { calls } = coordinator;
  await calls.upload(`/v1/models/${name}/versions`, 'application/x-safetensors', oneHotModel(clients));
  const cast = await startClients(calls, { count: clients, directory: join(directory, name), pauseMs });
  started.push(...cast);
  await calls.post('/v1/tasks', { name, model: { name }, cohort, rounds });
  return cast;
}

async function roundsOf(task: string): Promise<RoundList['rounds']> {
  const { rounds } = await coordinator.calls.get<RoundList>(`/v1/tasks/${task}/rounds`);
  return rounds;
}

const assigned = (clients: readonly ClientProcess[]) => (): boolean =>
  clients.every(({ events }) => events.some(({ kind }) => kind === 'assigned'));

test('half the clients are killed in mid-round: the quorum completes it at its deadline', async () => {
  const cohort = { target: 10, minimum: 5, reportSeconds: 12, graceSeconds: 1 };
  const cast = await play({ name: 'quorum', clients: 10, pauseMs: 3_000, cohort });
  await until(60_000, 'all ten are assigned', assigned(cast));
  await stopClients(cast.slice(0, 5), 'SIGKILL');
  await until(60_000, 'the round ends', async () => (await roundsOf('quorum'))[0]?.state.kind === 'completed');

  const [round] = await roundsOf('quorum');
  expect(round?.state).toMatchObject({ kind: 'completed', reported: 5 });
  const survivors = new Set([5, 6, 7, 8, 9]);
  expect((await countedIn(coordinator.calls, 'quorum')).get(round!.id)).toEqual(survivors);
  const journals = cast.slice(5).map(({ index }) => stateOf(join(directory, 'quorum'), index));
  expect((await receiptsOf(journals)).get(round!.id)?.size).toBe(5);
  await stopClients(cast);
});

test('half the clients are killed below the quorum: the round is abandoned by its deadline plus grace, and says why', async () => {
  const cohort = { target: 8, minimum: 8, reportSeconds: 6, graceSeconds: 1 };
  const cast = await play({ name: 'no-quorum', clients: 8, pauseMs: 2_000, cohort });
  await until(60_000, 'all eight are assigned', assigned(cast));
  await stopClients(cast.slice(0, 4), 'SIGKILL');
  const first = async () => (await roundsOf('no-quorum')).find(({ number }) => number === 1);
  await until(60_000, 'the round ends', async () => (await first())?.state.kind === 'abandoned');

  const round = (await first())!;
  expect(round.state).toMatchObject({ kind: 'abandoned', reason: 'quorum-not-met', during: 'collecting' });
  expect(await countedIn(coordinator.calls, 'no-quorum')).toEqual(new Map());
  await stopClients(cast);
  await coordinator.calls.post('/v1/tasks/no-quorum/stop');
});

test('a client killed before its upload sends the same update after it comes back, and trains it once', async () => {
  const cohort = { target: 1, minimum: 1, reportSeconds: 60 };
  const [client] = await play({ name: 'resume', clients: 1, pauseMs: -1, cohort });
  await until(
    60_000,
    'it dies as it was told to, with the update journalled',
    () => client!.child.signalCode === 'SIGKILL',
  );
  expect(client!.events.filter(({ kind }) => kind === 'trained')).toHaveLength(1);

  const again = restartClient(client!, join(directory, 'resume'));
  started.push(again);
  await until(60_000, 'the update is admitted', () => again.events.some(({ kind }) => kind === 'admitted'));
  expect(again.events.filter(({ kind }) => kind === 'trained')).toHaveLength(0);
  const journal = await readFile(join(stateOf(join(directory, 'resume'), 0), 'receipts.jsonl'), 'utf8');
  const entries = journal
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(entries.map(({ kind }) => kind)).toEqual(['sent', 'admitted']);
  expect(new Set(entries.map(({ update, digest }) => `${String(update)} ${String(digest)}`)).size).toBe(1);
  await stopClients([again]);
});
