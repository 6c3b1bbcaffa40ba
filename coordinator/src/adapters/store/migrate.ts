/** Brings a database to the schema of this version: numbered files, each once, each in its own transaction, one process at a time. */
import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';
import { CoordinatorError } from '../../errors.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
const MIGRATION_LOCK = 7_246_000;

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

type Applied = Pick<Migration, 'number' | 'name'>;

/** @throws CoordinatorError `STORE_SCHEMA` when what the database has is not a beginning of what this version knows */
export async function migrate(pool: pg.Pool, known: readonly Migration[] = migrations()): Promise<void> {
  const client = await pool.connect();
  try {
    while (await applyNext(client, known));
  } finally {
    client.release();
  }
}

/** @returns whether there was one to apply */
async function applyNext(client: pg.PoolClient, known: readonly Migration[]): Promise<boolean> {
  await client.query('BEGIN');
  try {
    // The table is made under the lock too: `IF NOT EXISTS` alone lets two processes collide.
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const { rows } = await client.query<Applied>('SELECT number, name FROM schema_migrations ORDER BY number');
    refuseOther(rows, known);
    const next = known[rows.length];
    if (next !== undefined) {
      await client.query(next.sql);
      await client.query('INSERT INTO schema_migrations (number, name) VALUES ($1, $2)', [next.number, next.name]);
    }
    await client.query('COMMIT');
    return next !== undefined;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

function refuseOther(applied: readonly Applied[], known: readonly Applied[]): void {
  const newest = applied.at(-1)?.number ?? 0;
  const newestKnown = known.at(-1)?.number ?? 0;
  if (newest > newestKnown) {
    throw new CoordinatorError(
      'STORE_SCHEMA',
      `the database has schema ${newest}, this version of Carapace knows ${newestKnown}: run the newer version`,
    );
  }
  const odd = applied.findIndex(
    ({ number, name }, index) => known[index]?.number !== number || known[index].name !== name,
  );
  if (odd < 0) return;
  throw new CoordinatorError(
    'STORE_SCHEMA',
    `the database has migration ${applied[odd]?.name} where this version of Carapace has ${known[odd]?.name}: it was changed by hand, restore a backup`,
  );
}

function migrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{4}-[a-z-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ number: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, FOLDER), 'utf8') }));
}
