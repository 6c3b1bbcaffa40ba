/** Examples as the unit, in a running federation: each device trains with noise and counts it for itself, through a restart; one that has given enough declines, and so does one that cannot. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePrivacyEvent, privacyEpsilon, safetensorsHeader } from '@carapace/aggregation';
import { DEFAULT_POLICY, engineTrainer, fromExamples, openPortableEngine } from '@carapace/client-sdk';
import type { ClientEvent, FederatedClientOptions } from '@carapace/client-sdk';
import { systemRandom } from '@carapace/crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoundList, VersionList } from '../src/answers.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { runClients } from './support/in-process-clients.ts';
import type { InProcessClients } from './support/in-process-clients.ts';
import { until } from './support/within.ts';

const [CLIENTS, COUNT, BATCH] = [3, 40, 10];
const directory = await mkdtemp(join(tmpdir(), 'carapace-examples-'));
const where = join(directory, 'clients');
const events: ClientEvent[] = [];
let coordinator: CoordinatorProcess;
let clients: InProcessClients;

/** Two classes that lie apart. */
const examples = {
  count: COUNT,
  features: Float32Array.from({ length: COUNT * 2 }, (_value, i) => ((i >> 1) % 2 === 0 ? 1 : -1)),
  labels: Int32Array.from({ length: COUNT }, (_value, i) => i % 2),
};
const training = (): Pick<FederatedClientOptions, 'train'> => ({
  train: engineTrainer({
    data: fromExamples(examples),
    engine: () => Promise.resolve(openPortableEngine()),
    random: systemRandom,
  }),
});
const dense = { name: 'd', units: 2, activation: 'softmax', batch_input_shape: [null, 2] };
const topology = (layers: readonly unknown[]): string =>
  JSON.stringify({ class_name: 'Sequential', config: { name: 'm', layers } });
const DENSE = topology([{ class_name: 'Dense', config: dense }]);
const SHAPES = [
  { name: 'd/kernel', shape: [2, 2] },
  { name: 'd/bias', shape: [2] },
];

beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), { env: { CARAPACE_LOG: 'silent' } });
}, 120_000);
afterAll(async () => {
  await clients.stop();
  await coordinator.kill();
  await rm(directory, { recursive: true, force: true });
});

const start = async (name: string, limit: number | null, own: Partial<FederatedClientOptions> = {}): Promise<void> => {
  const policy = { ...DEFAULT_POLICY, examples: limit === null ? null : { epsilon: limit, delta: 1e-6 } };
  const options = { ...training(), policy, ...own };
  clients = await runClients(
    coordinator.calls,
    { count: CLIENTS, directory: join(where, name), options },
    (_i, event) => events.push(event),
  );
};
const begin = async (name: string, privacy: Record<string, unknown> | null, rounds: number | null): Promise<void> => {
  const header = safetensorsHeader(SHAPES, { topology: DENSE });
  const file = new Uint8Array(header.length + 4 * 6);
  file.set(header);
  await coordinator.calls.upload(`/v1/models/${name}/versions`, 'application/x-safetensors', file);
  await coordinator.calls.post('/v1/tasks', {
    name,
    model: { name },
    cohort: { target: CLIENTS, minimum: CLIENTS, reportSeconds: 60, selectionSeconds: 60 },
    training: { epochs: 2, batchSize: BATCH, optimizer: { learningRate: 0.5 }, privacy },
    protection: { kind: 'secagg', stepSeconds: 60 },
    rounds,
  });
};
const completedOf = async (task: string): Promise<number> => {
  const { rounds } = await coordinator.calls.get<RoundList>(`/v1/tasks/${task}/rounds?limit=100`);
  return rounds.filter(({ state }) => state.kind === 'completed').length;
};
const declined = (why: string) => (): boolean =>
  events.some((event) => event.kind === 'declined' && event.reason.includes(why));

test('devices train with noise, count every step of theirs over a restart, and decline when they have given enough', async () => {
  const privacy = { unit: 'example', noiseMultiplier: '1.5', clip: 1 };
  // A round is 8 steps at a rate of a quarter: one costs 4.98 at 1e-6, two 6.90, three 8.42.
  const limit = 7;
  await start('limited', limit);
  await begin('noisy', privacy, null);
  await until(60_000, 'a first round', async () => (await completedOf('noisy')) >= 1);
  await clients.stop();
  await start('limited', limit);
  await until(60_000, 'the devices decline', declined('PRIVACY_LIMIT'));
  await coordinator.calls.post('/v1/tasks/noisy/stop');
  for (const state of clients.states) {
    const lines = (await readFile(join(state, 'examples.jsonl'), 'utf8')).trim().split('\n');
    const charges = lines.map((line) => {
      const { event, count } = JSON.parse(line) as { event: unknown; count: number };
      return { event: parsePrivacyEvent(event), count };
    });
    for (const { event, count } of charges) {
      expect(event).toMatchObject({ kind: 'poisson', probability: BATCH / COUNT });
      expect(count).toBe(8);
    }
    const spent = (more: typeof charges): number => privacyEpsilon(more, 1e-6, { relation: 'zero-out' }).value;
    expect(spent(charges)).toBeLessThanOrEqual(limit);
    expect(spent([...charges, charges[0]!])).toBeGreaterThan(limit);
  }
  expect(await completedOf('noisy')).toBeGreaterThanOrEqual(1);
  const told = events.filter((event) => event.kind === 'trained');
  expect(told.every(({ metrics }) => Object.keys(metrics).length === 0)).toBe(true);
  const { versions } = await coordinator.calls.get<VersionList>('/v1/models/noisy/versions');
  expect(versions.length).toBeGreaterThanOrEqual(2);
  const { manifest } = await coordinator.calls.get<{ manifest: { payload: string } }>('/v1/models/noisy/versions/2');
  expect(JSON.parse(manifest.payload)).toMatchObject({ examplePrivacy: privacy, metrics: {} });
}, 120_000);

test('a device with a limit takes no task without noise, and a trainer that adds none sends nothing', async () => {
  await clients.stop();
  await start('strict', 100);
  await begin('plain', null, 1);
  await until(30_000, 'the devices decline', declined('trains on its examples with noise alone'));
  await coordinator.calls.post('/v1/tasks/plain/stop');
  await clients.stop();
  const train: FederatedClientOptions['train'] = ({ weights }) =>
    Promise.resolve({ weights: weights.map((value) => value + 1), examples: 1, metrics: {} });
  await start('careless', null, { train });
  await begin('careless', { noiseMultiplier: '1', clip: 1 }, 1);
  await until(30_000, 'the devices decline', declined('PRIVACY_EXAMPLES'));
  expect(await completedOf('careless')).toBe(0);
  await coordinator.calls.post('/v1/tasks/careless/stop');
}, 120_000);
