/** What noise that is correlated over rounds is remembered by, a clip that moves from round to round, and who took part in what. */
import type { ClientId, ClipStep, Digest, RoundId, TaskId } from '@carapace/aggregation';
import type { NoiseStep, Participation } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

export async function insertNoiseStep(
  db: Queryable,
  task: TaskId,
  { step, state }: NoiseStep,
  round: RoundId,
): Promise<void> {
  const sql = `-- insert_noise_step
    INSERT INTO noise_steps (task, step, round, state) VALUES ($1, $2, $3, $4)`;
  await db.query(sql, [task, step, round, state]);
}

export async function findNoiseStep(db: Queryable, task: TaskId): Promise<NoiseStep | null> {
  const sql = `-- find_noise_step
    SELECT step, state FROM noise_steps WHERE task = $1 ORDER BY step DESC LIMIT 1`;
  const { rows } = await db.query<{ step: number; state: Digest }>(sql, [task]);
  return rows[0] ?? null;
}

export async function listNoiseStates(db: Queryable): Promise<Digest[]> {
  const sql = `-- list_noise_states
    SELECT DISTINCT ON (noise_steps.task) noise_steps.state
    FROM noise_steps JOIN tasks ON tasks.id = noise_steps.task AND tasks.status IN ('active', 'paused')
    ORDER BY noise_steps.task, noise_steps.step DESC`;
  return (await db.query<{ state: Digest }>(sql)).rows.map(({ state }) => state);
}

export async function setRoundClip(db: Queryable, round: RoundId, clip: number): Promise<void> {
  await db.query(`-- set_round_clip\nUPDATE rounds SET clip = $2 WHERE id = $1`, [round, clip]);
}

export async function noteWithinClip(db: Queryable, round: RoundId, within: number): Promise<void> {
  const sql = `-- note_within_clip
    UPDATE rounds SET within_clip = $2 WHERE id = $1 AND kind = 'aggregating'`;
  await db.query(sql, [round, within]);
}

export async function findClipStep(db: Queryable, task: TaskId): Promise<ClipStep | null> {
  const sql = `-- find_clip_step
    SELECT clip, within_clip AS within FROM rounds
    WHERE task = $1 AND within_clip IS NOT NULL ORDER BY number DESC LIMIT 1`;
  const { rows } = await db.query<ClipStep>(sql, [task]);
  return rows[0] ?? null;
}

const OF_TASK = `participants.status IN ('reported', 'revoked')`;

export async function listParticipations(db: Queryable, task: TaskId): Promise<Participation[]> {
  const sql = `-- list_participations
    SELECT participants.client, count(*) AS rounds, max(rounds.number) AS last
    FROM rounds JOIN participants ON participants.round = rounds.id AND ${OF_TASK}
    WHERE rounds.task = $1 GROUP BY participants.client`;
  return (await db.query<Row>(sql, [task])).rows.map(participation);
}

export async function listStepParticipations(db: Queryable, task: TaskId): Promise<Participation[]> {
  const sql = `-- list_step_participations
    SELECT participants.client, count(*) AS rounds, max(noise_steps.step) AS last
    FROM noise_steps JOIN participants ON participants.round = noise_steps.round AND ${OF_TASK}
    WHERE noise_steps.task = $1 GROUP BY participants.client`;
  return (await db.query<Row>(sql, [task])).rows.map(participation);
}

interface Row {
  readonly client: ClientId;
  readonly rounds: Int8;
  readonly last: number;
}

function participation({ client, rounds, last }: Row): Participation {
  return { client, rounds: numberOf(rounds), last };
}
