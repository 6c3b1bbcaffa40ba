/**
 * Budgets in a running federation: charged before each round, spent through kill -9, told in versions, recomputed by an auditor; a budget that
 * is spent pauses its task, and devices keep limits of their own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_POLICY } from '@carapace/client-sdk';
import type { ClientEvent } from '@carapace/client-sdk';
import { afterAll, expect, test } from 'vitest';
import type { RoundList, RoundPage, VersionList } from '../src/answers.ts';
import type { BudgetAnswer, LedgerAnswer } from '../src/privacy-audit.ts';
import { carapace } from './support/carapace.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { runClients } from './support/in-process-clients.ts';
import { oneHotModel } from './support/one-hot.ts';
import { until } from './support/within.ts';

const CLIENTS = 4;
const directory = await mkdtemp(join(tmpdir(), 'carapace-privacy-'));
const running: CoordinatorProcess[] = [];
afterAll(async () => {
  for (const coordinator of running) await coordinator.kill();
  await rm(directory, { recursive: true, force: true });
});

const taskOf = (name: string, budgets: readonly string[]): Record<string, unknown> => ({
  name,
  model: { name: 'one-hot' },
  cohort: { target: CLIENTS, minimum: 3, reportSeconds: 60, selectionSeconds: 60 },
  training: { maxExamples: 1 },
  protection: { kind: 'secagg', stepSeconds: 60, privacy: { noiseMultiplier: '2', clip: 1, budgets } },
});

test('a budget is spent round by round, through kills, and stops its task', { timeout: 400_000 }, async () => {
  const data = join(directory, 'coordinator');
  const coordinator = await CoordinatorProcess.start(data, { env: { CARAPACE_LOG: 'silent' } });
  running.push(coordinator);
  const { calls } = coordinator;
  await calls.upload('/v1/models/one-hot/versions', 'application/x-safetensors', oneHotModel(CLIENTS));
  await expect(calls.post('/v1/tasks', taskOf('too-early', ['phones']))).rejects.toMatchObject({
    code: 'BUDGET_NOT_FOUND',
  });
  await calls.put('/v1/budgets/phones', { epsilon: 8, delta: 1e-6 });
  await calls.put('/v1/budgets/insiders', { epsilon: 1000, delta: 1e-6, view: 'server' });
  const seen: ClientEvent['kind'][] = [];
  const clients = await runClients(
    calls,
    { count: CLIENTS, directory: join(directory, 'clients') },
    (_index, event) => {
      seen.push(event.kind);
    },
  );
  await calls.post('/v1/tasks', taskOf('private', ['phones', 'insiders']));
  const statusOf = async (task: string): Promise<string> =>
    (await calls.get<{ status: string }>(`/v1/tasks/${task}`)).status;
  try {
    for (let kill = 0; kill < 3; kill++) {
      await sleep(1_500);
      await coordinator.kill();
      await coordinator.start();
    }
    await until(180_000, 'the budget is spent', async () => (await statusOf('private')) === 'paused');
  } catch (error) {
    console.error(await diagnosis(coordinator, 'private'));
    throw error;
  }
  const completedOf = async (): Promise<number> => {
    const { rounds } = await calls.get<RoundList>('/v1/tasks/private/rounds?limit=1000');
    return rounds.filter(({ state }) => state.kind === 'completed').length;
  };
  const phones = await calls.get<BudgetAnswer>('/v1/budgets/phones');
  const completed = await completedOf();
  expect(completed).toBeGreaterThan(2);
  expect(phones.spent).toBeLessThanOrEqual(8);
  // Every completed round is charged; a kill may have charged one that was lost.
  expect(phones.rounds).toBeGreaterThanOrEqual(completed);
  expect(phones.rounds).toBeLessThanOrEqual(completed + 3);
  expect((await calls.get<BudgetAnswer>('/v1/budgets/insiders')).rounds).toBeGreaterThanOrEqual(completed);
  expect(await calls.get('/v1/tasks/private/forecast')).toMatchObject({
    budgets: [{ budget: 'phones', roundsLeft: 0 }, { budget: 'insiders' }],
  });
  expect(seen).toContain('private');

  const { versions } = await calls.get<VersionList>('/v1/models/one-hot/versions');
  const latest = await calls.get<{ manifest: { payload: string } }>(
    `/v1/models/one-hot/versions/${Math.max(...versions.map(({ version }) => version))}`,
  );
  expect(JSON.parse(latest.manifest.payload)).toMatchObject({
    privacy: {
      unit: 'client',
      noiseMultiplier: '2',
      budgets: [{ budget: 'phones', relation: 'zero-out' }, { budget: 'insiders' }],
    },
  });

  const audited = await carapace(['audit', 'privacy', '--data', data, '--json']);
  expect(audited.code).toBe(0);
  expect(JSON.parse(audited.stdout)).toMatchObject({
    chain: 'whole',
    budgets: [{ budget: 'phones', match: true }, { match: true }],
  });
  const listed = await carapace(['budget', 'list', '--data', data]);
  expect(listed.stdout).toMatch(/phones +7\.\d{4} +8 /);
  const { entries } = await calls.get<LedgerAnswer>('/v1/ledger');
  const commits = entries.filter(({ entry }) => (JSON.parse(entry) as { kind: string }).kind === 'commit');
  expect(commits.length).toBeGreaterThanOrEqual(completed);

  // Raised, it goes on where it stopped.
  await calls.put('/v1/budgets/phones', { epsilon: 10, delta: 1e-6 });
  await calls.post('/v1/tasks/private/resume');
  await until(90_000, 'a further round completes', async () => (await completedOf()) > completed);
  await until(90_000, 'it is spent again', async () => (await statusOf('private')) === 'paused');
  await clients.stop();
  await coordinator.stop();
});

test('a device gives no more than its owner allows, by its own count', { timeout: 240_000 }, async () => {
  const coordinator = await CoordinatorProcess.start(join(directory, 'limits'), { env: { CARAPACE_LOG: 'silent' } });
  running.push(coordinator);
  const { calls } = coordinator;
  await calls.upload('/v1/models/one-hot/versions', 'application/x-safetensors', oneHotModel(CLIENTS));
  await calls.put('/v1/budgets/phones', { epsilon: 1000, delta: 1e-6 });
  const declined: string[] = [];
  const options = { policy: { ...DEFAULT_POLICY, privacy: { epsilon: 5, delta: 1e-6 } } };
  const place = join(directory, 'limited-clients');
  const clients = await runClients(calls, { count: CLIENTS, directory: place, options }, (_index, event) => {
    if (event.kind === 'declined') declined.push(event.reason);
  });
  await calls.post('/v1/tasks', { ...taskOf('limited', ['phones']), rounds: 50 });
  await until(120_000, 'devices decline', () => declined.some((reason) => reason.includes('PRIVACY_LIMIT')));
  const { rounds } = await calls.get<RoundList>('/v1/tasks/limited/rounds?limit=100');
  const completed = rounds.filter(({ state }) => state.kind === 'completed');
  // z = 2 and epsilon 5 at 1e-6: four rounds by Renyi divergence, and not a fifth.
  expect(completed.length).toBeGreaterThan(0);
  expect(completed.length).toBeLessThan(6);
  await calls.post('/v1/tasks/limited/stop');
  await calls.post('/v1/tasks', {
    name: 'bare',
    model: { name: 'one-hot' },
    cohort: { target: CLIENTS, reportSeconds: 30, selectionSeconds: 30 },
    training: { maxExamples: 1 },
  });
  await until(60_000, 'devices decline what has no noise', () =>
    declined.some((reason) => reason.includes('without noise')),
  );
  const page = await calls.get<RoundPage>('/v1/rounds/bare.1');
  expect(page.participants.filter(({ status }) => status === 'reported')).toEqual([]);
  await clients.stop();
  await coordinator.stop();
});
