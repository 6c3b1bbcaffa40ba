/**
 * Updates shared between a coordinator and an aggregator of somebody else, all of them processes. Clients die in every round, at
 * every step; the aggregator dies after its key and in the middle of its sum, and is started again: each round completes, and its
 * version is the mean of the survivors' updates, which neither of the two ever saw.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeAggregation } from '@carapace/aggregation';
import { formatJoinLink } from '@carapace/client-sdk';
import { seededRandom } from '@carapace/simulations';
import { afterAll, describe, expect, test } from 'vitest';
import type { RoundList, RoundPage } from '../src/answers.ts';
import type { OperatorCalls } from '../src/operator-calls.ts';
import { objects, startCarapace } from './support/carapace.ts';
import type { Command } from './support/carapace.ts';
import { startClients, stopClients } from './support/client-processes.ts';
import type { ClientProcess } from './support/client-processes.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { checkVersions, flatModel, killInRound, MAX_EXAMPLES } from './support/killed-rounds.ts';
import type { KilledRounds } from './support/killed-rounds.ts';
import { until, within } from './support/within.ts';

const ROUNDS = 6;
const seed = process.env['CARAPACE_TEST_SEED'] ?? String(Date.now());

const directory = await mkdtemp(join(tmpdir(), 'carapace-shares-'));
const scene: KilledRounds = {
  task: 'shared',
  model: 'flat',
  clients: 20,
  killed: 6,
  moments: ['assigned', 'sharing', 'trained', 'uploading', 'admitted'],
  parameters: 50_000,
  directory,
  random: seededRandom(seed),
};
const running: { clients: ClientProcess[]; commands: Command[]; coordinators: CoordinatorProcess[] } = {
  clients: [],
  commands: [],
  coordinators: [],
};
afterAll(async () => {
  await stopClients(running.clients, 'SIGKILL');
  for (const { child } of running.commands) child.kill('SIGKILL');
  for (const coordinator of running.coordinators) await coordinator.kill();
  await rm(directory, { recursive: true, force: true });
});

/** `carapace aggregator` in a process of its own. */
class AggregatorProcess {
  readonly #args: readonly string[];
  readonly #joinLink: string;
  #command: Command;

  constructor(calls: OperatorCalls, token: string, args: readonly string[] = [], state = 'aggregator') {
    this.#args = ['aggregator', '--state', join(directory, state), '--json', ...args];
    this.#joinLink = formatJoinLink(calls.url, token);
    this.#command = this.#start();
  }

  get events(): Record<string, unknown>[] {
    return objects(this.#command.lines);
  }

  async ready(): Promise<{ readonly client: string; readonly key: string }> {
    await until(60_000, 'the aggregator is ready', () => this.events.some(({ event }) => event === 'ready'));
    const { client, key } = this.events.find(({ event }) => event === 'ready')!;
    return { client: String(client), key: String(key) };
  }

  /** As a power cut does it; then on with what is on the disk. */
  async restart(): Promise<void> {
    this.#command.child.kill('SIGKILL');
    await within(20_000, 'the aggregator ends', this.#command.ended);
    this.#command = this.#start();
  }

  async stop(): Promise<number | null> {
    this.#command.child.kill('SIGTERM');
    return (await within(20_000, 'the aggregator ends', this.#command.ended)).code;
  }

  #start(): Command {
    const command = startCarapace(this.#args, { CARAPACE_JOIN: this.#joinLink });
    running.commands.push(command);
    return command;
  }
}

test(
  `${scene.clients} clients of which ${scene.killed} die a round, and an aggregator that dies: ${ROUNDS} rounds complete, each the mean of its survivors (CARAPACE_TEST_SEED=${seed})`,
  { timeout: 900_000 },
  async () => {
    const coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), {
      env: { CARAPACE_LOG: 'silent' },
    });
    running.coordinators.push(coordinator);
    const { calls } = coordinator;
    await calls.upload('/v1/models/flat/versions', 'application/x-safetensors', flatModel(scene.parameters));
    const aggregator = new AggregatorProcess(calls, await newToken(calls));
    const { client } = await aggregator.ready();
    const program = fileURLToPath(new URL('./support/seeded-client.ts', import.meta.url));
    running.clients = await startClients(calls, { count: scene.clients, directory, pauseMs: 0, program });
    await calls.post('/v1/tasks', {
      name: scene.task,
      model: { name: scene.model },
      cohort: { target: scene.clients, minimum: 10, selectionSeconds: 120, reportSeconds: 15, graceSeconds: 60 },
      training: { maxExamples: MAX_EXAMPLES },
      protection: { kind: 'shares', aggregator: client, stepSeconds: 60 },
      rounds: ROUNDS,
    });
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        const killing = killAggregator(calls, aggregator, `${scene.task}.${round}`, round);
        running.clients = await killInRound(calls, scene, running.clients, round);
        await killing;
      }
    } catch (error) {
      console.error(await diagnosis(coordinator, scene.task), JSON.stringify(aggregator.events.slice(-10)));
      throw error;
    }
    const { rounds } = await calls.get<RoundList>(`/v1/tasks/${scene.task}/rounds?limit=9999`);
    expect(rounds.map(({ state }) => state.kind)).toEqual(new Array(ROUNDS).fill('completed'));
    const smallest = await checkVersions(calls, scene, ROUNDS);
    console.log(`${ROUNDS} rounds with ${scene.killed} of ${scene.clients} killed; the smallest sum had ${smallest}`);
    await until(
      20_000,
      'the aggregator has forgotten its secrets',
      async () => (await secretsLeft('aggregator')) === 0,
    );
    expect(await aggregator.stop()).toBe(0);
    await stopClients(running.clients);
    await coordinator.stop();
  },
);

/** In turn: while clients train under its key, when it is asked for the sum, and not at all. */
async function killAggregator(
  calls: OperatorCalls,
  aggregator: AggregatorProcess,
  round: string,
  number: number,
): Promise<void> {
  const phase = ['collecting', 'unmasking', null][number % 3];
  if (phase === null) return;
  await until(150_000, `${round} is ${phase}, or over`, async () => {
    const { round: now } = await calls.get<RoundPage>(`/v1/rounds/${round}`).catch(() => ({ round: null }));
    return now !== null && (now.state.kind === phase || ['completed', 'abandoned'].includes(now.state.kind));
  });
  await aggregator.restart();
}

async function newToken(calls: OperatorCalls): Promise<string> {
  return (await calls.post<{ token: string }>('/v1/tokens', { site: 'test' })).token;
}

/** Rounds whose shares could still be opened with what is on the disk. */
async function secretsLeft(state: string): Promise<number> {
  const folder = join(directory, state, 'aggregations');
  const kept = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))));
  return kept.filter((bytes) => decodeAggregation(new Uint8Array(bytes)).kind === 'keyed').length;
}

describe('who will not', () => {
  test(
    'an aggregator that is away, or refuses, ends a round before anybody has trained for it',
    { timeout: 240_000 },
    async () => {
      const coordinator = await CoordinatorProcess.start(join(directory, 'refusing'), {
        env: { CARAPACE_LOG: 'silent' },
      });
      running.coordinators.push(coordinator);
      const { calls } = coordinator;
      await calls.upload('/v1/models/flat/versions', 'application/x-safetensors', flatModel(100));
      const demanding = new AggregatorProcess(calls, await newToken(calls), ['--min-cohort', '9'], 'demanding');
      const { client } = await demanding.ready();
      const task = (name: string, aggregator: string): Record<string, unknown> => ({
        name,
        model: { name: 'flat' },
        cohort: { target: 3, selectionSeconds: 60 },
        protection: { kind: 'shares', aggregator, stepSeconds: 5 },
      });
      await expect(calls.post('/v1/tasks', task('nobody', 'cl_aaaaaaaaaaaaaaaaaaaaaaaaaa'))).rejects.toMatchObject({
        code: 'AGGREGATOR_UNKNOWN',
      });
      const program = fileURLToPath(new URL('./support/seeded-client.ts', import.meta.url));
      const place = join(directory, 'refusing-clients');
      const clients = await startClients(calls, { count: 3, directory: place, pauseMs: 0, program });
      running.clients.push(...clients);
      await calls.post('/v1/tasks', task('demanding', client));
      const ended = async (round: string): Promise<RoundPage> => {
        await until(60_000, `${round} is abandoned`, async () => {
          const page = await calls.get<RoundPage>(`/v1/rounds/${round}`).catch(() => null);
          return page?.round.state.kind === 'abandoned';
        });
        return calls.get<RoundPage>(`/v1/rounds/${round}`);
      };
      const { round, timeline } = await ended('demanding.1');
      expect(round.state).toMatchObject({ reason: 'keys-not-agreed', during: 'agreeing' });
      expect(JSON.stringify(timeline)).toMatch(/aggregator-declined.*SECAGG_POLICY/);
      expect(await demanding.stop()).toBe(0);
      expect((await ended('demanding.2')).round.state).toMatchObject({ reason: 'keys-not-agreed' });
      expect(clients.flatMap(({ events }) => events).filter(({ kind }) => kind === 'trained')).toEqual([]);
      await stopClients(clients);
      await coordinator.stop();
    },
  );
});
