import type { ClientId } from '@carapace/aggregation';
import { equalBytes } from '@carapace/crypto';
import type { ApiKeyRecord, NewApiKey, NewToken, Role, TokenRecord } from '../../../ports.ts';
import { numberOf, numberOrNull } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface TokenRow {
  readonly id: string;
  readonly secret_hash: Buffer;
  readonly site: string;
  readonly expires_at: Int8;
  readonly created_by: string;
  readonly created_at: Int8;
  readonly used_at: Int8 | null;
  readonly used_by: ClientId | null;
  readonly revoked_at: Int8 | null;
}

interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly secret_hash: Buffer;
  readonly created_at: Int8;
  readonly revoked_at: Int8 | null;
}

const TOKEN_COLUMNS = 'id, secret_hash, site, expires_at, created_by, created_at, used_at, used_by, revoked_at';
const API_KEY_COLUMNS = 'id, name, role, secret_hash, created_at, revoked_at';

export async function insertToken(
  db: Queryable,
  { id, secretHash, site, expiresAt, createdBy }: NewToken,
  now: number,
): Promise<void> {
  const sql = `-- insert_token
    INSERT INTO enrolment_tokens (id, secret_hash, site, expires_at, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)`;
  await db.query(sql, [id, Buffer.from(secretHash), site, expiresAt, createdBy, now]);
}

export async function listTokens(db: Queryable): Promise<TokenRecord[]> {
  const sql = `-- list_tokens\nSELECT ${TOKEN_COLUMNS} FROM enrolment_tokens ORDER BY created_at, id COLLATE "C"`;
  return (await db.query<TokenRow>(sql)).rows.map(tokenRecord);
}

export async function findToken(db: Queryable, id: string): Promise<TokenRecord | null> {
  const { rows } = await db.query<TokenRow>(
    `-- find_token\nSELECT ${TOKEN_COLUMNS} FROM enrolment_tokens WHERE id = $1`,
    [id],
  );
  return rows[0] === undefined ? null : tokenRecord(rows[0]);
}

/** The row lock makes the token single-use; the secret is compared here, in constant time, not by an index. */
export async function consumeToken(
  db: Queryable,
  id: string,
  secretHash: Uint8Array,
  usedBy: ClientId,
  now: number,
): Promise<TokenRecord | null> {
  const locked = `-- lock_token
    SELECT ${TOKEN_COLUMNS} FROM enrolment_tokens WHERE id = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2 FOR UPDATE`;
  const { rows } = await db.query<TokenRow>(locked, [id, now]);
  if (rows[0] === undefined || !equalBytes(new Uint8Array(rows[0].secret_hash), secretHash)) return null;
  const sql = `-- consume_token
    UPDATE enrolment_tokens SET used_at = $2, used_by = $3 WHERE id = $1`;
  await db.query(sql, [id, now, usedBy]);
  return { ...tokenRecord(rows[0]), usedAt: now, usedBy };
}

export async function revokeToken(db: Queryable, id: string, now: number): Promise<boolean> {
  const sql = `-- revoke_token
    UPDATE enrolment_tokens SET revoked_at = $2 WHERE id = $1 AND used_at IS NULL AND revoked_at IS NULL`;
  return (await db.query(sql, [id, now])).rowCount === 1;
}

export async function insertApiKey(
  db: Queryable,
  { id, name, role, secretHash }: NewApiKey,
  now: number,
): Promise<void> {
  const sql = `-- insert_api_key
    INSERT INTO api_keys (id, name, role, secret_hash, created_at) VALUES ($1, $2, $3, $4, $5)`;
  await db.query(sql, [id, name, role, Buffer.from(secretHash), now]);
}

export async function findApiKey(db: Queryable, id: string): Promise<ApiKeyRecord | null> {
  const { rows } = await db.query<ApiKeyRow>(`-- find_api_key\nSELECT ${API_KEY_COLUMNS} FROM api_keys WHERE id = $1`, [
    id,
  ]);
  return rows[0] === undefined ? null : apiKeyRecord(rows[0]);
}

export async function listApiKeys(db: Queryable): Promise<ApiKeyRecord[]> {
  return (
    await db.query<ApiKeyRow>(
      `-- list_api_keys\nSELECT ${API_KEY_COLUMNS} FROM api_keys ORDER BY created_at, id COLLATE "C"`,
    )
  ).rows.map(apiKeyRecord);
}

export async function revokeApiKey(db: Queryable, id: string, now: number): Promise<boolean> {
  const sql = `-- revoke_api_key\nUPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`;
  return (await db.query(sql, [id, now])).rowCount === 1;
}

function tokenRecord(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    secretHash: new Uint8Array(row.secret_hash),
    site: row.site,
    expiresAt: numberOf(row.expires_at),
    createdBy: row.created_by,
    createdAt: numberOf(row.created_at),
    usedAt: numberOrNull(row.used_at),
    usedBy: row.used_by,
    revokedAt: numberOrNull(row.revoked_at),
  };
}

function apiKeyRecord({ id, name, role, secret_hash, created_at, revoked_at }: ApiKeyRow): ApiKeyRecord {
  return {
    id,
    name,
    role,
    secretHash: new Uint8Array(secret_hash),
    createdAt: numberOf(created_at),
    revokedAt: numberOrNull(revoked_at),
  };
}
