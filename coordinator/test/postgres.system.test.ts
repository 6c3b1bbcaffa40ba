/** What only a server has: several connections that collide, break and migrate at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { migrate } from '../src/adapters/store/migrate.ts';
import type { Migration } from '../src/adapters/store/migrate.ts';
import { openTestStore, POSTGRES_MISSING, startPostgres } from '../testing/index.ts';
import type { TestPostgres, TestStore } from '../testing/index.ts';
import { freshName, freshRound, NOW, STATES, taskNamed } from '../testing/store/scene.ts';

describe.skipIf(POSTGRES_MISSING !== null)(
  `PostgreSQL${POSTGRES_MISSING === null ? '' : ` — skipped: ${POSTGRES_MISSING}`}`,
  () => {
    let server: TestPostgres;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.stop());

    const withStore = async (body: (opened: TestStore, url: string) => Promise<void>): Promise<void> => {
      const url = await server.createDatabase();
      const opened = await openTestStore({ kind: 'server', url });
      try {
        await body(opened, url);
      } finally {
        await opened.close();
      }
    };

    test('two transactions that wait for each other both come through: the loser runs again', () =>
      withStore(async ({ store }) => {
        const rounds = [
          await freshRound(store, STATES.collecting),
          await freshRound(store, STATES.collecting),
        ] as const;
        const met = Promise.withResolvers<void>();
        let arrived = 0;
        let runs = 0;
        const lockBoth = (first: (typeof rounds)[number], second: (typeof rounds)[number]): Promise<void> =>
          store.transaction('both', async (records) => {
            runs += 1;
            await records.lockRound(first);
            arrived += 1;
            if (arrived === 2) met.resolve();
            await met.promise;
            await records.lockRound(second);
          });
        await Promise.all([lockBoth(rounds[0], rounds[1]), lockBoth(rounds[1], rounds[0])]);
        expect(runs).toBe(3);
      }));

    test('a connection that breaks between two statements fails its transaction and nothing else', () =>
      withStore(async ({ store, pool, failures }) => {
        const name = freshName();
        const broken = store.transaction('broken', async (records) => {
          await records.insertTask(taskNamed(name), NOW);
          await pool.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()",
          );
          // Time for the news to arrive while no statement waits: noticed by the next statement instead, it must end the same.
          await new Promise((resolve) => setTimeout(resolve, 50));
          await records.listTasks();
        });
        await expect(broken).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
        expect(await store.insertTask(taskNamed(name), NOW)).toBe(true);
        expect(failures).toEqual([]);
      }));

    test('idle connections that the server closes are replaced, and told of', () =>
      withStore(async ({ store, pool, failures }) => {
        await Promise.all(Array.from({ length: 5 }, () => store.ping(5_000)));
        const admin = new pg.Client({ connectionString: pool.options.connectionString });
        await admin.connect();
        const closed = Promise.withResolvers<void>();
        pool.once('error', () => closed.resolve());
        await admin.query(
          'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
        );
        await admin.end();
        await closed.promise;
        for (let round = 0; round < 10; round++) await store.ping(5_000).catch(() => undefined);
        expect(await store.listTasks()).toEqual([]);
        expect(failures.length).toBeGreaterThan(0);
      }));

    test('a server that is not there is named', async () => {
      const missing = openTestStore({ kind: 'server', url: 'postgresql://postgres@127.0.0.1:1/none' });
      await expect(missing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });

    describe('migrations', () => {
      const step = (number: number, name = 'step'): Migration => ({
        number,
        name: `000${number}-${name}.sql`,
        sql: `CREATE TABLE ${name}_${number} (x integer); INSERT INTO ${name}_${number} VALUES (${number})`,
      });
      const withPools = async (count: number, body: (pools: pg.Pool[]) => Promise<void>): Promise<void> => {
        const url = await server.createDatabase();
        const pools = Array.from({ length: count }, () => new pg.Pool({ connectionString: url, max: 2 }));
        try {
          await body(pools);
        } finally {
          await Promise.all(pools.map((pool) => pool.end()));
        }
      };
      const applied = async (pool: pg.Pool): Promise<number[]> =>
        (await pool.query<{ number: number }>('SELECT number FROM schema_migrations ORDER BY number')).rows.map(
          ({ number }) => number,
        );

      test('many processes that start at once on an empty database migrate it once', async () => {
        for (let run = 0; run < 3; run++) {
          await withPools(6, async (pools) => {
            await Promise.all(pools.map((pool) => migrate(pool, [step(1), step(2)])));
            expect(await applied(pools[0] as pg.Pool)).toEqual([1, 2]);
          });
        }
      });

      test('the store itself opens many times at once, and again', async () => {
        const url = await server.createDatabase();
        for (let run = 0; run < 2; run++) {
          const opened = await Promise.all(Array.from({ length: 4 }, () => openTestStore({ kind: 'server', url })));
          await Promise.all(opened.map((one) => one.close()));
        }
      });

      test('what is there is kept, what is missing is added', () =>
        withPools(1, async ([pool]) => {
          if (pool === undefined) return;
          await migrate(pool, [step(1)]);
          await migrate(pool, [step(1), step(2)]);
          await migrate(pool, [step(1), step(2)]);
          expect((await pool.query('SELECT * FROM step_1, step_2')).rowCount).toBe(1);
        }));

      test('a migration that fails leaves nothing of itself, and those before it', () =>
        withPools(1, async ([pool]) => {
          if (pool === undefined) return;
          const torn = { ...step(2), sql: 'CREATE TABLE half (x integer); SELECT 1/0' };
          await expect(migrate(pool, [step(1), torn])).rejects.toThrow('division by zero');
          expect(await applied(pool)).toEqual([1]);
          await expect(pool.query('SELECT * FROM half')).rejects.toThrow('does not exist');
          await migrate(pool, [step(1), step(2)]);
          expect(await applied(pool)).toEqual([1, 2]);
        }));

      test.each([
        ['a newer schema', [step(1), step(2), step(3)], [step(1), step(2)], /schema 3.*knows 2/],
        ['a gap', [step(1), step(3)], [step(1), step(2), step(3)], /0003-step.*0002-step/],
        ['a renamed one', [step(1), step(2, 'other')], [step(1), step(2)], /0002-other.*0002-step/],
      ])('%s is refused and not touched', (_, written, known, message) =>
        withPools(1, async ([pool]) => {
          if (pool === undefined) return;
          await migrate(pool, written);
          await expect(migrate(pool, known)).rejects.toThrow(message);
          await expect(migrate(pool, known)).rejects.toMatchObject({ code: 'STORE_SCHEMA' });
          expect(await applied(pool)).toEqual(written.map(({ number }) => number));
        }),
      );
    });
  },
);
