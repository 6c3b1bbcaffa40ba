import type { ClientId, Digest, Metrics, RoundId, UpdateId, UpdateRefusal } from '@carapace/aggregation';
import type { Admission, ParticipantStatus, UpdateRecord, UpdateSubmission } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface Row {
  readonly id: UpdateId;
  readonly round: RoundId;
  readonly client: ClientId;
  readonly digest: Digest;
  readonly bytes: Int8;
  readonly examples: Int8;
  readonly metrics: Metrics;
  readonly deposit: Buffer | null;
  readonly at: Int8;
}

const COLUMNS = ['id', 'round', 'client', 'digest', 'bytes', 'examples', 'metrics', 'deposit', 'at']
  .map((name) => `updates.${name}`)
  .join(', ');

/** What the records say of the submissions of one batch, read under the locks that keep it true until the commit. */
interface Standing {
  readonly collecting: ReadonlySet<RoundId>;
  readonly active: ReadonlySet<ClientId>;
  readonly participants: ReadonlyMap<string, ParticipantStatus>;
  readonly byId: Map<UpdateId, UpdateRecord>;
  readonly byParticipant: Map<string, UpdateRecord>;
}

/**
 * Six statements whatever the batch's size. Locks are taken in one order everywhere: rounds (shared, so that closing a round
 * waits for this batch), then participants, each sorted.
 */
export async function admitUpdates(db: Queryable, updates: readonly UpdateSubmission[]): Promise<Admission[]> {
  const standing = await readStanding(db, updates);
  const admissions = updates.map((update) => decide(update, standing));
  const accepted = admissions.flatMap((admission) =>
    admission.kind === 'accepted' && !admission.again ? [admission.record] : [],
  );
  if (accepted.length > 0) await insertAccepted(db, accepted);
  return admissions;
}

export async function listAcceptedUpdates(db: Queryable, round: RoundId): Promise<UpdateRecord[]> {
  const sql = `-- list_accepted_updates
    SELECT ${COLUMNS} FROM updates JOIN participants USING (round, client)
    WHERE round = $1 AND participants.status = 'reported' ORDER BY client COLLATE "C"`;
  return (await db.query<Row>(sql, [round])).rows.map(record);
}

export async function listUpdateDigests(db: Queryable, round: RoundId): Promise<Digest[]> {
  const { rows } = await db.query<{ digest: Digest }>(
    '-- list_update_digests\nSELECT digest FROM updates WHERE round = $1',
    [round],
  );
  return rows.map(({ digest }) => digest);
}

export async function findUpdate(db: Queryable, id: UpdateId): Promise<UpdateRecord | null> {
  const { rows } = await db.query<Row>(`-- find_update\nSELECT ${COLUMNS} FROM updates WHERE id = $1`, [id]);
  return rows[0] === undefined ? null : record(rows[0]);
}

export async function listDeposits(db: Queryable, round: RoundId): Promise<ReadonlyMap<Digest, Uint8Array>> {
  const sql = `-- list_deposits
    SELECT digest, deposit FROM updates WHERE round = $1 AND deposit IS NOT NULL`;
  const { rows } = await db.query<{ digest: Digest; deposit: Buffer }>(sql, [round]);
  return new Map(rows.map(({ digest, deposit }) => [digest, Uint8Array.from(deposit)]));
}

export async function recordRefusal(
  db: Queryable,
  round: RoundId,
  client: ClientId,
  update: UpdateId,
  code: UpdateRefusal,
  now: number,
): Promise<void> {
  const sql = `-- record_refusal
    INSERT INTO refusals (round, client, update_id, code, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`;
  await db.query(sql, [round, client, update, code, now]);
}

async function readStanding(db: Queryable, updates: readonly UpdateSubmission[]): Promise<Standing> {
  const rounds = [...new Set(updates.map(({ round }) => round))];
  const clients = [...new Set(updates.map(({ client }) => client))];
  const ids = updates.map(({ update }) => update);
  const shared = await db.query<{ id: RoundId; kind: string }>(
    `-- share_rounds
    SELECT id, kind FROM rounds WHERE id = ANY($1) ORDER BY id COLLATE "C" FOR SHARE`,
    [rounds],
  );
  const locked = await db.query<{ round: RoundId; client: ClientId; status: ParticipantStatus }>(
    `-- lock_participants
    SELECT round, client, status FROM participants WHERE round = ANY($1) AND client = ANY($2)
    ORDER BY round COLLATE "C", client COLLATE "C" FOR UPDATE`,
    [rounds, clients],
  );
  const active = await db.query<{ id: ClientId }>(
    "-- active_clients\nSELECT id FROM clients WHERE id = ANY($1) AND status = 'active'",
    [clients],
  );
  const known = await db.query<Row>(
    `-- known_updates
    SELECT ${COLUMNS} FROM updates WHERE id = ANY($1) OR (round = ANY($2) AND client = ANY($3))`,
    [ids, rounds, clients],
  );
  const records = known.rows.map(record);
  return {
    collecting: new Set(shared.rows.flatMap(({ id, kind }) => (kind === 'collecting' ? [id] : []))),
    active: new Set(active.rows.map(({ id }) => id)),
    participants: new Map(locked.rows.map((row) => [seat(row), row.status])),
    byId: new Map(records.map((found) => [found.update, found])),
    byParticipant: new Map(records.map((found) => [seat(found), found])),
  };
}

/** In the order of refusal that the port states; an acceptance counts for the rest of its batch. */
function decide(update: UpdateSubmission, standing: Standing): Admission {
  if (!standing.active.has(update.client)) return refused('CLIENT_REVOKED');
  const same = standing.byId.get(update.update);
  if (same !== undefined)
    return isSame(same, update) ? { kind: 'accepted', record: same, again: true } : refused('UPDATE_DUPLICATE');
  const status = standing.participants.get(seat(update));
  if (status === undefined) return refused('NOT_IN_COHORT');
  if (standing.byParticipant.has(seat(update))) return refused('UPDATE_DUPLICATE');
  if (!standing.collecting.has(update.round) || status !== 'selected') return refused('ROUND_NOT_COLLECTING');
  standing.byId.set(update.update, update);
  standing.byParticipant.set(seat(update), update);
  return { kind: 'accepted', record: update, again: false };
}

async function insertAccepted(db: Queryable, accepted: readonly UpdateRecord[]): Promise<void> {
  const column = <T>(of: (update: UpdateRecord) => T): T[] => accepted.map(of);
  const rounds = column(({ round }) => round);
  const clients = column(({ client }) => client);
  await db.query(
    `-- insert_updates
    INSERT INTO updates (id, round, client, digest, bytes, examples, metrics, deposit, at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::jsonb[], $8::bytea[], $9::bigint[])`,
    [
      column(({ update }) => update),
      rounds,
      clients,
      column(({ digest }) => digest),
      column(({ bytes }) => bytes),
      column(({ examples }) => examples),
      column(({ metrics }) => JSON.stringify(metrics)),
      column(({ deposit }) => deposit && Buffer.from(deposit)),
      column(({ at }) => at),
    ],
  );
  await db.query(
    `-- mark_reported
    UPDATE participants SET status = 'reported', updated_at = accepted.at
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS accepted (round, client, at)
    WHERE participants.round = accepted.round AND participants.client = accepted.client`,
    [rounds, clients, column(({ at }) => at)],
  );
}

function isSame(known: UpdateRecord, update: UpdateSubmission): boolean {
  return known.client === update.client && known.round === update.round && known.digest === update.digest;
}

/** One client's place in one round. Neither id holds a space. */
function seat({ round, client }: { readonly round: RoundId; readonly client: ClientId }): string {
  return `${round} ${client}`;
}

function refused(code: UpdateRefusal): Admission {
  return { kind: 'refused', code };
}

function record(row: Row): UpdateRecord {
  const { id: update, round, client, digest, metrics } = row;
  return {
    update,
    round,
    client,
    digest,
    metrics,
    deposit: row.deposit && Uint8Array.from(row.deposit),
    bytes: numberOf(row.bytes),
    examples: numberOf(row.examples),
    at: numberOf(row.at),
  };
}
