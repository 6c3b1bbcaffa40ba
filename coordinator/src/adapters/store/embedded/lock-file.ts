/**
 * One process per data directory. PGlite takes no lock of its own: of two processes on one directory, both would get
 * acknowledgements and one would lose everything. The lock is the operating system's, on a file that SQLite (a part of Node)
 * holds open: it ends with the process however that ends, so there is no stale lock to judge, nor a race to remove it.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CoordinatorError } from '../../../errors.ts';

const SQLITE_BUSY = 5;

/** @returns a function that releases the lock. @throws CoordinatorError `STORE_LOCKED` naming the process that holds it */
export function lockDirectory(directory: string, path: string): () => void {
  const holder = `${path}.pid`;
  const lock = new DatabaseSync(path);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw error;
    throw new CoordinatorError(
      'STORE_LOCKED',
      `${nameOf(holder)} has ${directory} open: stop it, or use another data directory`,
    );
  }
  // Only for the message above: nothing depends on it.
  writeFileSync(holder, String(process.pid), { mode: 0o600 });
  return () => {
    rmSync(holder, { force: true });
    lock.close();
  };
}

function nameOf(holder: string): string {
  try {
    return `process ${readFileSync(holder, 'utf8')}`;
  } catch {
    return 'another process';
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
