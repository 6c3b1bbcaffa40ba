/** Server programs for tests: found on this machine, run in the foreground, and ended with the process that started them however that ends. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

export interface Supervised {
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_MS = 15_000;

/** Ends the server when its standard input does: also after `kill -9` of the tests. */
const SUPERVISOR = `
  const [identity, signal, command, ...args] = process.argv.slice(1);
  const server = require('node:child_process').spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...JSON.parse(identity) });
  server.on('error', (error) => { console.error(String(error)); process.exit(127); });
  server.on('exit', (code) => process.exit(code ?? 0));
  process.stdin.on('close', () => server.kill(signal)).resume();
`;

/** @returns the path of the program, or null */
export function findProgram(name: string, folders: readonly string[] = []): string | null {
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return [...folders, ...path].map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/** `/usr/lib/postgresql/<major>/bin`, the newest first: Debian leaves them off the path. */
export function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql';
  const majors = (() => {
    try {
      return readdirSync(root);
    } catch {
      return [];
    }
  })();
  return ['/usr/local/bin', ...majors.sort((a, b) => Number(b) - Number(a)).map((major) => join(root, major, 'bin'))];
}

/** PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`. */
export function unprivileged(): Identity {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) throw new Error('no unprivileged user on this machine');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Starts a server; resolves when its output has `ready`. @throws with its output when it ends before, or is late */
export async function supervise(
  command: readonly string[],
  options: { readonly identity?: Identity; readonly ready: RegExp; readonly signal: NodeJS.Signals },
): Promise<Supervised> {
  const { identity = {}, ready, signal } = options;
  const child = spawn(process.execPath, ['-e', SUPERVISOR, JSON.stringify(identity), signal, ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: '' },
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.stdin?.end();
    await withDeadline(ended, STOP_MS, `${command[0]} did not stop`);
  };
  try {
    await withDeadline(untilOutput(child, ready), READY_MS, `${command[0]} did not start`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

export async function run(command: string, args: readonly string[], identity: Identity): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    ...identity,
  });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => output.push(data));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const code = await withDeadline(promise, READY_MS, `${command} did not end`);
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${Buffer.concat(output).toString()}`);
}

export async function withDeadline<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} within ${deadlineMs} ms`)), deadlineMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function untilOutput(child: ChildProcess, ready: RegExp): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let output = '';
  const look = (data: Buffer): void => {
    output += data.toString();
    if (ready.test(output)) resolve();
  };
  child.stdout?.on('data', look);
  child.stderr?.on('data', look);
  child.once('close', (code) => reject(new Error(`it ended with ${code}: ${output}`)));
  return promise;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(realpathSync(path), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
