/**
 * The privacy ledger in the records: entries chained by their hashes, with a mark outside the database. What was written ahead to the mark and
 * is not in the records was lost on the way: it is charged all the same. A database behind its mark by more was restored from a backup.
 */
import { parsePrivacyEvent } from '@carapace/aggregation';
import { DOMAINS, sha256Hex, utf8 } from '@carapace/crypto';
import { applyEntry, chargeIn, EMPTY_LEDGER } from '../../domain/budget.ts';
import type { Ledger, LedgerEntry } from '../../domain/budget.ts';
import type { Instant } from '../../domain/round.ts';
import { CoordinatorError } from '../../errors.ts';
import type { LedgerHead, LedgerRecord, Mark, Records } from '../../ports.ts';
import type { Actor } from '../api.ts';
import type { Context } from '../context.ts';

const GENESIS = '0'.repeat(64);
const PAGE = 1_000;

export type LedgerMeans = Pick<Context, 'store' | 'mark'>;

export class PrivacyLedger {
  readonly #ctx: LedgerMeans;
  /** What committed entries amount to: those of a transaction that runs are applied on top, and kept once they are read again. */
  #known: { readonly sequence: number; readonly hash: string; readonly ledger: Ledger } = {
    sequence: 0,
    hash: GENESIS,
    ledger: EMPTY_LEDGER,
  };

  /** What the transaction that holds the lock has added. */
  #transaction: Mark = { base: null, added: [] };

  constructor(ctx: LedgerMeans) {
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
    this.#transaction = { base: head, added: [] };
    const lost = await this.#lostSince(records, head);
    return lost.length === 0 ? ledger : this.#chargeLost(records, lost, ledger);
  }

  /** Only after {@link lock} in the same transaction. The mark is ahead of the records until it commits. */
  async append(records: Records, entry: LedgerEntry, at: Instant, actor: Actor): Promise<void> {
    await this.#appendAll(records, [{ at, actor, entry: JSON.stringify(entry) }]);
  }

  /** The ledger as it stands is taken for true, whatever the mark says: an operator answers for what a backup has forgotten. */
  async accept(records: Records): Promise<LedgerHead> {
    const head = await records.lockLedger();
    await this.#ctx.mark.write({ base: head, added: [] });
    return head;
  }

  /** All of them in one write of the mark: a crash in between forgets none. */
  async #appendAll(records: Records, contents: readonly Content[]): Promise<void> {
    const { base, added } = this.#transaction;
    const chain = [...added];
    for (const content of contents) chain.push(chained(chain.at(-1) ?? base, content));
    this.#transaction = { base, added: chain };
    await this.#ctx.mark.write(this.#transaction);
    for (const record of chain.slice(added.length)) await records.insertLedger(record);
  }

  /** What was written ahead to the mark and is not in the records. @throws CoordinatorError `LEDGER_STALE` */
  async #lostSince(records: Records, head: LedgerHead): Promise<readonly LedgerRecord[]> {
    const mark = await this.#ctx.mark.read();
    const sequence = head?.sequence ?? 0;
    if (mark === null) {
      if (head === null) return [];
      throw stale(`the ledger has ${sequence} entries, but its mark in the data directory is gone`);
    }
    const last = mark.added.at(-1) ?? mark.base;
    if (last === null) return [];
    if (sequence >= last.sequence) {
      const [marked] = await records.listLedger(last.sequence - 1, 1);
      if (marked?.hash === last.hash) return [];
      throw stale(`entry ${last.sequence} is another one than was written`);
    }
    if (sequence === (mark.base?.sequence ?? 0) && head?.hash === mark.base?.hash) return mark.added;
    throw stale(
      `the ledger ends with entry ${sequence}, but entry ${last.sequence} was written: a backup was restored`,
    );
  }

  /** Their transaction never committed, or a backup forgot it. What it may have let out is charged once more. */
  async #chargeLost(records: Records, lost: readonly LedgerRecord[], ledger: Ledger): Promise<Ledger> {
    let now = ledger;
    const contents: Content[] = [];
    for (const record of lost) {
      const entry = lostBy(readEntry(record), ledger);
      if (entry === null) continue;
      now = applyEntry(now, entry, record.at);
      contents.push({ at: record.at, actor: record.actor, entry: JSON.stringify(entry) });
    }
    await this.#appendAll(records, contents);
    return now;
  }
}

type Content = Pick<LedgerRecord, 'at' | 'actor' | 'entry'>;

/** What to charge for an entry that is gone. Terms that were not set and a release that did not happen take nothing from anybody. */
function lostBy(entry: LedgerEntry, { rounds }: Ledger): LedgerEntry | null {
  switch (entry.kind) {
    case 'terms':
    case 'release':
      return null;
    case 'lost':
      return entry;
    case 'reserve':
      // A sum is opened after a commit, which would be there instead; what covers many rounds is not charged again for a round that never was.
      return entry.covers === undefined ? { ...entry, kind: 'lost', participants: null } : null;
    case 'commit': {
      const reserved = rounds.get(entry.round);
      if (reserved === undefined) return null;
      return { kind: 'lost', round: entry.round, ...chargeIn(reserved), participants: entry.participants };
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
  if (read.kind !== 'reserve' && read.kind !== 'lost') return read;
  const { event, server } = read;
  return {
    ...read,
    event: parsePrivacyEvent(event),
    ...(server && { server: { ...server, event: parsePrivacyEvent(server.event) } }),
  };
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

function chained(head: LedgerHead, content: Content): LedgerRecord {
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
