import type { ClientId } from '@carapace/aggregation';
import type { ClientRecord, NewClient, Presence, SequenceVerdict } from '../../../ports.ts';
import { numberOf, numberOrNull } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';
import { acceptInWindow } from './sequence-window.ts';

interface Row {
  readonly id: ClientId;
  readonly name: string;
  readonly site: string;
  readonly key: string;
  readonly public_key: Buffer;
  readonly status: 'active' | 'revoked';
  readonly enrolled_at: Int8;
  readonly seen_at: Int8 | null;
  readonly waiting_until: Int8 | null;
  readonly revoked_at: Int8 | null;
  readonly revoked_reason: string | null;
}

const SELECT = `SELECT id, name, site, key, public_key, status, enrolled_at, seen_at, waiting_until, revoked_at, revoked_reason
  FROM clients LEFT JOIN client_presence ON client_presence.client = clients.id`;

export async function insertClient(
  db: Queryable,
  { id, name, site, key, publicKey }: NewClient,
  now: number,
): Promise<void> {
  const sql = `-- insert_client
    INSERT INTO clients (id, name, site, key, public_key, status, enrolled_at) VALUES ($1, $2, $3, $4, $5, 'active', $6)`;
  await db.query(sql, [id, name, site, key, Buffer.from(publicKey), now]);
}

export async function findClient(db: Queryable, id: ClientId): Promise<ClientRecord | null> {
  const { rows } = await db.query<Row>(`-- find_client\n${SELECT} WHERE id = $1`, [id]);
  return rows[0] === undefined ? null : record(rows[0]);
}

export async function findClientByKey(db: Queryable, key: string): Promise<ClientRecord | null> {
  const { rows } = await db.query<Row>(`-- find_client_by_key\n${SELECT} WHERE key = $1`, [key]);
  return rows[0] === undefined ? null : record(rows[0]);
}

export async function listClients(db: Queryable): Promise<ClientRecord[]> {
  return (await db.query<Row>(`-- list_clients\n${SELECT} ORDER BY enrolled_at, id COLLATE "C"`)).rows.map(record);
}

export async function listRevoked(db: Queryable, clients: readonly ClientId[]): Promise<ClientId[]> {
  const sql = `-- list_revoked
    SELECT id FROM clients WHERE id = ANY($1) AND status = 'revoked' ORDER BY id COLLATE "C"`;
  return (await db.query<{ id: ClientId }>(sql, [clients])).rows.map(({ id }) => id);
}

export async function revokeClient(db: Queryable, id: ClientId, reason: string, now: number): Promise<boolean> {
  const revoked = await db.query(
    `-- revoke_client
    UPDATE clients SET status = 'revoked', revoked_at = $3, revoked_reason = $2 WHERE id = $1 AND status = 'active'`,
    [id, reason, now],
  );
  if (revoked.rowCount !== 1) return false;
  await db.query(
    `-- revoke_participations
    UPDATE participants SET status = 'revoked', reason = $2, updated_at = $3
    FROM rounds WHERE rounds.id = participants.round AND rounds.kind NOT IN ('completed', 'abandoned')
      AND participants.client = $1 AND participants.status IN ('selected', 'reported')`,
    [id, reason, now],
  );
  return true;
}

export async function recordPresence(db: Queryable, presences: readonly Presence[]): Promise<void> {
  // Of one client only the last word counts, and a row may be written once per statement. Sorted, so that two processes do not deadlock.
  const last = [...new Map(presences.map((presence) => [presence.client, presence])).values()].sort((a, b) =>
    a.client < b.client ? -1 : 1,
  );
  const sql = `-- record_presence
    INSERT INTO client_presence (client, seen_at, waiting_until) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
    ON CONFLICT (client) DO UPDATE SET seen_at = excluded.seen_at, waiting_until = excluded.waiting_until`;
  await db.query(sql, [
    last.map(({ client }) => client),
    last.map(({ seenAt }) => seenAt),
    last.map(({ waitingUntil }) => waitingUntil),
  ]);
}

export async function acceptSequences(
  db: Queryable,
  numbers: readonly { readonly client: ClientId; readonly sequence: bigint }[],
): Promise<SequenceVerdict[]> {
  const clients = [...new Set(numbers.map(({ client }) => client))].sort();
  await db.query(
    `-- open_windows
    INSERT INTO client_sequences (client, high, bits) SELECT unnest($1::text[]), 0, 0 ON CONFLICT DO NOTHING`,
    [clients],
  );
  const { rows } = await db.query<{ client: ClientId; high: Int8; bits: Int8 }>(
    `-- lock_windows
    SELECT client, high, bits FROM client_sequences WHERE client = ANY($1) ORDER BY client COLLATE "C" FOR UPDATE`,
    [clients],
  );
  const windows = new Map(
    rows.map(({ client, high, bits }) => [client, { high: BigInt(high), bits: BigInt.asUintN(64, BigInt(bits)) }]),
  );
  const accepted = numbers.map(({ client, sequence }) => {
    const window = windows.get(client) ?? { high: 0n, bits: 0n };
    const next = acceptInWindow(window, sequence);
    if (next !== null) windows.set(client, next);
    return { accepted: next !== null, highest: (next ?? window).high };
  });
  const changed = [...windows];
  await db.query(
    `-- save_windows
    UPDATE client_sequences SET high = changed.high, bits = changed.bits
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS changed (client, high, bits) WHERE client_sequences.client = changed.client`,
    [
      changed.map(([client]) => client),
      changed.map(([, { high }]) => high),
      changed.map(([, { bits }]) => BigInt.asIntN(64, bits)),
    ],
  );
  return accepted;
}

function record(row: Row): ClientRecord {
  return {
    id: row.id,
    name: row.name,
    site: row.site,
    key: row.key,
    publicKey: new Uint8Array(row.public_key),
    status: row.status,
    enrolledAt: numberOf(row.enrolled_at),
    lastSeenAt: numberOrNull(row.seen_at),
    waitingUntil: numberOrNull(row.waiting_until) ?? 0,
    revokedAt: numberOrNull(row.revoked_at),
    revokedReason: row.revoked_reason,
  };
}
