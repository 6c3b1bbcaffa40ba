import { afterAll, beforeAll, describe } from 'vitest';
import { describeStore, openTestStore, POSTGRES_MISSING, startPostgres } from '../testing/index.ts';
import type { TestPostgres } from '../testing/index.ts';

describeStore('store, embedded', () => openTestStore());

describe('with a server', () => {
  let server: TestPostgres | null = null;
  beforeAll(async () => {
    if (POSTGRES_MISSING === null) server = await startPostgres();
  });
  afterAll(() => server?.stop());
  const database = async (): Promise<string> => {
    if (server === null) throw new Error('the server did not start');
    return server.createDatabase();
  };

  describeStore(
    'store, PostgreSQL',
    async () => openTestStore({ kind: 'server', url: await database() }),
    POSTGRES_MISSING,
  );
});
