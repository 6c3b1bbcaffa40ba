/**
 * Noise of the coordinator and of each client alone, in a running federation through kill -9: charged in the views that it protects from, told
 * in versions, recomputed by an auditor.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_POLICY } from '@carapace/client-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoundList, VersionList } from '../src/answers.ts';
import type { BudgetAnswer, LedgerAnswer } from '../src/privacy-audit.ts';
import { carapace } from './support/carapace.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { runClients } from './support/in-process-clients.ts';
import type { InProcessClients } from './support/in-process-clients.ts';
import { oneHotModel } from './support/one-hot.ts';
import { until } from './support/within.ts';

const CLIENTS = 4;
const directory = await mkdtemp(join(tmpdir(), 'carapace-placements-'));
const data = join(directory, 'coordinator');
const declined: string[] = [];
let coordinator: CoordinatorProcess;
let clients: InProcessClients;

beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(data, { env: { CARAPACE_LOG: 'silent' } });
  const { calls } = coordinator;
  await calls.put('/v1/budgets/public', { epsilon: 100, delta: 1e-6 });
  await calls.put('/v1/budgets/insiders', { epsilon: 100, delta: 1e-6, view: 'server' });
  clients = await runClients(calls, { count: CLIENTS, directory: join(directory, 'clients') }, (_index, event) => {
    if (event.kind === 'declined') declined.push(event.reason);
  });
}, 120_000);
afterAll(async () => {
  await clients.stop();
  await coordinator.kill();
  await rm(directory, { recursive: true, force: true });
});

const taskOf = (
  name: string,
  { kind, ...privacy }: { readonly kind: string; readonly placement: string; readonly budgets: readonly string[] },
): Record<string, unknown> => ({
  name,
  model: { name },
  cohort: { target: CLIENTS, minimum: 3, reportSeconds: 60, selectionSeconds: 60 },
  protection: {
    kind,
    ...(kind === 'secagg' && { stepSeconds: 60 }),
    privacy: { noiseMultiplier: '2', clip: 1, ...privacy },
  },
});
const upload = (name: string): Promise<unknown> =>
  coordinator.calls.upload(`/v1/models/${name}/versions`, 'application/x-safetensors', oneHotModel(CLIENTS));
const completedOf = async (task: string): Promise<number> => {
  const { rounds } = await coordinator.calls.get<RoundList>(`/v1/tasks/${task}/rounds?limit=100`);
  return rounds.filter(({ state }) => state.kind === 'completed').length;
};
const budget = (name: string): Promise<BudgetAnswer> => coordinator.calls.get<BudgetAnswer>(`/v1/budgets/${name}`);

async function lastManifest(model: string): Promise<Record<string, unknown>> {
  const { versions } = await coordinator.calls.get<VersionList>(`/v1/models/${model}/versions`);
  const last = Math.max(...versions.map(({ version }) => version));
  const { manifest } = await coordinator.calls.get<{ manifest: { payload: string } }>(
    `/v1/models/${model}/versions/${last}`,
  );
  return JSON.parse(manifest.payload) as Record<string, unknown>;
}

async function expectAudit(): Promise<void> {
  const audited = await carapace(['audit', 'privacy', '--data', data, '--json']);
  expect(audited.code).toBe(0);
  expect(JSON.parse(audited.stdout)).toMatchObject({ chain: 'whole', budgets: [{ match: true }, { match: true }] });
}

test(
  'central noise is charged to whoever sees models, through kills, and to no budget about the coordinator',
  { timeout: 200_000 },
  async () => {
    const { calls } = coordinator;
    for (const kind of ['clear', 'secagg']) {
      const name = `central-${kind}`;
      await upload(name);
      const refused = taskOf(name, { kind, placement: 'central', budgets: ['public', 'insiders'] });
      await expect(calls.post('/v1/tasks', refused)).rejects.toMatchObject({ code: 'BUDGET_VIEW' });
      const before = (await budget('public')).rounds;
      await calls.post('/v1/tasks', {
        ...taskOf(name, { kind, placement: 'central', budgets: ['public'] }),
        rounds: 3,
      });
      await sleep(700);
      await coordinator.kill();
      await coordinator.start();
      await until(90_000, `three rounds of ${name}`, async () => (await completedOf(name)) === 3);
      const { spent, rounds } = await budget('public');
      expect(rounds - before).toBeGreaterThanOrEqual(3);
      expect(rounds - before).toBeLessThanOrEqual(4);
      expect(spent).toBeGreaterThan(0);
      expect(await lastManifest(name)).toMatchObject({
        metrics: {},
        privacy: { placement: 'central', server: 'unprotected', budgets: [{ budget: 'public', view: 'model' }] },
      });
    }
    expect((await budget('insiders')).rounds).toBe(0);
    await expectAudit();
  },
);

test(
  'local noise is charged in both views; a round that is stopped after updates came is not given back',
  { timeout: 200_000 },
  async () => {
    const { calls } = coordinator;
    const budgets = ['public', 'insiders'];
    await upload('local');
    const task = taskOf('local', { kind: 'clear', placement: 'local', budgets });
    await calls.post('/v1/tasks', { ...task, rounds: 2 });
    await until(60_000, 'two rounds', async () => (await completedOf('local')) === 2);
    expect((await budget('insiders')).rounds).toBe(2);
    expect(await lastManifest('local')).toMatchObject({ privacy: { placement: 'local', server: 'protected' } });
    // Five are wanted and four are there: it waits for one more, and has the updates of four.
    await upload('stopped');
    await calls.post('/v1/tasks', {
      ...taskOf('stopped', { kind: 'clear', placement: 'local', budgets }),
      cohort: { target: 5, minimum: 4, selectionSeconds: 1, reportSeconds: 60 },
    });
    await sleep(2_500);
    await calls.post('/v1/tasks/stopped/stop');
    const { entries } = await calls.get<LedgerAnswer>('/v1/ledger');
    const kinds = entries
      .map(({ entry }) => JSON.parse(entry) as { kind: string; round?: string })
      .filter(({ round }) => round?.startsWith('stopped.') === true)
      .map(({ kind }) => kind);
    expect(kinds).toContain('commit');
    expect(kinds).not.toContain('release');
    await expectAudit();
  },
);

test('a device with a limit of its own takes local noise and declines central', { timeout: 120_000 }, async () => {
  await clients.stop();
  const { calls } = coordinator;
  const options = { policy: { ...DEFAULT_POLICY, privacy: { epsilon: 50, delta: 1e-6 } } };
  clients = await runClients(
    calls,
    { count: CLIENTS, directory: join(directory, 'limited'), options },
    (_index, event) => {
      if (event.kind === 'declined') declined.push(event.reason);
    },
  );
  await upload('limited');
  const own = taskOf('limited', { kind: 'clear', placement: 'local', budgets: ['public'] });
  await calls.post('/v1/tasks', { ...own, rounds: 1 });
  await until(60_000, 'a round with local noise', async () => (await completedOf('limited')) === 1);
  await upload('trusting');
  await calls.post('/v1/tasks', taskOf('trusting', { kind: 'clear', placement: 'central', budgets: ['public'] }));
  await until(60_000, 'devices decline', () => declined.some((reason) => reason.includes('PRIVACY_CENTRAL')));
  expect(await completedOf('trusting')).toBe(0);
  await calls.post('/v1/tasks/trusting/stop');
});
