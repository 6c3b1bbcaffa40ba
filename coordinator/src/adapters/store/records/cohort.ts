import type { ClientId, RoundId } from '@carapace/aggregation';
import type { Candidate, Tally } from '../../../domain/round.ts';
import type { ParticipantRecord, ParticipantStatus, RoundRecord } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';
import { ROUND_COLUMNS, roundRecord } from './rounds.ts';
import type { RoundRow } from './rounds.ts';

const ASSIGNED = `FROM participants JOIN rounds ON rounds.id = participants.round
  WHERE participants.status = 'selected' AND rounds.kind IN ('agreeing', 'collecting')`;

export async function listCandidates(db: Queryable, now: number): Promise<Candidate[]> {
  const sql = `-- list_candidates
    SELECT clients.id AS client, clients.site FROM client_presence JOIN clients ON clients.id = client_presence.client
    WHERE client_presence.waiting_until > $1 AND clients.status = 'active'
      AND NOT EXISTS (SELECT 1 ${ASSIGNED} AND participants.client = clients.id)
    ORDER BY clients.id COLLATE "C"`;
  return (await db.query<{ client: ClientId; site: string }>(sql, [now])).rows;
}

export async function insertParticipants(
  db: Queryable,
  round: RoundId,
  clients: readonly ClientId[],
  now: number,
): Promise<void> {
  const sql = `-- insert_participants
    INSERT INTO participants (round, client, status, selected_at, updated_at) SELECT $1, unnest($2::text[]), 'selected', $3, $3`;
  await db.query(sql, [round, clients, now]);
  // Whoever is selected waits no more: a client that dies with its assignment is no candidate until it checks in again.
  const served = `-- end_waiting
    UPDATE client_presence SET waiting_until = 0 WHERE client = ANY($1)`;
  await db.query(served, [clients]);
}

export async function listParticipants(db: Queryable, round: RoundId): Promise<ParticipantRecord[]> {
  const sql = `-- list_participants
    SELECT client, status, reason, selected_at, updated_at FROM participants WHERE round = $1 ORDER BY client COLLATE "C"`;
  const { rows } = await db.query<{
    client: ClientId;
    status: ParticipantStatus;
    reason: string | null;
    selected_at: Int8;
    updated_at: Int8;
  }>(sql, [round]);
  return rows.map(({ client, status, reason, selected_at, updated_at }) => {
    return { client, status, reason, selectedAt: numberOf(selected_at), updatedAt: numberOf(updated_at) };
  });
}

export async function findAssignment(db: Queryable, client: ClientId): Promise<RoundRecord | null> {
  const sql = `-- find_assignment
    SELECT ${ROUND_COLUMNS} ${ASSIGNED} AND participants.client = $1 ORDER BY participants.selected_at LIMIT 1`;
  const { rows } = await db.query<RoundRow>(sql, [client]);
  return rows[0] === undefined ? null : roundRecord(rows[0]);
}

export async function listAssignments(
  db: Queryable,
  clients: readonly ClientId[],
): Promise<{ client: ClientId; round: RoundId }[]> {
  const sql = `-- list_assignments
    SELECT participants.client, participants.round ${ASSIGNED} AND participants.client = ANY($1)`;
  return (await db.query<{ client: ClientId; round: RoundId }>(sql, [clients])).rows;
}

export async function tally(db: Queryable, round: RoundId): Promise<Tally> {
  const sql = `-- tally
    SELECT count(*) FILTER (WHERE status = 'selected') AS outstanding, count(*) FILTER (WHERE status = 'reported') AS reported
    FROM participants WHERE round = $1`;
  const { rows } = await db.query<{ outstanding: Int8; reported: Int8 }>(sql, [round]);
  return { outstanding: numberOf(rows[0]?.outstanding ?? '0'), reported: numberOf(rows[0]?.reported ?? '0') };
}

export async function setParticipantStatus(
  db: Queryable,
  round: RoundId,
  client: ClientId,
  status: 'declined',
  reason: string,
  now: number,
): Promise<boolean> {
  const sql = `-- set_participant_status
    UPDATE participants SET status = $3, reason = $4, updated_at = $5 WHERE round = $1 AND client = $2 AND status = 'selected'`;
  return (await db.query(sql, [round, client, status, reason, now])).rowCount === 1;
}

export async function dismissParticipants(
  db: Queryable,
  round: RoundId,
  except: readonly ClientId[],
  now: number,
): Promise<void> {
  const sql = `-- dismiss_participants
    UPDATE participants SET status = 'dismissed', updated_at = $2
    WHERE round = $1 AND status = 'selected' AND NOT client = ANY($3::text[])`;
  await db.query(sql, [round, now, except]);
}
