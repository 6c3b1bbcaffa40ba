/** The embedded default: a real `pg.Pool` whose sockets end in a PGlite in this process, durable on disk, one process per directory. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { CoordinatorError } from '../../../errors.ts';
import { drain } from '../drain.ts';
import { Engine } from './engine.ts';
import { lockDirectory } from './lock-file.ts';
import { maintain } from './maintenance.ts';
import { Session } from './session.ts';
import type { SessionLimits } from './session.ts';
import { EngineSocket } from './socket.ts';

/** The PostgreSQL inside the pinned PGlite: its data directories are of this major version and no other opens them. */
const POSTGRES_MAJOR = '18';

export interface OpenedPool {
  readonly pool: pg.Pool;
  readonly close: () => Promise<void>;
}

/** As PostgreSQL servers are asked to keep them in `open-store.ts`. */
const LIMITS: SessionLimits = { turnMs: 10_000, idleMs: 30_000, statementMs: 30_000 };

export interface EmbeddedEvents {
  /** The database ended unasked: nothing can be stored any more. */
  readonly onLost: (error: unknown) => void;
  /** Something in the background failed, and will be tried again. */
  readonly onError: (error: unknown) => void;
}

/** @throws CoordinatorError `STORE_LOCKED`, `STORE_SCHEMA` or `STORE_UNAVAILABLE` */
export async function openEmbedded(
  directory: string,
  { onLost, onError }: EmbeddedEvents,
  limits: SessionLimits = LIMITS,
): Promise<OpenedPool> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(directory, join(directory, 'lock'));
  let engine: Engine | null = null;
  try {
    const data = join(directory, 'data');
    checkMajor(data);
    engine = await Engine.open(data, onLost);
    const pool = poolOver(engine, limits);
    // One engine is one session: said once, it holds for every client. BullMQ's tables live in a schema of their own.
    await pool.query('SET search_path TO public, bullmq');
    const stopMaintenance = maintain(pool, onError);
    return {
      pool,
      close: () => {
        stopMaintenance();
        return drain(pool)
          .then(() => engine?.close())
          .finally(unlock);
      },
    };
  } catch (error) {
    await engine?.close().catch(onError);
    unlock();
    throw error;
  }
}

function poolOver(engine: Engine, limits: SessionLimits): pg.Pool {
  const session = new Session(engine, limits);
  const pool = new pg.Pool({
    // Every BullMQ worker keeps one client for LISTEN; the rest share one engine, so more would only wait in another queue.
    max: 30,
    user: 'postgres',
    database: 'postgres',
    host: 'embedded',
    password: '',
    ssl: false,
    connectionTimeoutMillis: 30_000,
    query_timeout: limits.statementMs,
    stream: () => new EngineSocket(session, `${POSTGRES_MAJOR}.0`),
  });
  // BullMQ adds a listener per queue object and never removes it.
  pool.setMaxListeners(0);
  return pool;
}

function checkMajor(data: string): void {
  const file = join(data, 'PG_VERSION');
  if (!existsSync(file)) return;
  const major = readFileSync(file, 'utf8').trim();
  if (major === POSTGRES_MAJOR) return;
  throw new CoordinatorError(
    'STORE_SCHEMA',
    `${data} is of PostgreSQL ${major}, this version of Carapace embeds ${POSTGRES_MAJOR}: dump it with the version that wrote it, or move to a server`,
  );
}
