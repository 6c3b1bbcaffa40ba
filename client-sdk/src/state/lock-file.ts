/** One process per state directory: two would use each other's sequence numbers and updates. A killed process's lock is taken over. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClientError } from '../errors.ts';

interface Holder {
  readonly pid: number;
  /** When the process started, in clock ticks since boot: a reused pid has another. Null where there is no /proc. */
  readonly startedAt: string | null;
}

/** @returns a function that releases the lock. @throws ClientError `STATE_LOCKED` naming the process that holds it */
export function lockState(directory: string): () => void {
  const path = join(directory, 'lock');
  for (let attempt = 0; attempt < 3; attempt++) {
    if (tryCreate(path)) return () => rmSync(path, { force: true });
    const holder = readHolder(path);
    if (holder !== null && isAlive(holder)) {
      throw new ClientError(
        'STATE_LOCKED',
        `process ${holder.pid} uses ${directory}: stop it, or give this client a directory of its own`,
      );
    }
    removeStale(path);
  }
  throw new ClientError('STATE_LOCKED', `other processes keep taking ${directory}: start one client only`);
}

/** Written elsewhere and linked, so that a lock file always has its content: a half-made one would look abandoned. */
function tryCreate(path: string): boolean {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) } satisfies Holder), {
    mode: 0o600,
    flush: true,
  });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Moves a dead holder's lock aside; when another process was faster, what was moved is alive and goes back. */
function removeStale(path: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved !== null && isAlive(moved)) linkSync(aside, path);
  rmSync(aside, { force: true });
}

/** Null when the file is gone, or was torn by a crash before its content was written. */
function readHolder(path: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return typeof holder.pid === 'number' ? { pid: holder.pid, startedAt: holder.startedAt ?? null } : null;
  } catch (error) {
    if (error instanceof SyntaxError || isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) return holder.startedAt === startOf(process.pid);
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return isCode(error, 'EPERM');
  }
  const fields = statOf(holder.pid);
  if (fields === null) return true;
  // A zombie has ended, though nobody has asked about it yet; in a container without an init nobody ever does.
  if (fields[0] === 'Z' || fields[0] === 'X') return false;
  return holder.startedAt === null || fields[19] === holder.startedAt;
}

function startOf(pid: number): string | null {
  return statOf(pid)?.[19] ?? null;
}

/** /proc/<pid>/stat from field 3, the state, on; the command name before it may hold spaces and parentheses. Field 22 is the start. */
function statOf(pid: number): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ESRCH')) return null;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
