/** The life of a task as operators steer it. Every change is audited in its own transaction. */
import { laneFormat, layoutOf, modeFor, payloadBytes, vectorLength } from '@carapace/aggregation';
import type { Task, TaskId } from '@carapace/aggregation';
import { CoordinatorError } from '../errors.ts';
import type { TaskRecord, TaskStatus, VersionRecord } from '../ports.ts';
import type { Actor } from './api.ts';
import type { Context } from './context.ts';
import type { Rounds } from './rounds.ts';
import { audit, requireVersion } from './versions.ts';

export async function createTask(ctx: Context, rounds: Rounds, task: Task, actor: Actor): Promise<TaskRecord> {
  const base = await baseOf(ctx, task);
  checkProtectable(task, layoutOf(base.tensors).size);
  await requireAggregator(ctx, task);
  await ctx.store.transaction('create_task', async (records) => {
    const now = ctx.clock.now();
    if (!(await records.insertTask(task, now)))
      throw new CoordinatorError('TASK_EXISTS', `the task name ${task.name} was used before`);
    await audit(records, now, actor, 'task.create', task.name, { task });
  });
  await startTask(ctx, rounds, task);
  return requireTask(ctx, task.name);
}

/** What its next round starts from. @throws CoordinatorError `VERSION_NOT_FOUND` */
export async function baseOf(ctx: Context, { model }: Task): Promise<VersionRecord> {
  return requireVersion(await ctx.store.findChannel(model.name, 'latest'), model.name, 'latest');
}

/** The parser cannot know how long the model's vector is. @throws AggregationError `SECAGG_PARAMETERS` when nothing that long is protected */
function checkProtectable({ protection, cohort, training }: Task, size: number): void {
  if (protection.kind === 'clear') return;
  const values = vectorLength(protection.privacy, size);
  const clients = Math.ceil(cohort.target * cohort.overSelection);
  const { clip, bits } = protection;
  const format = laneFormat({ clip, bits, maxWeight: training.maxExamples }, values, clients);
  if (protection.kind === 'secagg')
    payloadBytes(protection.mode === 'auto' ? modeFor(clients) : protection.mode, format);
}

/** @throws CoordinatorError `AGGREGATOR_UNKNOWN` */
async function requireAggregator(ctx: Context, { protection }: Task): Promise<void> {
  if (protection.kind !== 'shares') return;
  const client = await ctx.store.findClient(protection.aggregator);
  if (client?.status !== 'active')
    throw new CoordinatorError(
      'AGGREGATOR_UNKNOWN',
      `${protection.aggregator} is ${client === null ? 'not enrolled here' : 'revoked'}`,
    );
}

export async function pauseTask(ctx: Context, id: TaskId, actor: Actor): Promise<TaskRecord> {
  const record = await setStatus(ctx, id, ['active'], 'paused', actor);
  await ctx.queue.unschedule(id);
  return record;
}

export async function resumeTask(ctx: Context, rounds: Rounds, id: TaskId, actor: Actor): Promise<TaskRecord> {
  const record = await setStatus(ctx, id, ['paused'], 'active', actor);
  await startTask(ctx, rounds, record.task);
  return record;
}

export async function stopTask(ctx: Context, rounds: Rounds, id: TaskId, actor: Actor): Promise<TaskRecord> {
  const record = await setStatus(ctx, id, ['active', 'paused'], 'stopped', actor);
  await ctx.queue.unschedule(id);
  const running = await ctx.store.listRunningRounds();
  for (const round of running) if (round.task === id) await rounds.stop(round.id);
  return record;
}

export async function requireTask(ctx: Context, id: TaskId): Promise<TaskRecord> {
  const record = await ctx.store.findTask(id);
  if (record === null) throw new CoordinatorError('TASK_NOT_FOUND', `there is no task ${id}`);
  return record;
}

/** Gives the task to its schedule; a continuous one opens its first round at once. */
export async function startTask(ctx: Context, rounds: Rounds, { name, schedule }: Task): Promise<void> {
  switch (schedule.kind) {
    case 'continuous':
      await rounds.continue(name);
      return;
    case 'every':
      return ctx.queue.schedule(name, { seconds: schedule.seconds });
    case 'cron':
      return ctx.queue.schedule(name, { cron: schedule.pattern });
  }
}

async function setStatus(
  ctx: Context,
  id: TaskId,
  from: readonly TaskStatus[],
  to: TaskStatus,
  actor: Actor,
): Promise<TaskRecord> {
  const { status } = await requireTask(ctx, id);
  await ctx.store.transaction('set_task_status', async (records) => {
    const now = ctx.clock.now();
    if (!(await records.setTaskStatus(id, from, to, now))) {
      throw new CoordinatorError(
        'TASK_STATE',
        `${id} is ${status}; only a task that is ${from.join(' or ')} can become ${to}`,
      );
    }
    await audit(records, now, actor, `task.${to}`, id);
  });
  return requireTask(ctx, id);
}
