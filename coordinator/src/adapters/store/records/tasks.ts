import type { Task, TaskId } from '@carapace/aggregation';
import type { TaskRecord, TaskStatus } from '../../../ports.ts';
import { numberOf } from './queryable.ts';
import type { Int8, Queryable } from './queryable.ts';

interface Row {
  readonly document: Task;
  readonly status: TaskStatus;
  readonly created_at: Int8;
  readonly updated_at: Int8;
}

const COLUMNS = 'document, status, created_at, updated_at';

export async function insertTask(db: Queryable, task: Task, now: number): Promise<boolean> {
  const sql = `-- insert_task
    INSERT INTO tasks (id, document, status, created_at, updated_at) VALUES ($1, $2, 'active', $3, $3) ON CONFLICT DO NOTHING`;
  return (await db.query(sql, [task.name, JSON.stringify(task), now])).rowCount === 1;
}

export async function findTask(db: Queryable, id: TaskId): Promise<TaskRecord | null> {
  const { rows } = await db.query<Row>(`-- find_task\nSELECT ${COLUMNS} FROM tasks WHERE id = $1`, [id]);
  return rows[0] === undefined ? null : record(rows[0]);
}

export async function listTasks(db: Queryable): Promise<TaskRecord[]> {
  const { rows } = await db.query<Row>(
    `-- list_tasks\nSELECT ${COLUMNS} FROM tasks ORDER BY created_at, id COLLATE "C"`,
  );
  return rows.map(record);
}

export async function setTaskStatus(
  db: Queryable,
  id: TaskId,
  from: readonly TaskStatus[],
  to: TaskStatus,
  now: number,
): Promise<boolean> {
  const sql = `-- set_task_status
    UPDATE tasks SET status = $3, updated_at = $4 WHERE id = $1 AND status = ANY($2)`;
  return (await db.query(sql, [id, from, to, now])).rowCount === 1;
}

function record(row: Row): TaskRecord {
  return {
    task: row.document,
    status: row.status,
    createdAt: numberOf(row.created_at),
    updatedAt: numberOf(row.updated_at),
  };
}
