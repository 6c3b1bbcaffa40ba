/**
 * A ledger that dies at every point of its writes, played out in memory: 10,000 crashes around reserve, commit and release, and restored
 * backups. What was ever let out is never charged less than it cost.
 */
import { parseBudgetId, parseRoundId, parseTaskId, PrivacyAccount } from '@carapace/aggregation';
import type { ClientId, RoundId } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PrivacyLedger, replay } from '../src/app/privacy/ledger.ts';
import { spentOf } from '../src/domain/budget.ts';
import type { BudgetTerms, LedgerEntry, RoundCharge } from '../src/domain/budget.ts';
import type { LedgerMark, LedgerRecord, Mark, Records, Store } from '../src/ports.ts';

const BUDGET = parseBudgetId('keyboard');
const TERMS: BudgetTerms = {
  epsilon: 9_000,
  delta: 1e-6,
  relation: 'zero-out',
  view: 'model',
  mode: 'planned',
  windowDays: null,
};
const CHARGE: RoundCharge = { budgets: [BUDGET], event: { kind: 'gaussian', noiseMultiplier: 3 }, totalVariation: 0 };
const NOBODY: readonly ClientId[] = [];
const BROKEN = expect.objectContaining({ code: 'LEDGER_BROKEN' }) as Error;
const CRASH = new Error('the power is cut');

/** Where a crash falls in one change of the ledger. */
const POINTS = ['never', 'before the mark', 'after the mark', 'after the insert', 'after the commit'] as const;
type Point = (typeof POINTS)[number];

/** The rows of one table with transactions, and a file beside it: what survives a crash. */
class Disk {
  rows: LedgerRecord[] = [];
  mark: Mark | null = null;

  /** One run of a process, until it dies at the point. */
  async change(point: Point, ledger: PrivacyLedger, body: (records: Records) => Promise<void>): Promise<boolean> {
    const working = [...this.rows];
    const records = recordsOn(working);
    this.#crashAt = point;
    try {
      await body(records);
      if (point === 'after the insert') throw CRASH;
      this.rows = working;
      if (point === 'after the commit') throw CRASH;
      return true;
    } catch (error) {
      if (error !== CRASH) throw error;
      return false;
    } finally {
      this.#crashAt = 'never';
      void ledger;
    }
  }

  #crashAt: Point = 'never';

  get port(): LedgerMark {
    return {
      read: async () => this.mark,
      write: async (mark) => {
        if (this.#crashAt === 'before the mark') throw CRASH;
        this.mark = mark;
        if (this.#crashAt === 'after the mark') throw CRASH;
      },
    };
  }

  /** As a process that has just started sees it. */
  open(): PrivacyLedger {
    return new PrivacyLedger({ store: recordsOn(this.rows) as Store, mark: this.port });
  }
}

function recordsOn(rows: LedgerRecord[]): Records {
  const head = async () => {
    const last = rows.at(-1);
    return last === undefined ? null : { sequence: last.sequence, hash: last.hash };
  };
  const used: Partial<Records> = {
    lockLedger: head,
    ledgerHead: head,
    insertLedger: async (record) => void rows.push(record),
    listLedger: async (after, limit) => rows.filter(({ sequence }) => sequence > after).slice(0, limit),
  };
  return used as Records;
}

const write = (ledger: PrivacyLedger, entry: LedgerEntry) => async (records: Records) => {
  await ledger.lock(records);
  await ledger.append(records, entry, 0, 'system');
};

const roundsCharged = (disk: Disk): number => spentOf(replay(disk.rows).ledger, BUDGET, 1)!.rounds;

interface Life {
  readonly end: 'commit' | 'release';
  readonly reserve: Point;
  readonly settle: Point;
}

/** Rounds one after the other, as a supervisor restarts the process after each crash; a round that was not reserved never ran. */
async function live(disk: Disk, lives: readonly Life[]): Promise<{ released: number; crashes: number }> {
  await disk.change('never', disk.open(), write(disk.open(), { kind: 'terms', budget: BUDGET, terms: TERMS }));
  let [released, crashes, number] = [0, 0, 0];
  for (const life of lives) {
    // A number whose reservation was rolled back is used again: the round of that name does not exist.
    const round: RoundId = parseRoundId(`t.${number + 1}`).id;
    const reserved = await attempt(disk, life.reserve, { kind: 'reserve', round, ...CHARGE });
    if (life.reserve !== 'never') crashes++;
    const there = reserved || life.reserve === 'after the commit';
    if (!there) continue;
    number++;
    const entry: LedgerEntry =
      life.end === 'commit'
        ? { kind: 'commit', round, participants: NOBODY }
        : { kind: 'release', round, reason: 'quorum-not-met' };
    const settled = await attempt(disk, life.settle, entry);
    if (life.settle !== 'never') crashes++;
    // What a crash kept from being settled is settled when the round is stepped again.
    if (!settled && life.settle !== 'after the commit') await attempt(disk, 'never', entry);
    if (life.end === 'commit') released++;
  }
  return { released, crashes };
}

function attempt(disk: Disk, point: Point, entry: LedgerEntry): Promise<boolean> {
  const ledger = disk.open();
  return disk.change(point, ledger, write(ledger, entry));
}

const lives = fc.array(
  fc.record({
    end: fc.constantFrom('commit' as const, 'commit' as const, 'release' as const),
    reserve: fc.constantFrom(...POINTS),
    settle: fc.constantFrom(...POINTS),
  }),
  { minLength: 1, maxLength: 12 },
);

test('10,000 crashes: what was released is charged, and over-counted by no more than one for each crash', async () => {
  let crashed = 0;
  await fc.assert(
    fc.asyncProperty(lives, async (script) => {
      const disk = new Disk();
      const { released, crashes } = await live(disk, script);
      crashed += crashes;
      // One more change settles what the last crash left.
      await attempt(disk, 'never', { kind: 'terms', budget: BUDGET, terms: TERMS });
      const charged = roundsCharged(disk);
      expect(charged).toBeGreaterThanOrEqual(released);
      expect(charged).toBeLessThanOrEqual(released + crashes);
      // The chain holds, and the mark is its last entry.
      expect(disk.mark?.added.at(-1)?.hash).toBe(disk.rows.at(-1)?.hash);
    }),
    { numRuns: 1_800 },
  );
  expect(crashed).toBeGreaterThan(10_000);
});

describe('a backup that was restored', () => {
  async function spent(rounds: number): Promise<Disk> {
    const disk = new Disk();
    await live(
      disk,
      Array.from({ length: rounds }, () => ({
        end: 'commit' as const,
        reserve: 'never' as const,
        settle: 'never' as const,
      })),
    );
    return disk;
  }

  test('is found out, whatever it has forgotten, and nothing more is charged or opened', async () => {
    for (let kept = 0; kept < 6; kept++) {
      const disk = await spent(3);
      // Terms, then a reservation and a commit of each round.
      disk.rows = disk.rows.slice(0, kept);
      const ledger = disk.open();
      await expect(
        disk.change('never', ledger, write(ledger, { kind: 'reserve', round: parseRoundId('t.9').id, ...CHARGE })),
      ).rejects.toMatchObject({ code: 'LEDGER_STALE' });
      expect(disk.rows).toHaveLength(kept);
    }
  });

  test('that forgot one entry alone is charged for it once more', async () => {
    const disk = await spent(3);
    disk.rows = disk.rows.slice(0, -1);
    await attempt(disk, 'never', { kind: 'reserve', round: parseRoundId('t.4').id, ...CHARGE });
    // Three rounds, the lost commit of the third, and the fourth.
    expect(roundsCharged(disk)).toBe(5);
  });

  test('that forgot the commit of a round whose charge covers a task is charged for the whole task once more; for a reservation it is not', async () => {
    const covering = { ...CHARGE, covers: parseTaskId('t') };
    const reservation = (number: number): LedgerEntry => {
      return { kind: 'reserve', round: parseRoundId(`t.${number}`).id, ...covering };
    };
    const one = new PrivacyAccount('zero-out', [{ event: CHARGE.event, count: 1 }]).epsilon(1e-6).value;
    const standsAfter = async (lost: LedgerEntry): Promise<number> => {
      const disk = await spent(0);
      await attempt(disk, 'never', reservation(1));
      await attempt(disk, 'never', lost);
      disk.rows = disk.rows.slice(0, -1);
      await attempt(disk, 'never', reservation(3));
      return spentOf(replay(disk.rows).ledger, BUDGET, 1)!.epsilon;
    };
    expect(await standsAfter({ kind: 'commit', round: parseRoundId('t.1').id, participants: null })).toBeGreaterThan(
      1.3 * one,
    );
    // Had a sum of it been opened, its commit would be the last.
    expect(await standsAfter(reservation(2))).toBe(one);
  });

  test('and whose ledger went another way since is found out too', async () => {
    const disk = await spent(2);
    const other = await spent(1);
    await attempt(other, 'never', { kind: 'reserve', round: parseRoundId('t.7').id, ...CHARGE });
    await attempt(other, 'never', { kind: 'commit', round: parseRoundId('t.7').id, participants: NOBODY });
    disk.rows = other.rows;
    await expect(
      attempt(disk, 'never', { kind: 'reserve', round: parseRoundId('t.9').id, ...CHARGE }),
    ).rejects.toMatchObject({
      code: 'LEDGER_STALE',
    });
  });

  test('goes on once an operator answers for it', async () => {
    const disk = await spent(3);
    disk.rows = disk.rows.slice(0, 3);
    const ledger = disk.open();
    await disk.change('never', ledger, async (records) => void (await ledger.accept(records)));
    expect(await attempt(disk, 'never', { kind: 'reserve', round: parseRoundId('t.9').id, ...CHARGE })).toBe(true);
    expect(roundsCharged(disk)).toBe(2);
  });

  test('a mark that is gone is as good as a restored backup', async () => {
    const disk = await spent(1);
    disk.mark = null;
    await expect(
      attempt(disk, 'never', { kind: 'reserve', round: parseRoundId('t.9').id, ...CHARGE }),
    ).rejects.toMatchObject({
      code: 'LEDGER_STALE',
    });
    const empty = new Disk();
    expect(await attempt(empty, 'never', { kind: 'terms', budget: BUDGET, terms: TERMS })).toBe(true);
  });
});

test('a ledger whose entries were changed is broken, wherever', async () => {
  const disk = new Disk();
  await live(disk, [{ end: 'commit', reserve: 'never', settle: 'never' }]);
  const whole = disk.rows;
  for (const [i, row] of whole.entries()) {
    const changes: Partial<LedgerRecord>[] = [
      { entry: row.entry.replace('keyboard', 'keyboards').replace('t.1', 't.2') },
      { at: row.at + 1 },
      { actor: 'key:somebody' },
      { hash: '0'.repeat(64) },
      { previousHash: 'f'.repeat(64) },
      { sequence: row.sequence + 1 },
    ];
    for (const change of changes) {
      const rows = whole.map((other, at) => (at === i ? { ...other, ...change } : other));
      expect(() => replay(rows)).toThrow(BROKEN);
    }
    if (i < whole.length - 1) expect(() => replay(whole.toSpliced(i, 1))).toThrow(BROKEN);
  }
});
