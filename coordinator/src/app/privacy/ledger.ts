/**
 * The privacy ledger in the records: entries chained by their hashes, with a mark outside the database. What was written ahead to the mark and
 * is not in the records was lost on the way: it is charged all the same. A database behind its mark by more was restored from a backup.
 */
import { parsePrivacyEvent } from '@carapace/aggregation';
import { DOMAINS, sha256Hex, utf8 } from '@carapace/crypto';
import { applyEntry, EMPTY_LEDGER } from '../../domain/budget.ts';
import type { Ledger, LedgerEntry } from '../../domain/budget.ts';
import type { Instant } from '../../domain/round.ts';
import { CoordinatorError } from '../../errors.ts';
import type { LedgerHead, LedgerRecord, Records } from '../../ports.ts';
import type { Actor } from '../api.ts';
import type { Context } from '../context.ts';

const GENESIS = '0'.repeat(64);
const PAGE = 1_000;

export class PrivacyLedger {
  readonly #ctx: Context;
  /** What committed entries amount to: those of a transaction that runs are applied on top, and kept once they are read again. */
  #known: { readonly sequence: number; readonly hash: string; readonly ledger: Ledger } = {
    sequence: 0,
    hash: GENESIS,
    ledger: EMPTY_LEDGER,
  };

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  /** As it is committed now. @throws CoordinatorError `LEDGER_BROKEN` */
  async read(): Promise<Ledger> {
    this.#known = await caughtUp(this.#ctx.store, this.#known);
    return this.#known.ledger;
  }

  /** Within a transaction, as it sees it. */
  async peek(records: Records): Promise<Ledger> {
    return (await caughtUp(records, this.#known)).ledger;
  }

  /** Within a transaction: as it is, and nobody else changes it until the end. @throws CoordinatorError `LEDGER_STALE` or `LEDGER_BROKEN` */
  async lock(records: Records): Promise<Ledger> {
    const head = await records.lockLedger();
    const { ledger, hash } = await caughtUp(records, this.#known);
    if (hash !== (head?.hash ?? GENESIS)) throw broken(head?.sequence ?? 0);
    return this.#reconciled(records, head, ledger);
  }

  /** Only after {@link lock} in the same transaction. The mark is ahead of the records until it commits. */
  async append(records: Records, entry: LedgerEntry, at: Instant, actor: Actor): Promise<LedgerRecord> {
    const head = await records.ledgerHead();
    const record = chained(head, { at, actor, entry: JSON.stringify(entry) });
    await this.#ctx.mark.write(record);
    await records.insertLedger(record);
    return record;
  }

  /** The ledger as it stands is taken for true, whatever the mark says: an operator answers for what a backup has forgotten. */
  async accept(records: Records): Promise<LedgerHead> {
    const head = await records.lockLedger();
    const [last] = head === null ? [] : await records.listLedger(head.sequence - 1, 1);
    await this.#ctx.mark.write(
      last ?? { sequence: 0, at: 0, actor: '', entry: '', previousHash: GENESIS, hash: GENESIS },
    );
    return head;
  }

  async #reconciled(records: Records, head: LedgerHead, ledger: Ledger): Promise<Ledger> {
    const mark = await this.#ctx.mark.read();
    const sequence = head?.sequence ?? 0;
    if (mark === null) {
      if (head === null) return ledger;
      throw stale(`the ledger has ${sequence} entries, but its mark in the data directory is gone`);
    }
    if (mark.sequence === sequence + 1 && mark.previousHash === (head?.hash ?? GENESIS))
      return this.#withLost(records, head, mark, ledger);
    if (mark.sequence > sequence)
      throw stale(
        `the ledger ends with entry ${sequence}, but entry ${mark.sequence} was written: a backup was restored`,
      );
    const [marked] = mark.sequence === 0 ? [] : await records.listLedger(mark.sequence - 1, 1);
    if ((marked?.hash ?? GENESIS) !== mark.hash) throw stale(`entry ${mark.sequence} is another one than was written`);
    return ledger;
  }

  /** One entry is ahead: its transaction never committed, or a backup forgot it. What it may have let out is charged once more. */
  async #withLost(records: Records, head: LedgerHead, mark: LedgerRecord, ledger: Ledger): Promise<Ledger> {
    const lost = lostBy(readEntry(mark), ledger);
    if (lost !== null) {
      await this.append(records, lost, mark.at, mark.actor);
      return applyEntry(ledger, lost, mark.at);
    }
    const [last] = head === null ? [] : await records.listLedger(head.sequence - 1, 1);
    await this.#ctx.mark.write(last ?? NOTHING);
    return ledger;
  }
}

const NOTHING: LedgerRecord = { sequence: 0, at: 0, actor: '', entry: '', previousHash: GENESIS, hash: GENESIS };

/** What to charge for an entry that is gone. Terms that were not set and a release that did not happen take nothing from anybody. */
function lostBy(entry: LedgerEntry, { rounds }: Ledger): LedgerEntry | null {
  switch (entry.kind) {
    case 'terms':
    case 'release':
      return null;
    case 'lost':
      return entry;
    case 'reserve':
      return { ...entry, kind: 'lost', participants: null };
    case 'commit': {
      const reserved = rounds.get(entry.round);
      if (reserved === undefined) return null;
      const { budgets, event, totalVariation } = reserved;
      return { kind: 'lost', round: entry.round, budgets, event, totalVariation, participants: entry.participants };
    }
  }
}

/** SHA-256 over the label, the previous hash and the entry as a JSON array: fields of one cannot slide into another. */
export function ledgerHash({ sequence, at, actor, entry, previousHash }: Omit<LedgerRecord, 'hash'>): string {
  const text = JSON.stringify([sequence, at, actor, entry]);
  return sha256Hex(utf8(DOMAINS.privacyLedger), Uint8Array.of(0), utf8(previousHash), utf8(text));
}

/** The ledger behind records, one after the other. @throws CoordinatorError `LEDGER_BROKEN` when they are no chain */
export function replay(
  records: readonly LedgerRecord[],
  from: { readonly sequence: number; readonly hash: string; readonly ledger: Ledger } = {
    sequence: 0,
    hash: GENESIS,
    ledger: EMPTY_LEDGER,
  },
): { readonly sequence: number; readonly hash: string; readonly ledger: Ledger } {
  return records.reduce((at, record) => {
    const follows = record.sequence === at.sequence + 1 && record.previousHash === at.hash;
    if (!follows || ledgerHash(record) !== record.hash) throw broken(record.sequence);
    return {
      sequence: record.sequence,
      hash: record.hash,
      ledger: applyEntry(at.ledger, readEntry(record), record.at),
    };
  }, from);
}

function readEntry({ sequence, entry }: LedgerRecord): LedgerEntry {
  const read = JSON.parse(entry) as LedgerEntry;
  if (!['terms', 'reserve', 'commit', 'release', 'lost'].includes(read.kind)) throw broken(sequence);
  return read.kind === 'reserve' || read.kind === 'lost' ? { ...read, event: parsePrivacyEvent(read.event) } : read;
}

async function caughtUp(
  records: Records,
  known: { readonly sequence: number; readonly hash: string; readonly ledger: Ledger },
): Promise<typeof known> {
  let now = known;
  for (;;) {
    const page = await records.listLedger(now.sequence, PAGE);
    now = replay(page, now);
    if (page.length < PAGE) return now;
  }
}

function chained(head: LedgerHead, content: Pick<LedgerRecord, 'at' | 'actor' | 'entry'>): LedgerRecord {
  const linked = { sequence: (head?.sequence ?? 0) + 1, ...content, previousHash: head?.hash ?? GENESIS };
  return { ...linked, hash: ledgerHash(linked) };
}

function stale(why: string): CoordinatorError {
  return new CoordinatorError('LEDGER_STALE', why);
}

function broken(sequence: number): CoordinatorError {
  return new CoordinatorError(
    'LEDGER_BROKEN',
    `entry ${sequence} of the privacy ledger does not follow from those before`,
  );
}
