/**
 * Secure aggregation among processes, of which 30 % die in every round, at every step of the protocol: each round completes, and
 * its version is the mean of the survivors' updates, which the coordinator never saw, to the bound of the quantiser.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quantiserError, safetensorsHeader } from '@carapace/aggregation';
import type { ClientEvent } from '@carapace/client-sdk';
import { seededRandom } from '@carapace/simulations';
import { afterAll, expect, test } from 'vitest';
import type { ClientList, RoundList, RoundPage, VersionList } from '../src/answers.ts';
import type { OperatorCalls } from '../src/operator-calls.ts';
import { restartClient, startClients, stopClients } from './support/client-processes.ts';
import type { ClientProcess } from './support/client-processes.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { seededExamples, seededUpdate } from './support/seeded-update.ts';
import { until } from './support/within.ts';

const CLIENTS = 100;
const KILLED = 30;
/** A round for each moment and one for all of them; the long form is CARAPACE_TEST_ROUNDS=20. */
const ROUNDS = Number(process.env['CARAPACE_TEST_ROUNDS'] ?? 6);
const PARAMETERS = 100_000;
/** What a victim has just said when it dies: before its keys, with them, before, in and after its masked input. */
const MOMENTS = ['assigned', 'invited', 'trained', 'uploading', 'admitted'] as const;
const MAX_EXAMPLES = 5;
const seed = process.env['CARAPACE_TEST_SEED'] ?? String(Date.now());
const random = seededRandom(seed);

const directory = await mkdtemp(join(tmpdir(), 'carapace-secagg-'));
let clients: ClientProcess[] = [];
afterAll(async () => {
  await stopClients(clients, 'SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

test(
  `${CLIENTS} processes, ${PARAMETERS} parameters, ${KILLED} killed a round: ${ROUNDS} rounds complete, each the mean of its survivors (CARAPACE_TEST_SEED=${seed})`,
  { timeout: 1_500_000 },
  async () => {
    const coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), {
      env: { CARAPACE_LOG: 'silent' },
    });
    const { calls } = coordinator;
    await calls.upload('/v1/models/secure/versions', 'application/x-safetensors', zeros());
    const program = fileURLToPath(new URL('./support/seeded-client.ts', import.meta.url));
    clients = await startClients(calls, { count: CLIENTS, directory, pauseMs: 0, program });
    await calls.post('/v1/tasks', {
      name: 'secure',
      model: { name: 'secure' },
      cohort: { target: CLIENTS, minimum: 60, selectionSeconds: 240, reportSeconds: 25, graceSeconds: 60 },
      training: { maxExamples: MAX_EXAMPLES },
      protection: { kind: 'secagg', stepSeconds: 20 },
      rounds: ROUNDS,
    });
    try {
      for (let round = 1; round <= ROUNDS; round++) await killInRound(calls, round);
    } catch (error) {
      console.error(await diagnosis(coordinator, 'secure'));
      throw error;
    }
    const { rounds } = await calls.get<RoundList>('/v1/tasks/secure/rounds?limit=9999');
    expect(rounds.map(({ state }) => state.kind)).toEqual(new Array(ROUNDS).fill('completed'));
    const smallest = await checkVersions(calls);
    const tookMs = rounds.map(({ createdAt, updatedAt }) => updatedAt - createdAt).sort((a, b) => a - b);
    console.log(
      `${ROUNDS} rounds with ${KILLED} of ${CLIENTS} killed: median ${tookMs[Math.floor(ROUNDS / 2)]} ms; the smallest sum had ${smallest} updates`,
    );
    await stopClients(clients);
    await coordinator.stop();
  },
);

/** Kills the round's victims as each comes to its moment; brings them back once the round has ended, for the next one. */
async function killInRound(calls: OperatorCalls, number: number): Promise<void> {
  const id = `secure.${number}`;
  const victims = new Map<number, (typeof MOMENTS)[number]>();
  const any = (): (typeof MOMENTS)[number] => MOMENTS[Math.floor(random.uniform() * MOMENTS.length)]!;
  // In five rounds of six all die at one step, in the sixth at all of them.
  const together = MOMENTS[(number - 1) % 6];
  while (victims.size < KILLED) victims.set(Math.floor(random.uniform() * CLIENTS), together ?? any());
  const watch = (client: ClientProcess): void => {
    const moment = victims.get(client.index);
    if (moment === undefined) return;
    client.child.on('message', (event: ClientEvent) => {
      if (event.kind === moment && 'round' in event && event.round === id) client.child.kill('SIGKILL');
    });
  };
  clients.forEach(watch);
  await until(150_000, `${id} ends`, async () => {
    const { rounds } = await calls.get<RoundList>('/v1/tasks/secure/rounds?limit=2');
    const round = rounds.find((found) => found.id === id);
    return round?.state.kind === 'completed' || round?.state.kind === 'abandoned';
  });
  clients = clients.map((client) => {
    client.child.removeAllListeners('message');
    if (client.child.exitCode === null && client.child.signalCode === null) return client;
    return restartClient(client, directory);
  });
}

/** @returns how many updates the smallest sum had */
async function checkVersions(calls: OperatorCalls): Promise<number> {
  const { versions } = await calls.get<VersionList>('/v1/models/secure/versions');
  const { clients: known } = await calls.get<ClientList>('/v1/clients');
  const indexOf = new Map(known.map(({ id, name }) => [id, Number(name.slice('client-'.length))]));
  let before = new Float32Array(PARAMETERS);
  let smallest = CLIENTS;
  expect(versions).toHaveLength(ROUNDS + 1);
  for (const { version, lineage } of versions) {
    const bytes = await calls.download(`/v1/models/secure/versions/${version}/weights.bin`);
    const weights = new Float32Array(bytes.buffer);
    if (lineage.round !== null) {
      const { participants } = await calls.get<RoundPage>(`/v1/rounds/${lineage.round}`);
      const survivors = participants.filter(({ status }) => status === 'reported');
      expect(survivors).toHaveLength(lineage.cohort!);
      checkMean(
        weights,
        before,
        lineage.round,
        survivors.map(({ client }) => indexOf.get(client)!),
      );
      smallest = Math.min(smallest, survivors.length);
    }
    before = weights;
  }
  return smallest;
}

function checkMean(after: Float32Array, before: Float32Array, round: string, survivors: readonly number[]): void {
  const weight = survivors.reduce((sum, index) => sum + seededExamples(index), 0);
  const mean = new Float64Array(PARAMETERS);
  for (const index of survivors) {
    const share = seededExamples(index) / weight;
    seededUpdate(index, round, PARAMETERS).forEach((value, i) => (mean[i]! += share * value));
  }
  const quantiser = { clip: 1, bits: 16, maxWeight: MAX_EXAMPLES };
  // Weights are float32: their own rounding is far below the quantiser's.
  const bound = quantiserError(quantiser, survivors.length, weight).worst + 1e-6;
  const worst = mean.reduce((most, value, i) => Math.max(most, Math.abs(after[i]! - before[i]! - value)), 0);
  expect(worst, `${round}: the mean of ${survivors.length} survivors`).toBeLessThan(bound);
}

function zeros(): Uint8Array<ArrayBuffer> {
  const header = safetensorsHeader([{ name: 'flat', shape: [PARAMETERS] }], { topology: '{}' });
  const file = new Uint8Array(header.length + 4 * PARAMETERS);
  file.set(header);
  return file;
}
