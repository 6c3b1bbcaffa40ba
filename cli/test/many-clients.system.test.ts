/** 200 client processes against one coordinator: every round completes with everyone, and no call is answered with a 5xx. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { RoundList, TaskList } from '../src/answers.ts';
import { startClients, stateOf, stopClients } from './support/client-processes.ts';
import type { ClientProcess } from './support/client-processes.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { countedIn, oneHotModel, receiptsOf } from './support/one-hot.ts';
import { until } from './support/within.ts';

const CLIENTS = 200;
const ROUNDS = 4;
const directory = await mkdtemp(join(tmpdir(), 'carapace-many-'));
let clients: ClientProcess[] = [];
afterAll(async () => {
  await stopClients(clients, 'SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

test(
  `${CLIENTS} client processes, ${ROUNDS} rounds: all complete with everyone, no 5xx`,
  { timeout: 400_000 },
  async () => {
    const config = { env: { CARAPACE_LOG: 'silent' } };
    const coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), config);
    const { calls } = coordinator;
    await calls.upload('/v1/models/many/versions', 'application/x-safetensors', oneHotModel(CLIENTS));
    clients = await startClients(calls, { count: CLIENTS, directory, pauseMs: 0 });
    const cohort = { target: CLIENTS, minimum: CLIENTS, selectionSeconds: 240, reportSeconds: 120 };
    await calls.post('/v1/tasks', { name: 'many', model: { name: 'many' }, cohort, rounds: ROUNDS });
    await until(300_000, 'the task completes', async () => {
      const { tasks } = await calls.get<TaskList>('/v1/tasks');
      return tasks[0]?.status === 'completed';
    });

    const { rounds } = await calls.get<RoundList>('/v1/tasks/many/rounds');
    const everyone = new Set(Array.from({ length: CLIENTS }, (_value, index) => index));
    const counted = await countedIn(calls, 'many');
    expect(rounds.map(({ state }) => state.kind)).toEqual(new Array(ROUNDS).fill('completed'));
    for (const { id } of rounds) expect(counted.get(id)).toEqual(everyone);
    await until(30_000, 'every client holds its receipts', async () => {
      const receipts = await receiptsOf(clients.map(({ index }) => stateOf(directory, index)));
      return [...receipts.values()].every((holders) => holders.size === CLIENTS) && receipts.size === ROUNDS;
    });
    const metrics = new TextDecoder().decode(await calls.download('/metrics'));
    const answered = metrics
      .split('\n')
      .filter((line) => line.startsWith('http_server_request_duration_seconds_count'));
    expect(answered.length).toBeGreaterThan(3);
    expect(answered.filter((line) => /http_response_status_code="5/.test(line))).toEqual([]);
    const tookMs = rounds.map(({ createdAt, updatedAt }) => updatedAt - createdAt).sort((a, b) => a - b);
    console.log(`${CLIENTS} client processes: rounds of ${tookMs.join(', ')} ms (the shortest first)`);
    await stopClients(clients);
    await coordinator.stop();
  },
);
