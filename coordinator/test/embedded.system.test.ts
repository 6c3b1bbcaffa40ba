/** What only the embedded database has: one process per directory, one session for many clients, a disk of its own. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openEmbedded } from '../src/adapters/store/embedded/open-embedded.ts';
import type { OpenedPool } from '../src/adapters/store/embedded/open-embedded.ts';
import { migrate } from '../src/adapters/store/migrate.ts';
import { openStore } from '../src/adapters/store/open-store.ts';
import { embeddedDirectory, openTestStore } from '../testing/index.ts';
import type { TestStore } from '../testing/index.ts';
import { talk } from '../testing/lines.ts';
import { freshName, NOW, taskNamed } from '../testing/store/scene.ts';
import { withDeadline } from '../testing/supervised.ts';

const script = (name: string): URL => new URL(`./processes/${name}.ts`, import.meta.url);
const directories: string[] = [];
const records = async (): Promise<string> => {
  const directory = await embeddedDirectory();
  directories.push(directory);
  return directory;
};
const scratch = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'cpt-scratch-'));
  directories.push(directory);
  return directory;
};
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe('one process per directory', () => {
  test('a second process is refused by the name of the first, and takes over after its kill -9', async () => {
    const directory = await records();
    const first = talk(script('embedded-writer'), [directory, join(scratch(), 'journal')]);
    try {
      await first.until(/^acknowledged/);
      const second = openStore({ kind: 'embedded', directory }, () => undefined);
      await expect(second).rejects.toMatchObject({
        code: 'STORE_LOCKED',
        message: expect.stringContaining(String(first.process.pid)),
      });
      await first.until(/^acknowledged/, 5);
    } finally {
      await first.kill();
    }
    const { store } = await openStore({ kind: 'embedded', directory }, () => undefined);
    expect((await store.listTasks()).length).toBeGreaterThanOrEqual(5);
    const again = openStore({ kind: 'embedded', directory }, () => undefined);
    await expect(again).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await store.close();
    await (await openStore({ kind: 'embedded', directory }, () => undefined)).store.close();
  });

  test('a killed process that nobody has reaped holds no lock', async () => {
    const directory = scratch();
    // The shell becomes a program that never asks about its child: the child stays a zombie.
    const parent = talk(new URL('./processes/zombie.ts', import.meta.url), [directory]);
    try {
      await parent.until(/^zombie/);
      const contender = talk(script('lock-contender'), [directory, '1']);
      rmSync(join(directory, 'alone'), { force: true });
      expect(await contender.ended).toBe(0);
    } finally {
      await parent.kill();
    }
  });

  test('of many who find the lock of a dead process, one at a time gets it', async () => {
    for (let round = 0; round < 3; round++) {
      const directory = scratch();
      const dead = talk(script('lock-contender'), [directory, '1', 'crash']);
      await dead.ended;
      expect(existsSync(join(directory, 'lock'))).toBe(true);
      rmSync(join(directory, 'alone'));
      const contenders = Array.from({ length: 4 }, () => talk(script('lock-contender'), [directory, '50']));
      const codes = await Promise.all(contenders.map(({ ended }) => ended));
      expect(codes, contenders.flatMap(({ lines }) => lines).join('\n')).toEqual([0, 0, 0, 0]);
    }
  });

  test('a directory of another PostgreSQL is refused, and let go', async () => {
    const directory = await records();
    writeFileSync(join(directory, 'data', 'PG_VERSION'), '15\n');
    for (let attempt = 0; attempt < 2; attempt++) {
      const opening = openStore({ kind: 'embedded', directory }, () => undefined);
      await expect(opening).rejects.toMatchObject({ code: 'STORE_SCHEMA', message: expect.stringContaining('15') });
    }
  });
});

describe('durability', () => {
  test('ten kills in mid-write lose no acknowledged commit and tear none', async () => {
    const directory = await records();
    const journal = join(scratch(), 'journal');
    const acknowledgements = Array.from({ length: 10 }, () => 1 + Math.floor(Math.random() * 60));
    for (const count of [...acknowledgements, 0]) {
      const writer = talk(script('embedded-writer'), [directory, journal]);
      try {
        await writer.until(count === 0 ? /^open/ : /^acknowledged/, Math.max(1, count));
      } finally {
        await writer.kill();
      }
      expect(
        writer.lines.filter((line) => /^(missing|torn|stderr)/.test(line)),
        `killed after ${acknowledgements.join()}`,
      ).toEqual([]);
    }
  });

  test('a disk that no longer syncs ends the store: it acknowledges nothing more, and lost nothing', async () => {
    const directory = await records();
    const journal = join(scratch(), 'journal');
    const broken = join(scratch(), 'broken');
    const writer = talk(script('embedded-writer'), [directory, journal], {
      node: ['--import', script('failing-sync').href],
      env: { FAIL_SYNC: broken },
    });
    try {
      await writer.until(/^acknowledged/, 10);
      writeFileSync(broken, '');
      expect(await withDeadline(writer.ended, 60_000, 'the store did not end')).toBe(3);
    } finally {
      await writer.kill();
    }
    const after = talk(script('embedded-writer'), [directory, journal]);
    await after.until(/^acknowledged/);
    await after.kill();
    expect(after.lines.filter((line) => /^(missing|torn|stderr)/.test(line))).toEqual([]);
  });
});

describe('one session, many clients', () => {
  let directory: string;
  let opened: OpenedPool;
  let pool: pg.Pool;
  const failures: unknown[] = [];
  beforeAll(async () => {
    directory = await embeddedDirectory();
    const fail = (error: unknown): void => void failures.push(error);
    opened = await openEmbedded(directory, { onLost: fail, onError: fail });
    ({ pool } = opened);
    pool.on('error', () => undefined);
    await pool.query('CREATE TABLE counter (name text PRIMARY KEY, value integer)');
  });
  afterAll(async () => {
    await opened.close();
    rmSync(directory, { recursive: true, force: true });
    expect(failures).toEqual([]);
  });

  const counter = async (value = 0): Promise<string> => {
    const name = freshName();
    await pool.query('INSERT INTO counter VALUES ($1, $2)', [name, value]);
    return name;
  };
  const read = async (name: string): Promise<number | undefined> =>
    (await pool.query<{ value: number }>('SELECT value FROM counter WHERE name = $1', [name])).rows[0]?.value;
  const connect = async (): Promise<pg.PoolClient> => {
    const client = await pool.connect();
    client.on('error', () => undefined);
    return client;
  };
  /** The client's connection is gone from one moment to the next. */
  const die = (client: pg.PoolClient): void => {
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    client.release(true);
  };

  test('read, wait, write: twenty transactions lose no update', async () => {
    const name = await counter();
    const increment = async (): Promise<void> => {
      const client = await connect();
      await client.query('BEGIN');
      const { rows } = await client.query<{ value: number }>('SELECT value FROM counter WHERE name = $1', [name]);
      await new Promise(setImmediate);
      await client.query('UPDATE counter SET value = $2 WHERE name = $1', [name, (rows[0]?.value ?? 0) + 1]);
      await client.query('COMMIT');
      client.release();
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(await read(name)).toBe(20);
  });

  test('a client that dies in mid-transaction is rolled back, and the next goes on', async () => {
    const name = await counter(1);
    const client = await connect();
    await client.query('BEGIN');
    await client.query('UPDATE counter SET value = 99 WHERE name = $1', [name]);
    const next = read(name);
    die(client);
    expect(await next).toBe(1);
  });

  test('a client that dies while its statement runs in a transaction is rolled back', async () => {
    const name = await counter(1);
    const client = await connect();
    await client.query('BEGIN');
    client.query('UPDATE counter SET value = 99 FROM pg_sleep(0.1) WHERE name = $1', [name]).catch(() => undefined);
    await new Promise(setImmediate);
    const next = read(name);
    die(client);
    expect(await next).toBe(1);
    expect(await read(name)).toBe(1);
  });

  test('a client that dies while it waits for its turn leaves nothing', async () => {
    const name = await counter(1);
    const [owner, waiting] = [await connect(), await connect()];
    await owner.query('BEGIN');
    waiting.query('UPDATE counter SET value = 99 WHERE name = $1', [name]).catch(() => undefined);
    await new Promise(setImmediate);
    die(waiting);
    await owner.query('COMMIT');
    owner.release();
    expect(await read(name)).toBe(1);
  });

  test('a transaction that failed keeps nobody waiting once it is rolled back', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await expect(client.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    client.release();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test.each(['SELECT 1/0', 'SELEC', 'SELECT * FROM nowhere', "SELECT 'x'::integer"])(
    'after the error of `%s`, with and without parameters, the session goes on',
    async (sql) => {
      await expect(pool.query(sql)).rejects.toThrow(pg.DatabaseError);
      await expect(pool.query(`${sql} -- $1`, [])).rejects.toThrow(pg.DatabaseError);
      await expect(pool.query('SELECT $1::integer', ['no number'])).rejects.toMatchObject({ code: '22P02' });
      expect((await pool.query('SELECT $1::integer AS n', [7])).rows).toEqual([{ n: 7 }]);
    },
  );

  test('notifications arrive at every listener on commit, and none of a rolled back transaction', async () => {
    const listeners = [await connect(), await connect()];
    const heard = listeners.map(() => [] as (string | undefined)[]);
    for (const [index, listener] of listeners.entries()) {
      listener.on('notification', ({ payload }) => heard[index]?.push(payload));
      await listener.query('LISTEN news');
    }
    const writer = await connect();
    await writer.query('BEGIN');
    await writer.query("SELECT pg_notify('news', 'rolled back')");
    await writer.query('ROLLBACK');
    await writer.query('BEGIN');
    for (const index of [1, 2, 3]) await writer.query("SELECT pg_notify('news', $1)", [`news ${index}`]);
    expect(heard).toEqual([[], []]);
    await writer.query('COMMIT');
    for (const client of [...listeners, writer]) await client.query('SELECT 1');
    expect(heard).toEqual(Array(2).fill(['news 1', 'news 2', 'news 3']));
    for (const client of [...listeners, writer]) client.release();
  });

  test('large parameters and large results of several clients do not mix', async () => {
    const texts = Array.from({ length: 4 }, (_, index) => String(index).repeat(2_000_000 + index));
    const results = await Promise.all(
      texts.map((text) => pool.query<{ text: string }>('SELECT $1::text AS text', [text])),
    );
    expect(
      results.map(({ rows }) => rows[0]?.text === texts[results.findIndex((result) => result.rows === rows)]),
    ).toEqual(Array(4).fill(true));
    const many = await pool.query('SELECT generate_series(1, 50000) AS n');
    expect(many.rows).toHaveLength(50_000);
  });
});

describe('the deadlines of the session', () => {
  let directory: string;
  let opened: OpenedPool;
  let pool: pg.Pool;
  const failures: unknown[] = [];
  beforeAll(async () => {
    directory = await embeddedDirectory();
    const fail = (error: unknown): void => void failures.push(error);
    opened = await openEmbedded(
      directory,
      { onLost: fail, onError: fail },
      { turnMs: 400, idleMs: 1_500, statementMs: 3_000 },
    );
    ({ pool } = opened);
    pool.on('error', () => undefined);
    await pool.query('CREATE TABLE counter (name text PRIMARY KEY, value integer)');
  });
  afterAll(async () => {
    await opened.close();
    rmSync(directory, { recursive: true, force: true });
    expect(failures).toEqual([]);
  });

  const counter = async (value = 0): Promise<string> => {
    const name = freshName();
    await pool.query('INSERT INTO counter VALUES ($1, $2)', [name, value]);
    return name;
  };
  const read = async (name: string): Promise<number | undefined> =>
    (await pool.query<{ value: number }>('SELECT value FROM counter WHERE name = $1', [name])).rows[0]?.value;
  const connect = async (): Promise<pg.PoolClient> => {
    const client = await pool.connect();
    client.on('error', () => undefined);
    return client;
  };
  test('who waits longer than the limit for a turn is told so, and asks again', async () => {
    const owner = await connect();
    await owner.query('BEGIN');
    const [late] = await Promise.allSettled([pool.query('SELECT 1')]);
    expect(late).toMatchObject({ reason: { code: '55P03', message: expect.stringContaining('400 ms') } });
    await owner.query('COMMIT');
    owner.release();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('a transaction that its client forgot is rolled back and its client closed', async () => {
    const name = await counter(1);
    const forgetful = await connect();
    const closed = new Promise<Error>((resolve) => forgetful.once('error', resolve));
    await forgetful.query('BEGIN');
    await forgetful.query('UPDATE counter SET value = 99 WHERE name = $1', [name]);
    expect((await withDeadline(closed, 10_000, 'the client was not closed')).message).toMatch(/idle-in-transaction/);
    forgetful.release(true);
    expect(await read(name)).toBe(1);
  });

  test('a statement that takes longer than the limit is given up; the session goes on when it has ended', async () => {
    await expect(pool.query('SELECT pg_sleep(4)')).rejects.toThrow('Query read timeout');
    const goesOn = async (): Promise<unknown> => pool.query('SELECT 1').catch(goesOn);
    await withDeadline(goesOn(), 30_000, 'the session did not go on');
  });
});

describe('closing', () => {
  let open: TestStore | null = null;
  afterEach(() => open?.close().catch(() => undefined));

  test('while queries run: each is answered or refused, and what was answered is there afterwards', async () => {
    const location = { kind: 'embedded' as const, directory: await records() };
    open = await openTestStore(location);
    const names = Array.from({ length: 60 }, freshName);
    const { store } = open;
    const writes = names.map((name) => store.transaction('write', (inside) => inside.insertTask(taskNamed(name), NOW)));
    const settled = Promise.allSettled(writes);
    await writes[0];
    await withDeadline(open.close(), 30_000, 'the store did not close');
    const outcomes = await withDeadline(settled, 30_000, 'a query was never answered');
    open = await openTestStore(location);
    const known = new Set((await open.store.listTasks()).map(({ task }) => task.name as string));
    const lost = names.filter((name, index) => outcomes[index]?.status === 'fulfilled' && !known.has(name));
    expect(lost).toEqual([]);
    expect(outcomes[0]?.status).toBe('fulfilled');
  });

  test('after it every operation is refused', async () => {
    open = await openTestStore();
    await open.close();
    await expect(open.store.listTasks()).rejects.toThrow();
    await expect(open.store.transaction('late', (inside) => inside.listTasks())).rejects.toThrow();
    open = null;
  });

  test('a client that was never given back does not hold it up', async () => {
    const location = { kind: 'embedded' as const, directory: await records() };
    open = await openTestStore(location);
    const kept = await open.pool.connect();
    kept.on('error', () => undefined);
    await kept.query('BEGIN');
    await kept.query("INSERT INTO models (name, updated_at) VALUES ('half', 1)");
    await withDeadline(open.close(), 30_000, 'the store did not close');
    open = await openTestStore(location);
    expect(await open.store.listModels()).toEqual([]);
  });

  test('asking the pool within a transaction ends in a named refusal, not in waiting for ever', async () => {
    open = await openTestStore();
    const { store } = open;
    const waiting = store.transaction('waits for itself', async (inside) => {
      await inside.listTasks();
      await store.listTasks();
    });
    await expect(withDeadline(waiting, 60_000, 'it waits for ever')).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await sleep(0);
    expect(await store.listTasks()).toEqual([]);
  });
});

describe('records of an earlier version', () => {
  const folder = new URL('../src/adapters/store/migrations/', import.meta.url);
  const shipped = readdirSync(folder)
    .sort()
    .map((name) => ({ number: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, folder), 'utf8') }));

  test('0003: the plans of running rounds say who uncovers the sum; rounds that ended are left as they are', async () => {
    const { pool, close } = await openEmbedded(await records(), { onLost: () => undefined, onError: () => undefined });
    try {
      await migrate(pool, shipped.slice(0, 2));
      const states: readonly object[] = [
        { kind: 'collecting', plan: { target: 4, stepMs: 3_000 }, selected: 4 },
        { kind: 'collecting', plan: { target: 4, stepMs: null }, selected: 4 },
        { kind: 'completed', reported: 4 },
      ];
      for (const [i, state] of states.entries()) {
        await pool.query(
          `INSERT INTO tasks (id, document, status, created_at, updated_at) VALUES ($1, '{}', 'active', 1, 1)`,
          [`t${i}`],
        );
        await pool.query(
          `INSERT INTO rounds (id, task, number, base_version, kind, state, created_at, updated_at)
           VALUES ($1, $2, 1, 1, $3, $4, 1, 1)`,
          [`t${i}.1`, `t${i}`, (state as { kind: string }).kind, JSON.stringify(state)],
        );
      }
      await migrate(pool, shipped.slice(0, 3));
      const { rows } = await pool.query<{ state: unknown }>('SELECT state FROM rounds ORDER BY id');
      expect(rows.map(({ state }) => state)).toEqual([
        { kind: 'collecting', plan: { target: 4, protocol: { by: 'cohort', stepMs: 3_000 } }, selected: 4 },
        { kind: 'collecting', plan: { target: 4, protocol: null }, selected: 4 },
        { kind: 'completed', reported: 4 },
      ]);
    } finally {
      await close();
    }
  });
});
