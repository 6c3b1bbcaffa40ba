/** The two jobs of a round that take time: the sum with the server's step, and the evaluation. Both may run twice. */
import { matrixOf, privacyOf } from '@carapace/aggregation';
import type { ClearUpdates, Digest, Metrics, Protection, RoundId, Task } from '@carapace/aggregation';
import type { RoundEvent } from '../domain/round.ts';
import { CoordinatorError } from '../errors.ts';
import type { NoiseStep, Records, RoundRecord, UpdateRecord, VersionRecord } from '../ports.ts';
import type { Context } from './context.ts';
import { taskIn } from './round-task.ts';
import type { Occurrence } from './round-stepping.ts';
import type { Protocols } from './protocols.ts';

/** What aggregation found, or null when the round is not in that phase (any more). */
export async function aggregateRound(ctx: Context, protocols: Protocols, id: RoundId): Promise<Occurrence | null> {
  const subject = await subjectOf(ctx, id, 'aggregating');
  if (subject === null) return null;
  try {
    const { protection } = subject.task;
    const secret = await secretOf(ctx, id, protection);
    return protection.kind === 'clear'
      ? await sumUpdates(ctx, subject, protection, secret)
      : await openSum(ctx, protocols, subject, secret);
  } catch (error) {
    if (isTransient(error)) throw error;
    ctx.emit({ kind: 'job-failed', at: ctx.clock.now(), job: `aggregate ${id}`, error });
    return failed('aggregation-failed', error);
  }
}

/** What the round's noise is drawn from, where it is the coordinator's: it was durable before anybody was selected. */
async function secretOf(ctx: Context, id: RoundId, protection: Protection): Promise<Uint8Array | null> {
  if (privacyOf(protection)?.placement !== 'central') return null;
  const secret = await ctx.store.findRoundSecret(id);
  if (secret === null) throw new Error(`the secret of ${id} is gone: its sum gets no noise and is not opened`);
  return secret;
}

async function sumUpdates(
  ctx: Context,
  subject: Subject,
  protection: ClearUpdates,
  secret: Uint8Array | null,
): Promise<Occurrence> {
  const { id } = subject.round;
  const updates = await ctx.store.listAcceptedUpdates(id);
  const { task } = subject;
  const isCorrelated = matrixOf(protection) !== null;
  const before = isCorrelated ? await ctx.store.findNoiseStep(task.name) : null;
  const { weights, noiseState, within } = await ctx.work.aggregate({
    round: id,
    base: subject.base.weights,
    tensors: subject.base.tensors,
    maxExamples: task.training.maxExamples,
    strategy: task.strategy,
    protection,
    secret,
    over: isCorrelated || task.cohort.selection?.kind === 'poisson' ? task.cohort.target : null,
    ...(isCorrelated && { noiseState: before?.state ?? null }),
    updates: updates.map(({ digest }) => digest),
  });
  return {
    event: async (now, records) => {
      // A client revoked meanwhile takes its update out of the set: the job runs again on what is left.
      const still = await records.listAcceptedUpdates(id);
      if (still.length !== updates.length) return null;
      if (noiseState !== null && !(await takeStep(records, subject, before, noiseState))) return null;
      if (within !== null) await records.noteWithinClip(id, within);
      return { kind: 'aggregated', now, weights, reported: updates.length };
    },
    detail: { ...(within !== null && { withinClip: within }) },
  };
}

/** In the transaction from which on the round's release is used: the step is taken then, whatever becomes of the version. False when the job is late. */
async function takeStep(
  records: Records,
  { round, task }: Subject,
  before: NoiseStep | null,
  state: Digest,
): Promise<boolean> {
  const [now, latest] = [await records.findRound(round.id), await records.findNoiseStep(task.name)];
  if (now?.state.kind !== 'aggregating' || latest?.step !== before?.step) return false;
  await records.insertNoiseStep(task.name, { step: (before?.step ?? 0) + 1, state }, round.id);
  return true;
}

/** A sum that was confirmed is opened whole: nobody, not even a client revoked since, can be taken out of it. */
async function openSum(
  ctx: Context,
  protocols: Protocols,
  { round, task, base }: Subject,
  secret: Uint8Array | null,
): Promise<Occurrence> {
  for (const garbled of [false, true]) {
    const order = await protocols.openOrder(round, garbled);
    if (order === null) break;
    const opened = await ctx.work.open({
      base: base.weights,
      tensors: base.tensors,
      strategy: task.strategy,
      protection: task.protection,
      secret,
      order,
    });
    if (opened === null) continue;
    const { weights, examples, within } = opened;
    const reported = order.inputs.length;
    return {
      event: async (now, records) => {
        if (within !== null) await records.noteWithinClip(round.id, within);
        return { kind: 'aggregated', now, weights, reported };
      },
      detail: { examples, ...(within !== null && { withinClip: within }) },
    };
  }
  return failed('aggregation-failed', new Error('SECAGG_LANE: the opened sum holds what no honest updates sum up to'));
}

/** What evaluation found, with the metrics to publish; null when the round is not in that phase (any more). */
export async function evaluateRound(ctx: Context, id: RoundId): Promise<Occurrence | null> {
  const subject = await subjectOf(ctx, id, 'evaluating');
  if (subject?.round.state.kind !== 'evaluating') return null;
  // A job may come early; the reconciler brings it again.
  if (ctx.clock.now() < (subject.round.state.notBefore ?? 0)) return null;
  const reported = trainingMetrics(await ctx.store.listAcceptedUpdates(id));
  try {
    const metrics = { ...reported, ...(await evaluate(ctx, subject.base, subject.round.state.weights)) };
    const accepted = Object.values(metrics).every(Number.isFinite);
    const finite = Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
    return {
      event: async (now) => ({ kind: 'evaluated', now, accepted }),
      metrics: finite,
      detail: { metrics: finite },
    };
  } catch (error) {
    if (isTransient(error)) throw error;
    ctx.emit({ kind: 'job-failed', at: ctx.clock.now(), job: `evaluate ${id}`, error });
    return failed('evaluation-failed', error);
  }
}

/** Metrics of the clients' own training, weighted by examples: of those that every update carries. */
export function trainingMetrics(updates: readonly Pick<UpdateRecord, 'examples' | 'metrics'>[]): Metrics {
  const [first] = updates;
  if (first === undefined) return {};
  const total = updates.reduce((sum, { examples }) => sum + examples, 0);
  const common = Object.keys(first.metrics).filter((name) => updates.every(({ metrics }) => name in metrics));
  const mean = (name: string): number =>
    updates.reduce((sum, { examples, metrics }) => sum + examples * (metrics[name] ?? 0), 0) / total;
  return Object.fromEntries(common.map((name) => [name, mean(name)]));
}

async function evaluate(
  ctx: Context,
  base: VersionRecord,
  weights: Parameters<Context['models']['get']>[0],
): Promise<Metrics> {
  if (ctx.evaluator === null) return {};
  const [topology, flat] = await Promise.all([ctx.models.get(base.topology), ctx.models.get(weights)]);
  return ctx.evaluator.evaluate({
    topology: new TextDecoder().decode(topology),
    tensors: base.tensors,
    weights: new Float32Array(flat.buffer, flat.byteOffset, flat.byteLength / 4),
  });
}

interface Subject {
  readonly round: RoundRecord;
  /** As it is in this round. */
  readonly task: Task;
  readonly base: VersionRecord;
}

async function subjectOf(ctx: Context, id: RoundId, phase: 'aggregating' | 'evaluating'): Promise<Subject | null> {
  const round = await ctx.store.findRound(id);
  if (round?.state.kind !== phase) return null;
  const task = taskIn(round, await ctx.store.findTask(round.task));
  const base = task && (await ctx.store.findVersion(task.model.name, round.baseVersion));
  return task && base ? { round, task, base } : null;
}

/** The database or the disk did not answer: the job's own retry is the answer, not the end of the round. */
function isTransient(error: unknown): boolean {
  return error instanceof CoordinatorError && error.status === 503;
}

function failed(kind: 'aggregation-failed' | 'evaluation-failed', error: unknown): Occurrence {
  const why = error instanceof Error ? error.message : String(error);
  return { event: async (now): Promise<RoundEvent> => ({ kind, now }), detail: { error: why } };
}
