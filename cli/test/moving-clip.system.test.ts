/** A clip that follows the norms of updates, in a running federation through kill -9: recorded before a cohort is selected, told to clients, never asked anew. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clipAfter, parseTask } from '@carapace/aggregation';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoundList, RoundPage, VersionList } from '../src/answers.ts';
import type { BudgetAnswer } from '../src/privacy-audit.ts';
import { carapace } from './support/carapace.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { runClients } from './support/in-process-clients.ts';
import type { InProcessClients } from './support/in-process-clients.ts';
import { oneHotModel } from './support/one-hot.ts';
import { until } from './support/within.ts';

const CLIENTS = 4;
const ROUNDS = 5;
const directory = await mkdtemp(join(tmpdir(), 'carapace-moving-clip-'));
const data = join(directory, 'coordinator');
let coordinator: CoordinatorProcess;
let clients: InProcessClients;

beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(data, { env: { CARAPACE_LOG: 'silent' } });
  for (const budget of ['secagg', 'clear', 'plain'])
    await coordinator.calls.put(`/v1/budgets/${budget}`, { epsilon: 1_000, delta: 1e-6 });
  const where = { count: CLIENTS, directory: join(directory, 'clients') };
  clients = await runClients(coordinator.calls, where, () => undefined);
}, 120_000);
afterAll(async () => {
  await clients.stop();
  await coordinator.kill();
  await rm(directory, { recursive: true, force: true });
});

const completedOf = async (task: string): Promise<RoundList['rounds']> => {
  const { rounds } = await coordinator.calls.get<RoundList>(`/v1/tasks/${task}/rounds?limit=100`);
  return rounds.filter(({ state }) => state.kind === 'completed').toReversed();
};
const upload = (name: string, values: number): Promise<unknown> =>
  coordinator.calls.upload(`/v1/models/${name}/versions`, 'application/x-safetensors', oneHotModel(values));

// Every update of a one-hot client has the norm 1: from far below it nobody is within the clip, from far above everybody is.
test.each([
  ['secagg', 'distributed', 0.05],
  ['clear', 'central', 20],
] as const)(
  'the clip of %s updates with %s noise moves from %d toward their norms, and a restart keeps it',
  { timeout: 120_000 },
  async (kind, placement, clip) => {
    const { calls } = coordinator;
    const name = `moving-${kind}`;
    await upload(name, CLIENTS);
    const adaptive = { quantile: 0.5, rate: 1.5, bitDeviation: '0.3' };
    const privacy = { placement, noiseMultiplier: '0.3', clip, adaptive, budgets: [kind] };
    const document = {
      name,
      model: { name },
      cohort: { target: CLIENTS, minimum: 3, reportSeconds: 60, selectionSeconds: 60 },
      protection: { kind, ...(kind === 'secagg' && { stepSeconds: 60 }), privacy },
      rounds: ROUNDS,
    };
    await calls.post('/v1/tasks', document);
    await until(60_000, 'a first round', async () => (await completedOf(name)).length > 0);
    await coordinator.kill();
    await coordinator.start();
    await until(90_000, 'all rounds', async () => (await completedOf(name)).length === ROUNDS);
    // Each round's clip is a function of the latest round that released anything, and no other number.
    const { rounds } = await calls.get<RoundList>(`/v1/tasks/${name}/rounds?limit=100`);
    const { protection } = parseTask(document);
    let last: Parameters<typeof clipAfter>[1] = null;
    for (const { id } of rounds.toReversed()) {
      const { round, timeline } = await calls.get<RoundPage>(`/v1/rounds/${id}`);
      expect(round.clip).toBe(clipAfter(protection, last));
      expect(timeline.find(({ kind: at }) => at === 'open')?.detail['clip']).toBe(round.clip);
      const within = timeline.map(({ detail }) => detail['withinClip']).find((found) => found !== undefined);
      if (within !== undefined) last = { clip: round.clip!, within: within as number };
    }
    // Four rounds of at most e^0.75 each; with noise of 0.09 on the share 2.8 together, and 1 is seven deviations below.
    const moved = Math.log(last!.clip / clip) * Math.sign(Math.log(1 / clip));
    expect(moved).toBeGreaterThan(1);
    expect(Math.abs(Math.log(last!.clip))).toBeLessThan(Math.abs(Math.log(clip)) - 1);
    const { versions } = await calls.get<VersionList>(`/v1/models/${name}/versions`);
    const path = `/v1/models/${name}/versions/${Math.max(...versions.map(({ version }) => version))}`;
    const { manifest } = await calls.get<{ manifest: { payload: string } }>(path);
    expect(JSON.parse(manifest.payload)).toMatchObject({ privacy: { clip: last!.clip, adaptive } });
    // The forecast asks the ledger what a round costs: as many fit as of the plain mechanism of that multiplier, one value longer.
    await upload(`plain-${kind}`, CLIENTS + 1);
    await calls.post('/v1/tasks', {
      ...document,
      name: `plain-${kind}`,
      model: { name: `plain-${kind}` },
      cohort: { ...document.cohort, target: CLIENTS, selectionSeconds: 600 },
      schedule: { kind: 'cron', pattern: '0 0 1 1 *' },
      protection: { ...document.protection, privacy: { ...privacy, adaptive: null, budgets: ['plain'] } },
    });
    const left = async (task: string): Promise<number> => {
      const { budgets } = await calls.get<{ budgets: readonly { roundsLeft: number }[] }>(`/v1/tasks/${task}/forecast`);
      return budgets[0]!.roundsLeft;
    };
    const { rounds: charged } = await calls.get<BudgetAnswer>(`/v1/budgets/${kind}`);
    expect((await left(name)) + charged).toBe(await left(`plain-${kind}`));
    const audited = await carapace(['audit', 'privacy', '--data', data, '--json']);
    expect(audited.code).toBe(0);
    expect(JSON.parse(audited.stdout)).toMatchObject({ chain: 'whole' });
  },
);
