/** What stands behind a queue, as its suite handles it: opened, wiped, closed under the queue's feet. */
import { connect } from 'node:net';
import type { QueueLocation } from '../../src/adapters/queue/bullmq.ts';
import { startPostgres, startRedis } from '../servers.ts';
import { openTestStore } from '../test-store.ts';
import type { TestStore } from '../test-store.ts';

export interface QueueBackend {
  readonly location: QueueLocation;
  /** All that the queue keeps is lost, as after `FLUSHALL`. */
  readonly wipe: () => Promise<void>;
  /** Also while queues are open on it: then it is lost to them. */
  readonly close: () => Promise<void>;
}

export async function embeddedBackend(): Promise<QueueBackend> {
  return inTables(await openTestStore());
}

/** A server of its own, so that it can go away. */
export async function postgresBackend(): Promise<QueueBackend> {
  const server = await startPostgres();
  const store = await openTestStore({ kind: 'server', url: await server.createDatabase() });
  return { ...inTables(store), close: () => server.stop().finally(() => store.close()) };
}

export async function redisBackend(): Promise<QueueBackend> {
  const redis = await startRedis();
  return {
    location: { kind: 'redis', url: redis.url },
    wipe: () => flushAll(redis.url),
    close: () => redis.stop(),
  };
}

function inTables(store: TestStore): QueueBackend {
  const { pool } = store;
  return {
    // Not `alone`: the suite opens several queues on one backend, as a cluster does.
    location: { kind: 'postgres', pool, alone: false },
    wipe: async () => {
      const { rows } = await pool.query<{ name: string }>(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'bullmq' AND tablename NOT LIKE '%migration%'",
      );
      if (rows.length > 0) await pool.query(`TRUNCATE ${rows.map(({ name }) => name).join(', ')} CASCADE`);
    },
    close: () => store.close(),
  };
}

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
