/** Opens the rounds of a task: never two at once, never beyond the task's number, never for a task that is not active. */
import { clipAfter, matrixOf, privacyOf } from '@carapace/aggregation';
import type { RoundId, TaskId } from '@carapace/aggregation';
import { planOf, reopenAt } from '../domain/plan.ts';
import { isTerminal, openRound } from '../domain/round.ts';
import type { Instant } from '../domain/round.ts';
import type { TaskRecord } from '../ports.ts';
import { CoordinatorError } from '../errors.ts';
import type { Context } from './context.ts';
import { refusalText } from './privacy/budgets.ts';
import type { Budgets } from './privacy/budgets.ts';
import { audit } from './versions.ts';
import { performEffects } from './round-stepping.ts';

const SECRET_BYTES = 32;

/** The new round, or null when the task does not want one now. */
export async function openNextRound(ctx: Context, budgets: Budgets, id: TaskId): Promise<RoundId | null> {
  const record = await ctx.store.findTask(id);
  if (record?.status !== 'active') return null;
  if (await completeTask(ctx, record)) return null;
  const base = await ctx.store.findChannel(record.task.model.name, 'latest');
  if (base === null) return null;
  const now = ctx.clock.now();
  const { state, effects } = openRound(planOf(record.task), now);
  const opened = await ctx.store
    .transaction('open_round', async (records) => {
      const round = await records.insertRound(id, base.version, state, now);
      if (round === null) return null;
      const clip = clipAfter(record.task.protection, await records.findClipStep(id));
      if (clip !== null) await records.setRoundClip(round, clip);
      await records.appendRoundEvent(round, now, 'open', {
        baseVersion: base.version,
        ...(clip !== null && { clip }),
      });
      const verdict = await budgets.reserve(records, round, record.task, base, now);
      if (verdict?.kind === 'refused') throw new Unaffordable(refusalText(verdict.why));
      const steps = matrixOf(record.task.protection)?.steps ?? Infinity;
      if (((await records.findNoiseStep(id))?.step ?? 0) >= steps)
        throw new Unaffordable(`all ${steps} steps of its noise were released: no further one was charged`);
      if (privacyOf(record.task.protection)?.placement === 'central')
        await records.insertRoundSecret(round, ctx.random.bytes(SECRET_BYTES));
      return { round, charged: verdict?.after ?? [] };
    })
    .catch((error: unknown) => refusedBy(ctx, id, error));
  if (opened === null) return null;
  const { round, charged } = opened;
  for (const { budget, epsilon, terms } of charged)
    ctx.emit({ kind: 'budget-charged', at: now, task: id, round, budget, epsilon, limit: terms.epsilon });
  ctx.emit({ kind: 'round-opened', at: now, task: id, round, baseVersion: base.version });
  await performEffects(ctx, round, effects);
  return round;
}

/** Takes the round back with its transaction. */
class Unaffordable extends Error {
  override readonly name = 'Unaffordable';
}

/** The task is paused, not spun: an operator raises the budget or restores the ledger, and resumes it. */
async function refusedBy(ctx: Context, task: TaskId, error: unknown): Promise<null> {
  const stale = error instanceof CoordinatorError && (error.code === 'LEDGER_STALE' || error.code === 'LEDGER_BROKEN');
  if (!(error instanceof Unaffordable) && !stale) throw error;
  const why = error.message;
  const at = ctx.clock.now();
  const paused = await ctx.store.transaction('pause_task', async (records) => {
    const changed = await records.setTaskStatus(task, ['active'], 'paused', at);
    if (changed) await audit(records, at, 'system', 'task.paused', task, { why });
    return changed;
  });
  await ctx.queue.unschedule(task);
  if (paused) ctx.emit({ kind: 'budget-refused', at, task, why });
  return null;
}

/**
 * What follows when a round has ended, or when nobody knows whether one did: a continuous task opens its next round, now or
 * after its pause; a scheduled one waits for its schedule. @returns the round opened, or whether something else was done
 */
export async function continueTask(ctx: Context, budgets: Budgets, id: TaskId): Promise<RoundId | boolean> {
  const record = await ctx.store.findTask(id);
  if (record?.status !== 'active') return false;
  if (await completeTask(ctx, record)) return true;
  if (record.task.schedule.kind !== 'continuous') return false;
  const at = await continuesAt(ctx, id);
  if (at === null) return false;
  if (at <= ctx.clock.now()) return (await openNextRound(ctx, budgets, id)) ?? false;
  await ctx.queue.add({ kind: 'open-round', task: id }, { at, key: `reopen-${id}-${at}` });
  return false;
}

async function continuesAt(ctx: Context, id: TaskId): Promise<Instant | null> {
  const [last] = await ctx.store.listRounds(id, 1);
  if (last === undefined) return 0;
  if (!isTerminal(last.state)) return null;
  const { abandonedInARow } = await ctx.store.countRounds(id);
  return reopenAt(last.state.at, abandonedInARow);
}

/** Marks a task completed once it has its rounds. */
async function completeTask(ctx: Context, { task }: TaskRecord): Promise<boolean> {
  if (task.rounds === null) return false;
  const { completed } = await ctx.store.countRounds(task.name);
  if (completed < task.rounds) return false;
  const now = ctx.clock.now();
  if (await ctx.store.setTaskStatus(task.name, ['active'], 'completed', now)) {
    await ctx.queue.unschedule(task.name);
    ctx.emit({ kind: 'task-completed', at: now, task: task.name, rounds: completed });
  }
  return true;
}
