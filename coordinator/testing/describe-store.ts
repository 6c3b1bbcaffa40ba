/** Every operation of the port `Store`, as laws: one suite for every database that stands behind it. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { Store } from '../src/ports.ts';
import { describeClients } from './store/clients.ts';
import { describeCohort } from './store/cohort.ts';
import { describeLedger } from './store/ledger.ts';
import { describeAudit, describeModels } from './store/models.ts';
import { describeRounds, describeTasks } from './store/rounds.ts';
import { describeNoise } from './store/noise.ts';
import { describeSecagg } from './store/secagg.ts';
import { describeTransactions } from './store/transactions.ts';
import { describeUpdates } from './store/updates.ts';
import type { TestStore } from './test-store.ts';

/** @param missing why this store cannot be tested here: announced in place of the suite */
export function describeStore(name: string, open: () => Promise<TestStore>, missing: string | null = null): void {
  describe.skipIf(missing !== null)(missing === null ? name : `${name} — skipped: ${missing}`, () => {
    let opened: TestStore | null = null;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened?.close());
    const store = (): Store => {
      if (opened === null) throw new Error('the store did not open');
      return opened.store;
    };
    const parts = [describeTasks, describeRounds, describeCohort, describeUpdates, describeClients, describeModels];
    for (const part of [...parts, describeSecagg, describeNoise, describeLedger, describeAudit, describeTransactions])
      part(store);
  });
}
