import { roundIdOf } from '@carapace/aggregation';
import type { RoundId, TaskId } from '@carapace/aggregation';
import type { RoundState } from '../../../domain/round.ts';
import type { RoundEventRecord, RoundRecord } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

export interface RoundRow {
  readonly id: RoundId;
  readonly task: TaskId;
  readonly number: number;
  readonly base_version: number;
  readonly clip: number | null;
  readonly state: RoundState;
  readonly created_at: Int8;
  readonly updated_at: Int8;
}

export const ROUND_COLUMNS: string = [
  'id',
  'task',
  'number',
  'base_version',
  'clip',
  'state',
  'created_at',
  'updated_at',
]
  .map((name) => `rounds.${name}`)
  .join(', ');
const RUNNING = "kind NOT IN ('completed', 'abandoned')";

/** Two statements; the lock on the task's row makes them one decision. */
export async function insertRound(
  db: Queryable,
  task: TaskId,
  baseVersion: number,
  state: RoundState,
  now: number,
): Promise<RoundId | null> {
  const locked = `-- lock_task
    SELECT next_round FROM tasks WHERE id = $1 AND status = 'active' FOR UPDATE`;
  const { rows } = await db.query<{ next_round: number }>(locked, [task]);
  const number = rows[0]?.next_round;
  if (number === undefined) return null;
  const sql = `-- insert_round
    WITH counted AS (
      UPDATE tasks SET next_round = next_round + 1
      WHERE id = $2 AND NOT EXISTS (SELECT 1 FROM rounds WHERE task = $2 AND ${RUNNING}) RETURNING id
    )
    INSERT INTO rounds (id, task, number, base_version, kind, state, created_at, updated_at)
    SELECT $1, id, $3, $4, $5, $6, $7, $7 FROM counted`;
  const id = roundIdOf(task, number);
  const inserted = await db.query(sql, [id, task, number, baseVersion, state.kind, JSON.stringify(state), now]);
  return inserted.rowCount === 1 ? id : null;
}

export async function findRound(db: Queryable, id: RoundId): Promise<RoundRecord | null> {
  const { rows } = await db.query<RoundRow>(`-- find_round\nSELECT ${ROUND_COLUMNS} FROM rounds WHERE id = $1`, [id]);
  return rows[0] === undefined ? null : roundRecord(rows[0]);
}

export async function lockRound(db: Queryable, id: RoundId): Promise<RoundRecord | null> {
  const { rows } = await db.query<RoundRow>(
    `-- lock_round\nSELECT ${ROUND_COLUMNS} FROM rounds WHERE id = $1 FOR UPDATE`,
    [id],
  );
  return rows[0] === undefined ? null : roundRecord(rows[0]);
}

export async function updateRound(db: Queryable, id: RoundId, state: RoundState, now: number): Promise<void> {
  const sql = `-- update_round
    UPDATE rounds SET kind = $2, state = $3, updated_at = $4 WHERE id = $1`;
  await db.query(sql, [id, state.kind, JSON.stringify(state), now]);
}

/** Newest first. */
export async function listRounds(db: Queryable, task: TaskId, limit: number): Promise<RoundRecord[]> {
  const sql = `-- list_rounds
    SELECT ${ROUND_COLUMNS} FROM rounds WHERE task = $1 ORDER BY number DESC LIMIT $2`;
  return (await db.query<RoundRow>(sql, [task, limit])).rows.map(roundRecord);
}

export async function listRunningRounds(db: Queryable): Promise<RoundRecord[]> {
  const sql = `-- list_running_rounds
    SELECT ${ROUND_COLUMNS} FROM rounds WHERE ${RUNNING} ORDER BY id COLLATE "C"`;
  return (await db.query<RoundRow>(sql)).rows.map(roundRecord);
}

export async function countRounds(
  db: Queryable,
  task: TaskId,
): Promise<{ completed: number; abandonedInARow: number }> {
  const sql = `-- count_rounds
    SELECT count(*) FILTER (WHERE kind = 'completed') AS completed,
           count(*) FILTER (WHERE kind = 'abandoned' AND rounds.number > last.number) AS abandoned
    FROM rounds, (SELECT coalesce(max(number), 0) AS number FROM rounds WHERE task = $1 AND kind = 'completed') AS last
    WHERE task = $1`;
  const { rows } = await db.query<{ completed: Int8; abandoned: Int8 }>(sql, [task]);
  return { completed: numberOf(rows[0]?.completed ?? '0'), abandonedInARow: numberOf(rows[0]?.abandoned ?? '0') };
}

export async function appendRoundEvent(
  db: Queryable,
  id: RoundId,
  at: number,
  kind: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const sql = `-- append_round_event
    INSERT INTO round_events (round, at, kind, detail) VALUES ($1, $2, $3, $4)`;
  await db.query(sql, [id, at, kind, JSON.stringify(detail)]);
}

export async function listRoundEvents(db: Queryable, id: RoundId): Promise<RoundEventRecord[]> {
  const sql = `-- list_round_events
    SELECT at, kind, detail FROM round_events WHERE round = $1 ORDER BY sequence`;
  const { rows } = await db.query<{ at: Int8; kind: string; detail: Record<string, unknown> }>(sql, [id]);
  return rows.map(({ at, kind, detail }) => ({ at: numberOf(at), kind, detail }));
}

export function roundRecord(row: RoundRow): RoundRecord {
  return {
    id: row.id,
    task: row.task,
    number: row.number,
    baseVersion: row.base_version,
    clip: row.clip,
    state: row.state,
    createdAt: numberOf(row.created_at),
    updatedAt: numberOf(row.updated_at),
  };
}
