import { rmSync } from 'node:fs';
import { parseRoundId } from '@carapace/aggregation';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openQueue } from '../src/adapters/queue/bullmq.ts';
import type { QueueLocation } from '../src/adapters/queue/bullmq.ts';
import type { StoreLocation } from '../src/adapters/store/open-store.ts';
import type { Job } from '../src/ports.ts';
import { describeQueue, embeddedDirectory, openTestStore } from '../testing/index.ts';
import { POSTGRES_MISSING, REDIS_MISSING, startPostgres, startRedis } from '../testing/index.ts';
import { talk } from '../testing/lines.ts';
import { embeddedBackend, postgresBackend, redisBackend } from '../testing/queue/backend.ts';

describeQueue('queue, embedded', embeddedBackend);
describeQueue('queue, PostgreSQL', postgresBackend, POSTGRES_MISSING);
describeQueue('queue, Redis', redisBackend, REDIS_MISSING);

describe('a process whose Redis is away', () => {
  const script = new URL('processes/queue-closer.ts', import.meta.url);

  test('ends when it is told to', async ({ skip }) => {
    if (REDIS_MISSING !== null) return skip(REDIS_MISSING);
    const redis = await startRedis();
    const worker = talk(script, [redis.url]);
    await worker.until(/^working$/);
    await redis.stop();
    worker.process.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(worker.lines.at(-1)).toBe('closed');
  });

  test('from the start is told so, and ends', async () => {
    // Nothing listens on this port: it is a privileged one that no service has.
    const worker = talk(script, ['redis://127.0.0.1:1']);
    expect(await worker.ended).toBe(0);
    expect(worker.lines).toEqual(['STORE_UNAVAILABLE', 'closed']);
  });
});

describe('kill -9 of the process that runs a job', () => {
  const HELD: Job = { kind: 'step-round', round: parseRoundId('held.1').id };

  /** @param lost the job is gone, as the reconciler would see, and is added again; else it comes by itself */
  async function takeOver(location: QueueLocation, { lost }: { readonly lost: boolean }): Promise<void> {
    const errors: unknown[] = [];
    const queue = await openQueue(location, (error) => errors.push(error));
    expect(await queue.counts()).toMatchObject({ 'rounds.active': lost ? 0 : 1, 'rounds.waiting': 0 });
    const { promise: ran, resolve } = Promise.withResolvers<Job>();
    const handle = async (job: Job): Promise<void> => resolve(job);
    await queue.work({ 'open-round': handle, 'step-round': handle, aggregate: handle, evaluate: handle });
    if (lost) await queue.add(HELD, { key: 'held' });
    expect(await ran).toEqual(HELD);
    await queue.close(10_000);
    expect(errors).toEqual([]);
  }

  async function killHolder(location: StoreLocation | { readonly kind: 'redis'; readonly url: string }): Promise<void> {
    const holder = talk(new URL('processes/queue-holder.ts', import.meta.url), [JSON.stringify(location)]);
    await holder.until(/^holding$/);
    await holder.kill();
  }

  test('embedded: nobody else can hold it, so it is dropped, and runs as soon as it is added again', async () => {
    const directory = await embeddedDirectory();
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    await killHolder({ kind: 'embedded', directory });
    const store = await openTestStore({ kind: 'embedded', directory });
    onTestFinished(() => store.close());
    await takeOver({ kind: 'postgres', pool: store.pool, alone: true }, { lost: true });
  });

  test('PostgreSQL: another process takes it over, without being told', async ({ skip }) => {
    if (POSTGRES_MISSING !== null) return skip(POSTGRES_MISSING);
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const location = { kind: 'server', url: await server.createDatabase() } as const;
    await killHolder(location);
    const store = await openTestStore(location);
    onTestFinished(() => store.close());
    await takeOver({ kind: 'postgres', pool: store.pool, alone: false }, { lost: false });
  });

  test('Redis: another process takes it over, without being told', async ({ skip }) => {
    if (REDIS_MISSING !== null) return skip(REDIS_MISSING);
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const location = { kind: 'redis', url: redis.url } as const;
    await killHolder(location);
    await takeOver(location, { lost: false });
  });
});
