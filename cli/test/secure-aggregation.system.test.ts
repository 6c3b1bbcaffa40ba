/**
 * Secure aggregation among processes, of which 30 % die in every round, at every step of the protocol: each round completes, and
 * its version is the mean of the survivors' updates, which the coordinator never saw, to the bound of the quantiser.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '@carapace/simulations';
import { afterAll, expect, test } from 'vitest';
import type { RoundList } from '../src/answers.ts';
import { startClients, stopClients } from './support/client-processes.ts';
import type { ClientProcess } from './support/client-processes.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { checkVersions, flatModel, killInRound, MAX_EXAMPLES } from './support/killed-rounds.ts';
import type { KilledRounds } from './support/killed-rounds.ts';

const CLIENTS = 100;
const KILLED = 30;
/** A round for each moment and one for all of them; the long form is CARAPACE_TEST_ROUNDS=20. */
const ROUNDS = Number(process.env['CARAPACE_TEST_ROUNDS'] ?? 6);
const PARAMETERS = 100_000;
/** What a victim has just said when it dies: before its keys, with them, before, in and after its masked input. */
const MOMENTS = ['assigned', 'invited', 'trained', 'uploading', 'admitted'] as const;
const seed = process.env['CARAPACE_TEST_SEED'] ?? String(Date.now());
const random = seededRandom(seed);

const directory = await mkdtemp(join(tmpdir(), 'carapace-secagg-'));
let clients: ClientProcess[] = [];
const scene: KilledRounds = {
  task: 'secure',
  model: 'secure',
  clients: CLIENTS,
  killed: KILLED,
  moments: MOMENTS,
  parameters: PARAMETERS,
  directory,
  random,
};
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
    await calls.upload('/v1/models/secure/versions', 'application/x-safetensors', flatModel(PARAMETERS));
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
      for (let round = 1; round <= ROUNDS; round++) clients = await killInRound(calls, scene, clients, round);
    } catch (error) {
      console.error(await diagnosis(coordinator, 'secure'));
      throw error;
    }
    const { rounds } = await calls.get<RoundList>('/v1/tasks/secure/rounds?limit=9999');
    expect(rounds.map(({ state }) => state.kind)).toEqual(new Array(ROUNDS).fill('completed'));
    const smallest = await checkVersions(calls, scene, ROUNDS);
    const tookMs = rounds.map(({ createdAt, updatedAt }) => updatedAt - createdAt).sort((a, b) => a - b);
    console.log(
      `${ROUNDS} rounds with ${KILLED} of ${CLIENTS} killed: median ${tookMs[Math.floor(ROUNDS / 2)]} ms; the smallest sum had ${smallest} updates`,
    );
    await stopClients(clients);
    await coordinator.stop();
  },
);
