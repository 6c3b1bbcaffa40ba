import type { ClientId, Digest, RoundId } from '@carapace/aggregation';
import type { ProtocolAdmission, ProtocolMessage, RosterRecord, SessionRecord, Survivor } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface RosterRow {
  readonly digest: Digest;
  readonly serial: Int8;
  readonly bytes: Buffer;
  readonly published_at: Int8;
}

export async function insertRoster(
  db: Queryable,
  { digest, serial, bytes }: Omit<RosterRecord, 'publishedAt'>,
  now: number,
): Promise<boolean> {
  const sql = `-- insert_roster
    INSERT INTO rosters (digest, serial, bytes, published_at)
    SELECT $1, $2::bigint, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM rosters WHERE serial >= $2::bigint) ON CONFLICT DO NOTHING`;
  return (await db.query(sql, [digest, serial, bytes, now])).rowCount === 1;
}

export async function findRoster(db: Queryable): Promise<RosterRecord | null> {
  const sql = `-- find_roster
    SELECT digest, serial, bytes, published_at FROM rosters ORDER BY serial DESC LIMIT 1`;
  const row = (await db.query<RosterRow>(sql)).rows[0];
  if (row === undefined) return null;
  const { digest, serial, bytes, published_at } = row;
  return { digest, serial: numberOf(serial), bytes: Uint8Array.from(bytes), publishedAt: numberOf(published_at) };
}

export async function listClientKeys(
  db: Queryable,
  clients: readonly ClientId[],
): Promise<{ client: ClientId; publicKey: Uint8Array }[]> {
  const sql = `-- list_client_keys
    SELECT id AS client, public_key AS key FROM clients WHERE id = ANY($1) ORDER BY id COLLATE "C"`;
  const { rows } = await db.query<{ client: ClientId; key: Buffer }>(sql, [clients]);
  return rows.map(({ client, key }) => ({ client, publicKey: Uint8Array.from(key) }));
}

export async function insertSession(
  db: Queryable,
  round: RoundId,
  session: Uint8Array,
  roster: Uint8Array,
): Promise<void> {
  const sql = '-- insert_session\nINSERT INTO secagg_sessions (round, session, roster) VALUES ($1, $2, $3)';
  await db.query(sql, [round, session, roster]);
}

export async function findSession(db: Queryable, round: RoundId): Promise<SessionRecord | null> {
  const sql = '-- find_session\nSELECT session, roster, survivors FROM secagg_sessions WHERE round = $1';
  type Row = { session: Buffer; roster: Buffer; survivors: Survivor[] | null };
  const row = (await db.query<Row>(sql, [round])).rows[0];
  if (row === undefined) return null;
  return { session: Uint8Array.from(row.session), roster: Uint8Array.from(row.roster), survivors: row.survivors };
}

export async function fixSurvivors(db: Queryable, round: RoundId, survivors: readonly Survivor[]): Promise<void> {
  const sql = '-- fix_survivors\nUPDATE secagg_sessions SET survivors = $2 WHERE round = $1';
  await db.query(sql, [round, JSON.stringify(survivors)]);
}

/** The share lock keeps the step from closing meanwhile: what was not there when it closed is never taken. */
export async function admitProtocolMessage(
  db: Queryable,
  round: RoundId,
  { step, member, message }: ProtocolMessage,
): Promise<ProtocolAdmission> {
  const locked = `-- share_step
    SELECT state->>'step' AS step FROM rounds WHERE id = $1 FOR SHARE`;
  const current = (await db.query<{ step: string | null }>(locked, [round])).rows[0]?.step;
  const known = `-- find_protocol_message
    SELECT message FROM secagg_messages WHERE round = $1 AND step = $2 AND member = $3`;
  const compared = async (): Promise<'again' | 'other' | null> => {
    const before = (await db.query<{ message: Buffer }>(known, [round, step, member])).rows[0]?.message;
    return before === undefined ? null : before.equals(message) ? 'again' : 'other';
  };
  const before = await compared();
  if (before !== null) return before;
  if (current !== step) return 'closed';
  const sql = `-- insert_protocol_message
    INSERT INTO secagg_messages (round, step, member, message) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`;
  const inserted = await db.query(sql, [round, step, member, message]);
  if (inserted.rowCount === 1) return 'accepted';
  // Another copy of it was on its way: an answer was lost, and the client has asked again.
  return (await compared()) ?? 'other';
}

export async function listProtocolMessages(
  db: Queryable,
  round: RoundId,
  step: ProtocolMessage['step'],
  except: readonly number[],
): Promise<ProtocolMessage[]> {
  const sql = `-- list_protocol_messages
    SELECT step, member, message FROM secagg_messages
    WHERE round = $1 AND step = $2 AND NOT member = ANY($3::integer[]) ORDER BY member`;
  type Row = { step: ProtocolMessage['step']; member: number; message: Buffer };
  const { rows } = await db.query<Row>(sql, [round, step, except]);
  return rows.map(({ message, ...row }) => ({ ...row, message: Uint8Array.from(message) }));
}

export async function insertRoundSecret(db: Queryable, round: RoundId, secret: Uint8Array): Promise<void> {
  await db.query('-- insert_round_secret\nINSERT INTO round_secrets (round, secret) VALUES ($1, $2)', [round, secret]);
}

export async function findRoundSecret(db: Queryable, round: RoundId): Promise<Uint8Array | null> {
  const sql = '-- find_round_secret\nSELECT secret FROM round_secrets WHERE round = $1';
  const { rows } = await db.query<{ secret: Buffer }>(sql, [round]);
  return rows[0] === undefined ? null : Uint8Array.from(rows[0].secret);
}

/** What a process left behind that died between the end of a round and its clearing up. */
export async function deleteEndedSessions(db: Queryable): Promise<void> {
  const sql = `-- delete_ended_sessions
    WITH ended AS (
      DELETE FROM secagg_sessions USING rounds
      WHERE rounds.id = secagg_sessions.round AND rounds.kind IN ('completed', 'abandoned') RETURNING secagg_sessions.round
    )
    UPDATE updates SET deposit = NULL FROM ended WHERE updates.round = ended.round AND deposit IS NOT NULL`;
  await db.query(sql);
  await db.query(`-- delete_ended_secrets
    DELETE FROM round_secrets USING rounds
    WHERE rounds.id = round_secrets.round AND rounds.kind IN ('completed', 'abandoned')`);
}

/** The deposits first: what is left when it ends in between is found by the session. */
export async function deleteSession(db: Queryable, round: RoundId): Promise<void> {
  const sql = '-- clear_deposits\nUPDATE updates SET deposit = NULL WHERE round = $1 AND deposit IS NOT NULL';
  await db.query(sql, [round]);
  await db.query('-- delete_session\nDELETE FROM secagg_sessions WHERE round = $1', [round]);
  await db.query('-- delete_round_secret\nDELETE FROM round_secrets WHERE round = $1', [round]);
}
