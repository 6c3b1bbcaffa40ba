import { DOMAINS, sha256Hex, utf8 } from '@carapace/crypto';
import type { AuditEntry, AuditRecord } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface Row {
  readonly sequence: Int8;
  readonly at: Int8;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  readonly detail: string;
  readonly previous_hash: string;
  readonly hash: string;
}

/** An arbitrary number that no other lock of this database uses: one writer of the chain at a time. */
const CHAIN_LOCK = 7_246_001;
const GENESIS = '0'.repeat(64);

export async function appendAudit(db: Queryable, { at, actor, action, object, detail }: AuditEntry): Promise<void> {
  await db.query('-- lock_audit\nSELECT pg_advisory_xact_lock($1)', [CHAIN_LOCK]);
  const { rows } = await db.query<Pick<Row, 'sequence' | 'hash'>>(
    '-- last_audit\nSELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1',
  );
  const sequence = numberOf(rows[0]?.sequence ?? '0') + 1;
  const previous = rows[0]?.hash ?? GENESIS;
  const text = JSON.stringify(detail);
  const sql = `-- append_audit
    INSERT INTO audit (sequence, at, actor, action, object, detail, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;
  await db.query(sql, [
    sequence,
    at,
    actor,
    action,
    object,
    text,
    previous,
    chainHash(previous, [sequence, at, actor, action, object, text]),
  ]);
}

export async function listAudit(db: Queryable, after: number, limit: number): Promise<AuditRecord[]> {
  const sql = `-- list_audit
    SELECT sequence, at, actor, action, object, detail, previous_hash, hash FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2`;
  return (await db.query<Row>(sql, [after, limit])).rows.map((row) => ({
    sequence: numberOf(row.sequence),
    at: numberOf(row.at),
    actor: row.actor,
    action: row.action,
    object: row.object,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
    previousHash: row.previous_hash,
    hash: row.hash,
  }));
}

/** SHA-256 over the label, the previous hash and the entry as a JSON array: fields of one cannot slide into another. */
function chainHash(previous: string, entry: readonly (string | number)[]): string {
  return sha256Hex(utf8(DOMAINS.audit), Uint8Array.of(0), utf8(previous), utf8(JSON.stringify(entry)));
}
