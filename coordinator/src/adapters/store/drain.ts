import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

const DRAIN_MS = 5_000;

/** A client that is never given back must not keep the process from ending: a queue worker's, say, whose server went away. */
export async function drain(pool: pg.Pool): Promise<void> {
  await Promise.race([pool.end(), sleep(DRAIN_MS, undefined, { ref: false })]);
}
