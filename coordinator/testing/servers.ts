/** A throwaway PostgreSQL and a throwaway Redis, reached on this machine only. */
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { findProgram, postgresFolders, run, supervise, unprivileged } from './supervised.ts';

const INITDB = findProgram('initdb', postgresFolders());
const POSTGRES = findProgram('postgres', postgresFolders());
const REDIS = findProgram('redis-server', ['/usr/local/bin', '/usr/bin']) ?? findProgram('valkey-server');

/** Why there can be no server here, or null: what a skipped suite says. */
export const POSTGRES_MISSING: string | null =
  INITDB === null || POSTGRES === null ? 'no initdb and postgres on this machine: apt-get install postgresql' : null;
export const REDIS_MISSING: string | null =
  REDIS === null ? 'no redis-server on this machine: apt-get install redis-server' : null;

export interface TestPostgres {
  /** An empty database of its own. @returns its URL */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

export interface TestRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** Listens on a socket in its own directory, opens no port, syncs nothing. @throws when {@link POSTGRES_MISSING} */
export async function startPostgres(): Promise<TestPostgres> {
  if (INITDB === null || POSTGRES === null) throw new Error(String(POSTGRES_MISSING));
  const identity = unprivileged();
  const directory = mkdtempSync(join(tmpdir(), 'cpt-pg-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    if (identity.uid !== undefined) chownSync(directory, identity.uid, identity.gid ?? identity.uid);
    const data = join(directory, 'data');
    await run(INITDB, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], identity);
    const settings = ['listen_addresses=', `unix_socket_directories=${directory}`, 'fsync=off', 'max_connections=200'];
    const server = await supervise([POSTGRES, '-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
      identity,
      ready: /ready to accept connections/,
      signal: 'SIGQUIT',
    });
    const urlOf = (database: string): string =>
      `postgresql://postgres@localhost/${database}?host=${encodeURIComponent(directory)}`;
    let databases = 0;
    return {
      createDatabase: async () => {
        const name = `test_${++databases}`;
        const client = new pg.Client({ connectionString: urlOf('postgres') });
        await client.connect();
        try {
          await client.query(`CREATE DATABASE ${name}`);
        } finally {
          await client.end();
        }
        return urlOf(name);
      },
      stop: () => server.stop().finally(remove),
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** On a free port of the loopback, in memory only. @throws when {@link REDIS_MISSING} */
export async function startRedis(): Promise<TestRedis> {
  if (REDIS === null) throw new Error(String(REDIS_MISSING));
  const directory = mkdtempSync(join(tmpdir(), 'cpt-redis-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    // Between finding the port and taking it somebody else may: then redis says so and ends, and the test fails by name.
    const port = await freePort();
    const options = {
      '--bind': '127.0.0.1',
      '--port': String(port),
      '--save': '',
      '--appendonly': 'no',
      '--dir': directory,
    };
    const server = await supervise([REDIS, ...Object.entries(options).flat()], {
      ready: /[Rr]eady to accept connections/,
      signal: 'SIGKILL',
    });
    return { url: `redis://127.0.0.1:${port}`, stop: () => server.stop().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
