/** PGlite has no autovacuum and no automatic checkpoint: without these the log and the dead rows grow for ever. */
import type pg from 'pg';

const CHECKPOINT_MS = 5 * 60_000;
const VACUUM_MS = 10 * 60_000;

/** @returns a function that stops the timers */
export function maintain(pool: pg.Pool, onError: (error: unknown) => void): () => void {
  const run = (sql: string): void => void pool.query(sql).catch(onError);
  const timers = [setInterval(run, CHECKPOINT_MS, 'CHECKPOINT'), setInterval(run, VACUUM_MS, 'VACUUM (ANALYZE)')];
  for (const timer of timers) timer.unref();
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
