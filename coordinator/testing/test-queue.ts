/** Backends for job queues in tests, each empty and for one test: queues are opened on them, closed and opened again. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openQueue } from '../src/adapters/queue/bullmq.ts';
import type { QueueLocation } from '../src/adapters/queue/bullmq.ts';
import type { StoreLocation } from '../src/adapters/store/open-store.ts';
import type { JobQueue } from '../src/ports.ts';
import { startRedis } from './servers.ts';
import { embeddedDirectory, openTestStore } from './test-store.ts';

export interface TestBackend {
  /** One more queue on it, as one more process would open it. */
  open(): Promise<JobQueue>;
  /** What its queues reported beside their answers. */
  readonly failures: unknown[];
  /** From now on it does not answer. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

/** On the database of a store: embedded in a directory of its own, unless a location is given. */
export async function openTestBackend(
  location?: Extract<StoreLocation, { kind: 'server' }>,
  { alone = false }: { readonly alone?: boolean } = {},
): Promise<TestBackend> {
  const directory = location === undefined ? await embeddedWithQueue() : null;
  const store = await openTestStore(location ?? { kind: 'embedded', directory: directory ?? '' });
  const failures: unknown[] = [];
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> =>
    (closed ??= store.close().finally(() => {
      if (directory !== null) rmSync(directory, { recursive: true, force: true });
    }));
  return {
    failures,
    open: () => openQueue({ kind: 'postgres', pool: store.pool, alone }, (error) => failures.push(error)),
    lose: () => (location === undefined ? close() : dropDatabase(location.url)),
    close,
  };
}

/** A Redis of its own. */
export async function openRedisBackend(): Promise<TestBackend> {
  const server = await startRedis();
  const location: QueueLocation = { kind: 'redis', url: server.url };
  const failures: unknown[] = [];
  let stopped: Promise<void> | null = null;
  const end = (): Promise<void> => (stopped ??= server.stop());
  return { failures, open: () => openQueue(location, (error) => failures.push(error)), lose: end, close: end };
}

let template: Promise<string> | null = null;

/** A data directory in which a queue was opened before: making its tables takes the embedded database seconds. */
async function embeddedWithQueue(): Promise<string> {
  template ??= (async () => {
    const directory = await embeddedDirectory();
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    const fail = (error: unknown): void => {
      throw error;
    };
    const store = await openTestStore({ kind: 'embedded', directory });
    await (await openQueue({ kind: 'postgres', pool: store.pool, alone: false }, fail)).close(60_000);
    await store.close();
    return directory;
  })();
  const directory = mkdtempSync(join(tmpdir(), 'cpt-queue-'));
  cpSync(await template, directory, { recursive: true });
  return directory;
}

/** Whoever is connected to it is thrown out, and nobody comes in again. */
async function dropDatabase(url: string): Promise<void> {
  const admin = new URL(url);
  const name = admin.pathname.slice(1);
  admin.pathname = '/postgres';
  const client = new pg.Client({ connectionString: admin.href });
  await client.connect();
  try {
    await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  } finally {
    await client.end();
  }
}
