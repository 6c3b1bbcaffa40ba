import type { LedgerHead, LedgerRecord } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface Row {
  readonly sequence: Int8;
  readonly at: Int8;
  readonly actor: string;
  readonly entry: string;
  readonly previous_hash: string;
  readonly hash: string;
}

/** An arbitrary number that no other lock of this database uses: one writer of the ledger at a time. */
const LEDGER_LOCK = 7_246_002;

export async function lockLedger(db: Queryable): Promise<LedgerHead> {
  await db.query('-- lock_ledger\nSELECT pg_advisory_xact_lock($1)', [LEDGER_LOCK]);
  return ledgerHead(db);
}

export async function ledgerHead(db: Queryable): Promise<LedgerHead> {
  const sql = '-- ledger_head\nSELECT sequence, hash FROM privacy_ledger ORDER BY sequence DESC LIMIT 1';
  const row = (await db.query<Pick<Row, 'sequence' | 'hash'>>(sql)).rows[0];
  return row === undefined ? null : { sequence: numberOf(row.sequence), hash: row.hash };
}

export async function insertLedger(
  db: Queryable,
  { sequence, at, actor, entry, previousHash, hash }: LedgerRecord,
): Promise<void> {
  const sql = `-- insert_ledger
    INSERT INTO privacy_ledger (sequence, at, actor, entry, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6)`;
  await db.query(sql, [sequence, at, actor, entry, previousHash, hash]);
}

export async function listLedger(db: Queryable, after: number, limit: number): Promise<LedgerRecord[]> {
  const sql = `-- list_ledger
    SELECT sequence, at, actor, entry, previous_hash, hash FROM privacy_ledger WHERE sequence > $1 ORDER BY sequence LIMIT $2`;
  return (await db.query<Row>(sql, [after, limit])).rows.map(({ previous_hash: previousHash, ...row }) => ({
    sequence: numberOf(row.sequence),
    at: numberOf(row.at),
    actor: row.actor,
    entry: row.entry,
    previousHash,
    hash: row.hash,
  }));
}
