/** The records behind one `pg.Pool`: a PostgreSQL in this process by default, a server by its URL. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { CoordinatorError } from '../../errors.ts';
import type { Records, Store } from '../../ports.ts';
import { drain } from './drain.ts';
import { openEmbedded } from './embedded/open-embedded.ts';
import type { OpenedPool } from './embedded/open-embedded.ts';
import { migrate } from './migrate.ts';
import { recordsOn } from './records/index.ts';
import type { Queryable } from './records/queryable.ts';

export type StoreLocation =
  { readonly kind: 'embedded'; readonly directory: string } | { readonly kind: 'server'; readonly url: string };

export interface OpenedStore {
  readonly store: Store;
  /** The queue's backend uses the same pool. */
  readonly pool: pg.Pool;
}

const ATTEMPTS = 8;
/** Serialisation failure, deadlock, and a lost race between two INSERTs of the same row: run the body again. */
const RETRIED = new Set(['40001', '40P01', '23505']);
const SERVER_TIMEOUTS =
  '-c search_path=public,bullmq -c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000';

/**
 * @param onLost told when the database is lost for good: the embedded one, that is; a server comes back
 * @param onError told when a pooled connection broke or maintenance failed: both are tried again
 */
export async function openStore(
  location: StoreLocation,
  onLost: (error: unknown) => void,
  onError: (error: unknown) => void = onLost,
): Promise<OpenedStore> {
  const opened =
    location.kind === 'embedded' ? await openEmbedded(location.directory, { onLost, onError }) : connect(location.url);
  const { pool } = opened;
  pool.on('error', onError);
  try {
    await migrate(pool);
  } catch (error) {
    await opened.close();
    throw unavailable(error);
  }
  return { store: storeOn(opened), pool };
}

function connect(url: string): OpenedPool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 30,
    connectionTimeoutMillis: 10_000,
    options: SERVER_TIMEOUTS,
  });
  pool.setMaxListeners(0);
  return { pool, close: () => drain(pool) };
}

function storeOn({ pool, close }: OpenedPool): Store {
  const records = recordsOn((name, compound, body) =>
    compound ? transaction(pool, name, body) : guarded(() => body(pool as Queryable)),
  );
  return {
    ...records,
    transaction: (name, body) => transaction(pool, name, (db) => body(recordsInside(db))),
    ping: async (timeoutMs) => {
      const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
        throw new CoordinatorError('STORE_UNAVAILABLE', `the database did not answer within ${timeoutMs} ms`);
      });
      await Promise.race([guarded(() => pool.query('SELECT 1')), late]);
    },
    close,
  };
}

function recordsInside(db: Queryable): Records {
  return recordsOn((_name, _compound, body) => body(db));
}

/** BEGIN … COMMIT around the body, again after a serialisation failure. Nothing else of this process may wait inside. */
async function transaction<T>(pool: pg.Pool, name: string, body: (db: Queryable) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptTransaction(pool, body);
    } catch (error) {
      if (attempt >= ATTEMPTS || !RETRIED.has(codeOf(error) ?? '')) throw unavailable(error, name);
      await sleep(attempt * 5);
    }
  }
}

async function attemptTransaction<T>(pool: pg.Pool, body: (db: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // The pool looks after idle clients alone: one that breaks between two statements of ours would end the process.
  const onBroken = (error: Error): void => {
    broken = error;
  };
  client.on('error', onBroken);
  try {
    await client.query('BEGIN');
    const result = await body(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A client that cannot roll back is not given back to the pool: its transaction ends with its connection.
    if (isReadTimeout(error)) broken = error;
    else await client.query('ROLLBACK').catch(onBroken);
    throw error;
  } finally {
    client.off('error', onBroken);
    client.release(broken);
  }
}

async function guarded<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw unavailable(error);
  }
}

/** Lost connections and missed deadlines become `STORE_UNAVAILABLE`; everything else is passed on as it is. */
function unavailable(error: unknown, name?: string): unknown {
  if (error instanceof CoordinatorError) return error;
  const code = codeOf(error);
  const lost =
    code === undefined
      ? isPoolTimeout(error)
      : /^(08|53|57|55P03)/.test(code) || /^E(CONN|PIPE|TIMEDOUT|HOST|NET)/.test(code);
  if (!lost) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new CoordinatorError(
    'STORE_UNAVAILABLE',
    `the database does not answer${name === undefined ? '' : ` (${name})`}: ${why}`,
    { cause: error },
  );
}

/** The statement still runs: what is sent after it would wait for it. */
function isReadTimeout(error: unknown): error is Error {
  return error instanceof Error && error.message === 'Query read timeout';
}

function isPoolTimeout(error: unknown): boolean {
  return error instanceof Error && /timeout|terminated|not queryable|Connection ended/i.test(error.message);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
