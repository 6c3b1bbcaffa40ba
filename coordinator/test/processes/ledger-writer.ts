/**
 * Reserves and commits rounds in the ledger of the database argv[2] with its mark in argv[3], until it is killed. Journals `opened <round>` to
 * argv[4] once a commit is durable: what stands there was let out, and must have been charged.
 */
import { openSync, writeSync } from 'node:fs';
import { parseBudgetId, parseRoundId } from '@carapace/aggregation';
import { fileMark } from '../../src/adapters/ledger-mark.ts';
import { openStore } from '../../src/adapters/store/open-store.ts';
import { PrivacyLedger } from '../../src/app/privacy/ledger.ts';
import { judgeReservation } from '../../src/domain/budget.ts';
import type { LedgerEntry, RoundCharge } from '../../src/domain/budget.ts';

const [, , url = '', directory = '', journal = ''] = process.argv;
const fail = (error: unknown): void => {
  writeSync(2, `${String(error)}\n`);
  process.exit(3);
};
const { store } = await openStore({ kind: 'server', url }, fail, fail);
const ledger = new PrivacyLedger({ store, mark: fileMark(directory) });
const budget = parseBudgetId('kills');
const charge: RoundCharge = {
  budgets: [budget],
  event: { kind: 'gaussian', noiseMultiplier: 50 },
  totalVariation: 0,
};
const append = (entry: LedgerEntry): Promise<void> =>
  store.transaction('append', async (records) => {
    await ledger.lock(records);
    await ledger.append(records, entry, Date.now(), 'system');
  });

const file = openSync(journal, 'a');
for (let count = 0; ; count++) {
  const round = parseRoundId(`p${process.pid}-${count}.1`).id;
  await store.transaction('reserve', async (records) => {
    const verdict = judgeReservation(await ledger.lock(records), round, charge, Date.now());
    if (verdict.kind === 'refused') throw new Error(JSON.stringify(verdict));
    await ledger.append(records, { kind: 'reserve', round, ...charge }, Date.now(), 'system');
  });
  if (count === 0) writeSync(1, 'writing\n');
  if (count % 3 === 2) {
    await append({ kind: 'release', round, reason: 'quorum-not-met' });
    continue;
  }
  await append({ kind: 'commit', round, participants: [] });
  writeSync(file, `${round}\n`);
}
