/**
 * The shell around `domain/round.ts`: load, decide, write, then perform. It has no rule about rounds of its own. What must be
 * true together with the new state is written in its transaction; everything else follows the commit and may be repeated.
 */
import type { ClientId, Metrics, RoundId, Task } from '@carapace/aggregation';
import { isTerminal, observation, step } from '../domain/round.ts';
import { capOf, within } from '../domain/participation.ts';
import { drawCohort } from '../domain/poisson.ts';
import type { Candidate, Effect, Instant, RoundEvent, Step } from '../domain/round.ts';
import type { Records, RoundRecord, VersionRecord } from '../ports.ts';
import type { Context } from './context.ts';
import { openSession } from './open-session.ts';
import type { Budgets } from './privacy/budgets.ts';
import type { Protocols } from './protocols.ts';
import { onRoster } from './secagg/rosters.ts';
import { taskIn } from './round-task.ts';
import { manifested } from './versions.ts';

/** Something that happened outside the records: an event, and what goes with it. */
export interface Occurrence {
  /** Null, after a look at the records under the lock, when it no longer applies. */
  readonly event: (now: Instant, records: Records) => Promise<RoundEvent | null>;
  /** Published with the version when the round completes by this. */
  readonly metrics?: Metrics;
  /** For the time line. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** What a step is taken with. */
export interface Means {
  readonly ctx: Context;
  readonly protocols: Protocols;
  readonly budgets: Budgets;
}

export interface Advance {
  /** As it was before. */
  readonly round: RoundRecord;
  readonly step: Step;
  readonly now: Instant;
  readonly published: VersionRecord | null;
}

/**
 * Moves a round on by an occurrence, or by what the records show now. Safe to call at any time, any number of times, from any
 * process. @returns what was done, or null when nothing changed
 */
export async function advanceRound(means: Means, id: RoundId, occurrence?: Occurrence): Promise<Advance | null> {
  const { ctx } = means;
  if (occurrence === undefined && !(await wouldChange(means, id))) return null;
  const advance = await ctx.store.transaction('advance_round', (records) => decide(means, records, id, occurrence));
  if (advance !== null) await performEffects(ctx, id, advance.step.effects);
  return advance;
}

/** After the commit: jobs. A crash before this line loses nothing, because the reconciler reads the same state. */
export async function performEffects(ctx: Context, round: RoundId, effects: readonly Effect[]): Promise<void> {
  for (const effect of effects) {
    if (effect.kind === 'wake')
      await ctx.queue.add({ kind: 'step-round', round }, { at: effect.at, key: `wake-${round}-${effect.at}` });
    if (effect.kind === 'aggregate') await ctx.queue.add({ kind: 'aggregate', round }, { key: `aggregate-${round}` });
    if (effect.kind === 'evaluate')
      await ctx.queue.add({ kind: 'evaluate', round }, { at: effect.at, key: `evaluate-${round}` });
  }
}

/** A look without the lock: most nudges change nothing and need not stand in the way of admissions. */
async function wouldChange(means: Means, id: RoundId): Promise<boolean> {
  const { store, clock } = means.ctx;
  const round = await store.findRound(id);
  if (round === null) return false;
  const event = await observe(means, store, round, clock.now());
  return event !== null && step(round.state, event).state !== round.state;
}

async function decide(means: Means, records: Records, id: RoundId, occurrence?: Occurrence): Promise<Advance | null> {
  const { ctx, budgets } = means;
  const round = await records.lockRound(id);
  if (round === null || isTerminal(round.state)) return null;
  const now = ctx.clock.now();
  const event = await (occurrence === undefined ? observe(means, records, round, now) : occurrence.event(now, records));
  if (event === null) return null;
  const next = step(round.state, event);
  if (next.state === round.state) return null;
  await records.updateRound(id, next.state, now);
  await budgets.settle(records, id, round.state, next.state, now);
  const published = await writeEffects(means, records, round, next, now, occurrence?.metrics ?? {});
  await records.appendRoundEvent(id, now, next.state.kind, { ...timelineOf(next), ...occurrence?.detail });
  return { round, step: next, now, published };
}

/** The event that the domain asks for in this state, read from the records. */
async function observe(
  { ctx, protocols }: Means,
  records: Records,
  round: RoundRecord,
  now: Instant,
): Promise<RoundEvent | null> {
  switch (observation(round.state)) {
    case 'candidates':
      return { kind: 'candidates', now, waiting: await listEligible(records, round, now), random: ctx.random };
    case 'protocol':
      return protocols.observe(records, round, now);
    case 'tally':
      return { kind: 'tally', now, tally: await records.tally(round.id) };
    case 'tick':
      return { kind: 'tick', now };
    case null:
      return null;
  }
}

/** With a protocol, those whom the published roster vouches for; the second aggregator never holds both shares. */
async function listEligible(records: Records, round: RoundRecord, now: Instant): Promise<readonly Candidate[]> {
  if ('plan' in round.state && round.state.plan.poisson != null)
    return drawn(records, round.id, round.state.plan.poisson);
  const task = (await records.findTask(round.task))?.task;
  const waiting = await allowed(records, round, task, await records.listCandidates(now));
  if (!('plan' in round.state) || round.state.plan.protocol === null) return waiting;
  const protection = task?.protection;
  const aggregator = protection?.kind === 'shares' ? protection.aggregator : null;
  return onRoster(
    records,
    waiting.filter(({ client }) => client !== aggregator),
  );
}

/** Whom the task's cap lets take part once more, by what the records say of the rounds before. */
async function allowed(
  records: Records,
  round: RoundRecord,
  task: Task | undefined,
  waiting: readonly Candidate[],
): Promise<readonly Candidate[]> {
  const cap = task === undefined ? null : capOf(task);
  if (cap === null) return waiting;
  if (cap.by === 'rounds') return within(cap, waiting, await records.listParticipations(round.task), round.number);
  const step = (await records.findNoiseStep(round.task))?.step ?? 0;
  return within(cap, waiting, await records.listStepParticipations(round.task), step + 1);
}

/** By the coins of the round, whether they wait or not. */
async function drawn(records: Records, id: RoundId, probability: number): Promise<readonly Candidate[]> {
  const secret = await records.findRoundSecret(id);
  if (secret === null) throw new Error(`the secret of ${id} is gone: nobody can be chosen by it`);
  const clients = await records.listClients();
  const enrolled = clients.flatMap(({ id: client, site, status }) => (status === 'active' ? [{ client, site }] : []));
  return drawCohort(secret, probability, enrolled);
}

async function writeEffects(
  means: Means,
  records: Records,
  round: RoundRecord,
  next: Step,
  now: Instant,
  metrics: Metrics,
): Promise<VersionRecord | null> {
  const { ctx, protocols } = means;
  let published: VersionRecord | null = null;
  for (const effect of next.effects) {
    if (effect.kind === 'select') {
      await records.insertParticipants(round.id, clientsOf(effect), now);
      if (next.state.kind === 'agreeing') await openSession(ctx, records, round, next.state, clientsOf(effect));
    }
    if (effect.kind === 'dismiss') await records.dismissParticipants(round.id, effect.present, now);
    if (effect.kind === 'fix-survivors') await protocols.fixSurvivors(records, round.id);
    if (effect.kind === 'publish') published = await publish(means, records, round, effect, now, metrics);
  }
  return published;
}

async function publish(
  { ctx, budgets }: Means,
  records: Records,
  round: RoundRecord,
  effect: Extract<Effect, { kind: 'publish' }>,
  now: Instant,
  metrics: Metrics,
): Promise<VersionRecord> {
  const task = taskIn(round, await records.findTask(round.task));
  const base = task && (await records.findVersion(task.model.name, round.baseVersion));
  if (!base) throw new Error(`${round.id} completes, but its task or base version is not in the records`);
  const { model, topology, tensors, version: parent } = base;
  const content = {
    model,
    topology,
    tensors,
    weights: effect.weights,
    round: round.id,
    parent,
    metrics,
    // How many came tells of each whether it did.
    cohort: privateCohort(task) ? null : effect.reported,
  };
  const privacy = await budgets.statement(records, task, base, now);
  const said = { privacy, examples: task.training.privacy ?? null };
  return records.insertVersion(manifested(ctx.key, content, now, said), now);
}

function privateCohort({ cohort }: Task): boolean {
  return cohort.selection?.kind === 'poisson';
}

function clientsOf(effect: Extract<Effect, { kind: 'select' }>): ClientId[] {
  return effect.cohort.map(({ client }) => client);
}

function timelineOf({ state, effects }: Step): Record<string, unknown> {
  const selected = effects.find((effect) => effect.kind === 'select');
  switch (state.kind) {
    case 'open':
      return {};
    case 'agreeing':
      return { step: state.step, selected: state.selected, deadline: state.deadline };
    case 'collecting':
      return { selected: selected?.cohort.length ?? state.selected, deadline: state.deadline };
    case 'unmasking':
      return { step: state.step, reported: state.reported, deadline: state.deadline };
    case 'aggregating':
      return { reported: state.reported };
    case 'evaluating':
    case 'completed':
      return { reported: state.reported, weights: state.weights };
    case 'abandoned':
      return { reason: state.reason, during: state.during };
  }
}
