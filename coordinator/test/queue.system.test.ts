import { openQueue } from '../src/adapters/queue/bullmq.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  describeQueue,
  openRedisBackend,
  openTestBackend,
  POSTGRES_MISSING,
  REDIS_MISSING,
  startPostgres,
} from '../testing/index.ts';
import type { TestPostgres } from '../testing/index.ts';
import { benchOf, drained, gate, present, record, stepOf, TASK, until, YEARLY } from '../testing/queue/bench.ts';

describeQueue('queue, embedded', () => openTestBackend());

describe('queue, embedded, alone', () => {
  const bench = benchOf(() => openTestBackend(undefined, { alone: true }));

  test('what an earlier process left or was in the middle of is dropped, and the queue works', async () => {
    const first = await bench.open();
    const hung = gate();
    const { begun, handlers } = record(() => hung.passed);
    await first.add(stepOf(1), { key: 'hung' });
    await first.add(stepOf(2), { at: Date.now() + 3_600_000 });
    await first.schedule(TASK, YEARLY);
    await first.work(handlers);
    await until(() => expect(begun).toHaveLength(1));
    await first.close(5_000);
    await bench.failures(1);
    const second = await bench.open();
    expect(await present(second)).toEqual({});
    expect(await second.scheduled()).toEqual([]);
    const again = record();
    await second.work(again.handlers);
    await second.add(stepOf(3), { key: 'hung' });
    await drained(second);
    expect(again.begun).toEqual([stepOf(3)]);
    hung.open();
  });
});

test('a Redis that is not there is said to be away, by its address and without its password, and nothing is left running', async () => {
  const failures: unknown[] = [];
  const location = { kind: 'redis', url: 'redis://user:secret@127.0.0.1:1/0' } as const;
  const opened = await openQueue(location, (error) => failures.push(error)).catch((error: unknown) => error);
  expect(opened).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect(String(opened)).toMatch(/127\.0\.0\.1:1 .REDIS_URL. .*ECONNREFUSED/);
  expect(String(opened)).not.toContain('secret');
  expect(failures).toEqual([]);
});

describe('with a server', () => {
  let server: TestPostgres | null = null;
  beforeAll(async () => {
    if (POSTGRES_MISSING === null) server = await startPostgres();
  });
  afterAll(() => server?.stop());
  const database = async (): Promise<string> => {
    if (server === null) throw new Error('the server did not start');
    return server.createDatabase();
  };

  describeQueue(
    'queue, PostgreSQL',
    async () => openTestBackend({ kind: 'server', url: await database() }),
    POSTGRES_MISSING,
  );
});

describeQueue('queue, Redis', openRedisBackend, REDIS_MISSING);
