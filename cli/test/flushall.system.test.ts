/** The queue may forget everything at any time: `FLUSHALL` in the middle of a run loses nothing, because the records are the truth. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REDIS_MISSING, startRedis } from '@carapace/coordinator/testing';
import { seededRandom } from '@carapace/simulations';
import { afterAll, expect, test } from 'vitest';
import type { RoundList } from '../src/answers.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { runClients } from './support/in-process-clients.ts';
import { countedIn, oneHotModel, receiptsOf } from './support/one-hot.ts';
import { until } from './support/within.ts';

const CLIENTS = 6;
const WIPES = 8;
const seed = process.env['CARAPACE_TEST_SEED'] ?? String(Date.now());
const directory = await mkdtemp(join(tmpdir(), 'carapace-flush-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

test(`${WIPES} times FLUSHALL: every round completes with everyone (CARAPACE_TEST_SEED=${seed})`, async ({ skip }) => {
  if (REDIS_MISSING !== null) return skip(REDIS_MISSING);
  const random = seededRandom(seed);
  const redis = await startRedis();
  const coordinator = await CoordinatorProcess.start(join(directory, 'coordinator'), { env: { REDIS_URL: redis.url } });
  const { calls } = coordinator;
  for (const model of ['wiped', 'scheduled'])
    await calls.upload(`/v1/models/${model}/versions`, 'application/x-safetensors', oneHotModel(CLIENTS));
  const cohort = { target: CLIENTS, minimum: CLIENTS, reportSeconds: 60 };
  await calls.post('/v1/tasks', { name: 'wiped', model: { name: 'wiped' }, cohort });
  // A task whose rounds only the queue's scheduler opens: its schedule, too, must survive.
  const every = { kind: 'every', seconds: 1 };
  const lonely = { target: 1, minimum: 1, selectionSeconds: 1 };
  await calls.post('/v1/tasks', { name: 'scheduled', model: { name: 'scheduled' }, cohort: lonely, schedule: every });
  await calls.post('/v1/tasks/scheduled/pause');

  let admitted = 0;
  const pause = (): Promise<void> => sleep(random.uniform() * 100);
  const clients = await runClients(calls, { count: CLIENTS, directory, pause }, (_index, { kind }) => {
    if (kind === 'admitted') admitted += 1;
  });
  try {
    for (let wipe = 0; wipe < WIPES; wipe++) {
      const enough = admitted + CLIENTS;
      await until(30_000, `a round after ${wipe} wipes`, () => admitted >= enough);
      await sleep(random.uniform() * 500);
      await flushAll(redis.url);
    }
    const enough = admitted + 2 * CLIENTS;
    await until(30_000, 'two more rounds', () => admitted >= enough);
    await calls.post('/v1/tasks/wiped/stop');
  } catch (error) {
    console.error(await diagnosis(coordinator, 'wiped'));
    throw error;
  } finally {
    await clients.stop();
  }
  await calls.post('/v1/tasks/scheduled/resume');
  await flushAll(redis.url);
  const opened = async (): Promise<number> => (await calls.get<RoundList>('/v1/tasks/scheduled/rounds')).rounds.length;
  const before = await opened();
  await until(30_000, 'the schedule opens rounds again', async () => (await opened()) >= before + 2);

  const receipts = await receiptsOf(clients.states);
  const counted = await countedIn(calls, 'wiped');
  const { rounds } = await calls.get<RoundList>('/v1/tasks/wiped/rounds?limit=9999');
  const completed = rounds.filter(({ state }) => state.kind === 'completed');
  expect(completed.length).toBeGreaterThan(WIPES);
  expect(rounds.length - completed.length).toBeLessThanOrEqual(1);
  for (const { id } of completed) {
    expect(counted.get(id)?.size).toBe(CLIENTS);
    expect(receipts.get(id)).toEqual(counted.get(id));
  }
  await coordinator.stop();
  await redis.stop();
});

async function flushAll(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const answer = await new Promise<string>((resolve, reject) => {
    socket.once('error', reject).once('data', (data) => resolve(data.toString()));
    socket.write('*1\r\n$8\r\nFLUSHALL\r\n');
  });
  socket.destroy();
  if (!answer.startsWith('+OK')) throw new Error(`FLUSHALL answered ${answer}`);
}
