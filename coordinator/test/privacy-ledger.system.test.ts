/** kill -9 at 200 random moments of a process that charges rounds: what it let out was charged, and a restored database is refused. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseBudgetId, parseRoundId } from '@carapace/aggregation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileMark } from '../src/adapters/ledger-mark.ts';
import { PrivacyLedger, replay } from '../src/app/privacy/ledger.ts';
import { spentOf } from '../src/domain/budget.ts';
import { openTestStore, POSTGRES_MISSING, startPostgres } from '../testing/index.ts';
import type { TestPostgres } from '../testing/index.ts';
import type { TestStore } from '../testing/test-store.ts';

const KILLS = 200;
const WRITER = fileURLToPath(new URL('./processes/ledger-writer.ts', import.meta.url));
const BUDGET = parseBudgetId('kills');
const TERMS = {
  epsilon: 9_000,
  delta: 1e-6,
  relation: 'zero-out',
  view: 'model',
  mode: 'planned',
  windowDays: null,
} as const;

describe.skipIf(POSTGRES_MISSING !== null)(
  `the privacy ledger on PostgreSQL${POSTGRES_MISSING === null ? '' : ` — skipped: ${POSTGRES_MISSING}`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'cpt-ledger-'));
    const journal = join(directory, 'journal');
    let server: TestPostgres;
    let url = '';
    let opened: TestStore;
    beforeAll(async () => {
      server = await startPostgres();
      url = await server.createDatabase();
      opened = await openTestStore({ kind: 'server', url });
    });
    afterAll(async () => {
      await opened.close();
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    });
    const ledgerNow = (): PrivacyLedger => new PrivacyLedger({ store: opened.store, mark: fileMark(directory) });

    test(`${KILLS} kills: every round that was let out is charged`, { timeout: 600_000 }, async () => {
      await opened.store.transaction('terms', async (records) => {
        const ledger = ledgerNow();
        await ledger.lock(records);
        await ledger.append(records, { kind: 'terms', budget: BUDGET, terms: TERMS }, 0, 'test');
      });
      for (let kill = 0; kill < KILLS; kill++) {
        const child = spawn(process.execPath, [WRITER, url, directory, journal], { stdio: ['ignore', 'pipe', 'pipe'] });
        let complaint = '';
        child.stderr.on('data', (piece: Buffer) => (complaint += piece.toString()));
        const ended = once(child, 'exit');
        await Promise.race([once(child.stdout, 'data'), ended]);
        expect(complaint, `run ${kill}`).toBe('');
        await sleep(Math.random() * 150);
        child.kill('SIGKILL');
        await ended;
      }
      const letOut = readFileSync(journal, 'utf8').split('\n').filter(Boolean);
      await opened.store.transaction('settle', async (records) => void (await ledgerNow().lock(records)));
      const rows = await opened.store.listLedger(0, 1_000_000);
      const { ledger } = replay(rows);
      for (const round of letOut) expect(ledger.rounds.get(parseRoundId(round).id)?.participants).toEqual([]);
      const spent = spentOf(ledger, BUDGET, Date.now())!;
      expect(letOut.length).toBeGreaterThan(KILLS / 2);
      expect(spent.rounds).toBeGreaterThanOrEqual(letOut.length);
      // A reservation in flight, a commit that was durable and not yet told, one entry that was lost: no more for each kill.
      expect(spent.rounds).toBeLessThanOrEqual(letOut.length + 2 * KILLS);
      expect(existsSync(join(directory, 'privacy-ledger-mark.json'))).toBe(true);
      console.log(
        `${KILLS} kills: ${letOut.length} rounds let out, ${spent.rounds} charged, ${ledger.lost.length} entries lost`,
      );
    });

    test('a database that was restored from a backup charges nothing more', async () => {
      const before = await opened.store.ledgerHead();
      const append = () =>
        opened.store.transaction('append', async (records) => {
          const ledger = ledgerNow();
          await ledger.lock(records);
          await ledger.append(records, { kind: 'terms', budget: BUDGET, terms: TERMS }, 0, 'test');
        });
      await append();
      await append();
      await opened.pool.query('DELETE FROM privacy_ledger WHERE sequence > $1', [before!.sequence]);
      await expect(append()).rejects.toMatchObject({ code: 'LEDGER_STALE' });
      await opened.store.transaction('accept', async (records) => void (await ledgerNow().accept(records)));
      await append();
    });
  },
);
