/**
 * Noise of the coordinator and of each client alone, in a running federation through kill -9: charged in the views that it protects from, told
 * in versions, recomputed by an auditor.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { privacyEpsilon } from '@carapace/aggregation';
import type { PrivacyEvent } from '@carapace/aggregation';
import { DEFAULT_POLICY } from '@carapace/client-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoundList, RoundPage, VersionList } from '../src/answers.ts';
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
  expect(JSON.parse(audited.stdout)).toMatchObject({ chain: 'whole' });
  const { budgets } = JSON.parse(audited.stdout) as { budgets: readonly { match: boolean }[] };
  expect(budgets.every(({ match }) => match)).toBe(true);
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
    // A fifth client never comes to an end, and its round waits for it with the updates of four.
    const over = Promise.withResolvers<undefined>();
    const seen: string[] = [];
    const slow = await runClients(
      calls,
      { count: 1, directory: join(directory, 'slow'), pause: () => over.promise },
      (_index, event) => seen.push(event.kind),
    );
    await upload('stopped');
    await calls.post('/v1/tasks', {
      ...taskOf('stopped', { kind: 'clear', placement: 'local', budgets }),
      cohort: { target: 5, minimum: 4, selectionSeconds: 60, reportSeconds: 60 },
    });
    await until(30_000, 'the slow one trains', () => seen.includes('private'));
    await until(30_000, 'the others have reported', async () => {
      const { participants } = await calls.get<RoundPage>('/v1/rounds/stopped.1');
      return participants.filter(({ status }) => status === 'reported').length === CLIENTS;
    });
    const before = (await budget('insiders')).rounds;
    await calls.post('/v1/tasks/stopped/stop');
    over.resolve(undefined);
    await slow.stop();
    const { entries } = await calls.get<LedgerAnswer>('/v1/ledger');
    const own = entries
      .map(({ entry }) => JSON.parse(entry) as { kind: string; round?: string; participants?: readonly string[] })
      .filter(({ round }) => round === 'stopped.1');
    expect(own.map(({ kind }) => kind)).toEqual(['reserve', 'commit']);
    // Whoever was selected may have sent a part of an update, the slow one too.
    expect(own[1]?.participants).toHaveLength(CLIENTS + 1);
    expect((await budget('insiders')).rounds).toBe(before);
    await expectAudit();
  },
);

test(
  'a secret cohort: rounds end at their time with whoever came, and nothing that is published tells who or how many',
  { timeout: 200_000 },
  async () => {
    const { calls } = coordinator;
    await upload('sampled');
    await calls.put('/v1/budgets/strict', { epsilon: 100, delta: 1e-6, relation: 'replace-one' });
    const task = (budgets: readonly string[]): Record<string, unknown> => ({
      ...taskOf('sampled', { kind: 'clear', placement: 'central', budgets }),
      cohort: { selection: { kind: 'poisson', rate: '0.25' }, target: 1, reportSeconds: 2, graceSeconds: 1 },
      rounds: 3,
    });
    await expect(calls.post('/v1/tasks', task(['public', 'strict']))).rejects.toMatchObject({
      code: 'PRIVACY_UNPROVED',
    });
    await calls.put('/v1/budgets/sampled', { epsilon: 100, delta: 1e-6 });
    expect((await fetch(`${coordinator.url}/metrics`)).status).toBe(200);
    await calls.post('/v1/tasks', task(['sampled']));
    expect((await fetch(`${coordinator.url}/metrics`)).status).toBe(401);
    await sleep(2_500);
    await coordinator.kill();
    await coordinator.start();
    await until(90_000, 'three rounds', async () => (await completedOf('sampled')) === 3);
    const { versions } = await calls.get<VersionList>('/v1/models/sampled/versions');
    expect(versions.map(({ lineage }) => lineage.cohort)).toEqual([null, null, null, null]);
    expect(await lastManifest('sampled')).toMatchObject({
      cohort: null,
      metrics: {},
      privacy: { event: { kind: 'poisson', probability: 0.25 }, server: 'unprotected' },
    });
    const { entries } = await calls.get<LedgerAnswer>('/v1/ledger');
    const own = entries
      .map(
        ({ entry }) =>
          JSON.parse(entry) as { kind: string; round?: string; participants?: unknown; event?: PrivacyEvent },
      )
      .filter(({ round }) => round?.startsWith('sampled.') === true);
    for (const { kind, participants } of own) if (kind === 'commit') expect(participants).toBeNull();
    // What was charged is what an accountant says of that many coins, and what would be charged without them is much more.
    const { event } = own.find(({ kind }) => kind === 'reserve')!;
    const { rounds, spent } = await budget('sampled');
    expect(rounds).toBeGreaterThanOrEqual(3);
    expect(spent).toBeCloseTo(
      privacyEpsilon([{ event: event!, count: rounds }], 1e-6, { relation: 'zero-out' }).value,
      6,
    );
    const { rounds: pages } = await calls.get<RoundList>('/v1/tasks/sampled/rounds?limit=100');
    expect(pages.filter(({ state }) => state.kind === 'abandoned')).toEqual([]);
    await expectAudit();
  },
);

test(
  'correlated noise: one charge for all steps, through a kill, and nobody in more of them than it is made for',
  { timeout: 200_000 },
  async () => {
    const { calls } = coordinator;
    await upload('correlated');
    await calls.put('/v1/budgets/horizon', { epsilon: 100, delta: 1e-6 });
    const matrix = { kind: 'banded', band: 3, steps: 4, most: 2, apart: 2 };
    await calls.post('/v1/tasks', {
      name: 'correlated',
      model: { name: 'correlated' },
      cohort: { target: 2, minimum: 2, reportSeconds: 60, selectionSeconds: 60 },
      protection: {
        kind: 'clear',
        privacy: { placement: 'central', noiseMultiplier: '2', clip: 1, budgets: ['horizon'], matrix },
      },
      rounds: 4,
    });
    await until(60_000, 'a first step', async () => (await completedOf('correlated')) > 0);
    const first = (await budget('horizon')).spent;
    await coordinator.kill();
    await coordinator.start();
    await until(90_000, 'four steps', async () => (await completedOf('correlated')) === 4);
    expect(await lastManifest('correlated')).toMatchObject({ privacy: { matrix, server: 'unprotected' } });
    const { entries } = await calls.get<LedgerAnswer>('/v1/ledger');
    const own = entries
      .map(({ entry }) => JSON.parse(entry) as { kind: string; round?: string; event?: PrivacyEvent })
      .filter(({ round }) => round?.startsWith('correlated.') === true);
    const { event } = own.find(({ kind }) => kind === 'reserve')!;
    const whole = privacyEpsilon([{ event: event!, count: 1 }], 1e-6, { relation: 'zero-out' }).value;
    // A kill between the mark and the commit of a commit charges all of it once more.
    const lost = own.filter(({ kind }) => kind === 'lost').length;
    const { spent, rounds } = await budget('horizon');
    expect(first).toBeCloseTo(whole, 6);
    expect(rounds).toBeGreaterThanOrEqual(4);
    if (lost === 0) expect(spent).toBe(first);
    else expect(spent).toBeGreaterThan(whole);
    const steps = new Map<string, number[]>();
    const { rounds: pages } = await calls.get<RoundList>('/v1/tasks/correlated/rounds?limit=100');
    const released = pages.filter(({ state }) => state.kind === 'completed').toReversed();
    for (const [i, { id }] of released.entries()) {
      const { participants } = await calls.get<RoundPage>(`/v1/rounds/${id}`);
      for (const { client, status } of participants)
        if (status === 'reported') steps.set(client, [...(steps.get(client) ?? []), i + 1]);
    }
    expect([...steps.values()].flat()).toHaveLength(8);
    for (const [a, b, ...more] of steps.values()) {
      expect(more).toEqual([]);
      if (b !== undefined) expect(b - a!).toBeGreaterThanOrEqual(2);
    }
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
