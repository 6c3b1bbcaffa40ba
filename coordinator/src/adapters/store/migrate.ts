/** Brings a database to the schema of this version: numbered files, each once, each in its own transaction, one process at a time. */
import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';
import { CoordinatorError } from '../../errors.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
const MIGRATION_LOCK = 7_246_000;

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** @throws CoordinatorError `STORE_SCHEMA` when the database was written by a newer version */
export async function migrate(pool: pg.Pool): Promise<void> {
  const known = migrations();
  const client = await pool.connect();
  try {
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    for (const migration of known) await apply(client, migration);
    await refuseNewer(client, known.at(-1)?.number ?? 0);
  } finally {
    client.release();
  }
}

async function apply(client: pg.PoolClient, { number, name, sql }: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const { rowCount } = await client.query('SELECT 1 FROM schema_migrations WHERE number = $1', [number]);
    if (rowCount === 0) {
      await client.query(sql);
      await client.query('INSERT INTO schema_migrations (number, name) VALUES ($1, $2)', [number, name]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function refuseNewer(client: pg.PoolClient, newestKnown: number): Promise<void> {
  const { rows } = await client.query<{ newest: number | null }>('SELECT max(number) AS newest FROM schema_migrations');
  const newest = rows[0]?.newest ?? 0;
  if (newest <= newestKnown) return;
  throw new CoordinatorError(
    'STORE_SCHEMA',
    `the database has schema ${newest}, this version of Carapace knows ${newestKnown}: run the newer version`,
  );
}

function migrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{4}-[a-z-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ number: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, FOLDER), 'utf8') }));
}
