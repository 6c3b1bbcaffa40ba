/**
 * A round is a value; `step(state, event)` is the only way from one to the next. Time and randomness arrive inside
 * events, what should happen leaves as effects. States, events, the full table and the numbered invariants:
 * `docs/protocol/round.md`.
 */
import { thresholdsFor } from '@carapace/aggregation';
import type { ClientId, Digest } from '@carapace/aggregation';
import type { RandomSource } from '@carapace/crypto';
import { sample } from '@carapace/crypto';
import { capPerSite } from './selection.ts';

/** Milliseconds since the epoch. */
export type Instant = number;

/** What a round may do, frozen when it opens: later edits of the task do not reach it. */
export interface RoundPlan {
  readonly target: number;
  readonly minimum: number;
  /** Clients to select: `ceil(target * overSelection)`. */
  readonly cohort: number;
  readonly perSite: number | null;
  readonly selectionMs: number;
  readonly reportMs: number;
  readonly graceMs: number;
  /** How long aggregation and evaluation may each take before the round is abandoned. */
  readonly workMs: number;
  /**
   * Probability of the secret coin that each enrolled client's part hangs on; absent or null where a cohort is drawn from those who wait. Nothing
   * that is seen outside may hang on how many the coins chose: the round closes at its deadline, with nobody as well, and is published after its grace.
   */
  readonly poisson?: number | null;
  /** Whether the round is in the privacy ledger. */
  readonly charged: boolean;
  /** The protocol around the updates; null where there is none. */
  readonly protocol: ProtocolPlan | null;
}

export interface ProtocolPlan {
  /** Who takes the protection off the sum: the cohort that put it on (secure aggregation), or a second aggregator (shares). */
  readonly by: 'cohort' | 'aggregator';
  /** How long they have for each step beside the updates themselves. */
  readonly stepMs: number;
}

interface Running {
  readonly plan: RoundPlan;
}

export interface Open extends Running {
  readonly kind: 'open';
  readonly openedAt: Instant;
  /** Selection ends here with whoever is waiting, if they are a quorum. */
  readonly selectBy: Instant;
}

/**
 * Keys are agreed on before anyone's update is taken: the cohort's, of its masks (secure aggregation, steps 0 and 1), or the second
 * aggregator's (shares).
 */
export interface Agreeing extends Running {
  readonly kind: 'agreeing';
  readonly step: 'advertise-keys' | 'share-keys';
  readonly selected: number;
  readonly startedAt: Instant;
  /** This step closes here with whoever has spoken, if they are enough. */
  readonly deadline: Instant;
}

export interface Collecting extends Running {
  readonly kind: 'collecting';
  readonly selected: number;
  readonly startedAt: Instant;
  readonly deadline: Instant;
  /** Deadline plus grace: nothing is waited for beyond it. */
  readonly closeBy: Instant;
}

/**
 * The sum is uncovered: the survivors confirm who is in it and take their masks off (secure aggregation, steps 3 and 4), or the
 * second aggregator tells the sum of its shares (shares, the step `unmask` alone).
 */
export interface Unmasking extends Running {
  readonly kind: 'unmasking';
  readonly step: 'consistency' | 'unmask';
  readonly reported: number;
  readonly since: Instant;
  readonly deadline: Instant;
}

export interface Aggregating extends Running {
  readonly kind: 'aggregating';
  /** Admitted updates when the round closed to more. */
  readonly reported: number;
  readonly since: Instant;
  readonly giveUpAt: Instant;
}

export interface Evaluating extends Running {
  readonly kind: 'evaluating';
  readonly reported: number;
  readonly weights: Digest;
  readonly since: Instant;
  /** Evaluation, and what is published by it, does not begin sooner. */
  readonly notBefore?: Instant;
  readonly giveUpAt: Instant;
}

export interface Completed {
  readonly kind: 'completed';
  readonly reported: number;
  readonly weights: Digest;
  readonly at: Instant;
}

export interface Abandoned {
  readonly kind: 'abandoned';
  readonly reason: AbandonReason;
  readonly during: RunningState['kind'];
  readonly at: Instant;
}

type RunningState = Open | Agreeing | Collecting | Unmasking | Aggregating | Evaluating;
export type RoundState = RunningState | Completed | Abandoned;

export const ABANDON_REASONS = {
  'too-few-candidates': 'Fewer clients than the minimum were waiting when selection ended.',
  'keys-not-agreed':
    'Too few selected clients advertised keys or shared them in time, or the second aggregator gave no key: nobody had sent an update yet.',
  'quorum-not-met': 'Fewer updates than the minimum had come by the deadline plus grace.',
  'quorum-unreachable':
    'So many selected clients declined, failed or were revoked that the minimum could no longer be met.',
  'sum-not-unmasked':
    'Too few survivors confirmed the sum or helped to unmask it in time, or the second aggregator did not: every update in it stays hidden.',
  'aggregation-failed': 'The updates could not be aggregated; the time line names the error.',
  'aggregation-timeout': 'Aggregation did not end in its time.',
  'evaluation-failed': 'The new weights could not be evaluated; the time line names the error.',
  'evaluation-timeout': 'Evaluation did not end in its time.',
  'gate-refused': 'The evaluation gate refused the new weights.',
  'task-stopped': 'An operator stopped the task.',
} as const;

export type AbandonReason = keyof typeof ABANDON_REASONS;

/** A client that waits for work. */
export interface Candidate {
  readonly client: ClientId;
  readonly site: string;
}

/** The cohort by what became of it, as counted in the records under the lock of the round. */
export interface Tally {
  /** Selected and still expected to report. */
  readonly outstanding: number;
  /** Updates admitted. */
  readonly reported: number;
}

/** The steps of secure aggregation whose messages are small; the masked inputs between them travel as updates. */
export type MessageStep = Agreeing['step'] | Unmasking['step'];
/** Where a protocol of secure aggregation is, in the order of its steps. */
export type ProtocolStep = MessageStep | 'masked-input' | 'opening';

export type RoundEvent =
  | {
      readonly kind: 'candidates';
      readonly now: Instant;
      readonly waiting: readonly Candidate[];
      readonly random: RandomSource;
    }
  | { readonly kind: 'tally'; readonly now: Instant; readonly tally: Tally }
  /** Where the protocol stands after the messages that came, closed by time where its step was over; `present` go on in it. */
  | {
      readonly kind: 'protocol';
      readonly now: Instant;
      readonly at: ProtocolStep | 'failed';
      readonly present: readonly ClientId[];
    }
  | { readonly kind: 'aggregated'; readonly now: Instant; readonly weights: Digest; readonly reported: number }
  | { readonly kind: 'aggregation-failed'; readonly now: Instant }
  | { readonly kind: 'evaluated'; readonly now: Instant; readonly accepted: boolean }
  | { readonly kind: 'evaluation-failed'; readonly now: Instant }
  | { readonly kind: 'tick'; readonly now: Instant }
  | { readonly kind: 'stop'; readonly now: Instant };

export type Effect =
  | { readonly kind: 'select'; readonly cohort: readonly Candidate[] }
  | { readonly kind: 'wake'; readonly at: Instant }
  /** What was admitted is what is summed: the set that the survivors confirm. */
  | { readonly kind: 'fix-survivors' }
  | { readonly kind: 'aggregate' }
  | { readonly kind: 'evaluate'; readonly weights: Digest; readonly at: Instant }
  | { readonly kind: 'publish'; readonly weights: Digest; readonly reported: number }
  /** Nothing is expected any more of whoever is outstanding, but for those who are present. */
  | { readonly kind: 'dismiss'; readonly present: readonly ClientId[] };

export interface Step {
  readonly state: RoundState;
  readonly effects: readonly Effect[];
}

/** The first state of a round, and the wake-up that guarantees its end. */
export function openRound(plan: RoundPlan, now: Instant): Step {
  const selectBy = now + plan.selectionMs;
  return { state: { kind: 'open', plan, openedAt: now, selectBy }, effects: [{ kind: 'wake', at: selectBy }] };
}

export function step(state: RoundState, event: RoundEvent): Step {
  switch (state.kind) {
    case 'open':
      return stepOpen(state, event);
    case 'agreeing':
      return stepAgreeing(state, event);
    case 'collecting':
      return stepCollecting(state, event);
    case 'unmasking':
      return stepUnmasking(state, event);
    case 'aggregating':
      return stepAggregating(state, event);
    case 'evaluating':
      return stepEvaluating(state, event);
    case 'completed':
    case 'abandoned':
      return unchanged(state);
  }
}

export function isTerminal(state: RoundState): state is Completed | Abandoned {
  return state.kind === 'completed' || state.kind === 'abandoned';
}

/**
 * Which event the shell owes a round when it is nudged or woken: what it must read from the records first. A bare tick
 * knows too little to decide an open or collecting round.
 */
export function observation(state: RoundState): 'candidates' | 'protocol' | 'tally' | 'tick' | null {
  switch (state.kind) {
    case 'open':
      return 'candidates';
    case 'agreeing':
    case 'unmasking':
      return 'protocol';
    case 'collecting':
      return 'tally';
    case 'aggregating':
    case 'evaluating':
      return 'tick';
    case 'completed':
    case 'abandoned':
      return null;
  }
}

/** The last moment by which an observation ends this phase whatever it sees; `null` once the round has ended. */
export function phaseEnd(state: RoundState): Instant | null {
  switch (state.kind) {
    case 'open':
      return state.selectBy;
    case 'agreeing':
    case 'unmasking':
      return state.deadline;
    case 'collecting':
      return state.closeBy;
    case 'aggregating':
    case 'evaluating':
      return state.giveUpAt;
    case 'completed':
    case 'abandoned':
      return null;
  }
}

function stepOpen(state: Open, event: RoundEvent): Step {
  if (event.kind === 'stop') return abandon(state, 'task-stopped', event.now);
  if (event.kind === 'candidates') return considerCandidates(state, event);
  return unchanged(state);
}

function considerCandidates(state: Open, event: Extract<RoundEvent, { kind: 'candidates' }>): Step {
  const { plan } = state;
  if (isPoisson(plan)) return select(state, event.waiting, event.now);
  const eligible = capPerSite(sample(event.random, event.waiting, event.waiting.length), plan.perSite);
  if (eligible.length >= plan.cohort) return select(state, eligible.slice(0, plan.cohort), event.now);
  if (event.now < state.selectBy) return unchanged(state);
  if (eligible.length >= plan.minimum) return select(state, eligible, event.now);
  return abandon(state, 'too-few-candidates', event.now);
}

/** Whether candidates are those whom secret coins chose. */
export function isPoisson({ poisson }: RoundPlan): boolean {
  return poisson !== null && poisson !== undefined;
}

function select(state: Open, cohort: readonly Candidate[], now: Instant): Step {
  const { plan } = state;
  const selected = cohort.length;
  if (plan.protocol === null) return collect(plan, selected, now, [{ kind: 'select', cohort }]);
  const deadline = now + plan.protocol.stepMs;
  return {
    state: {
      kind: 'agreeing',
      plan: { ...plan, minimum: quorumOf(plan, plan.protocol, selected) },
      step: 'advertise-keys',
      selected,
      startedAt: now,
      deadline,
    },
    effects: [
      { kind: 'select', cohort },
      { kind: 'wake', at: deadline },
    ],
  };
}

/** Fewer survivors than a cohort's thresholds ask for could never take the masks off: that is the quorum then. */
function quorumOf({ minimum }: RoundPlan, { by }: ProtocolPlan, selected: number): number {
  return by === 'cohort' ? Math.max(minimum, thresholdsFor(selected).minimumSurvivors) : minimum;
}

function stepAgreeing(state: Agreeing, event: RoundEvent): Step {
  if (event.kind === 'stop') return abandon(state, 'task-stopped', event.now);
  if (event.kind !== 'protocol') return unchanged(state);
  const { at, now, present } = event;
  if (at === 'failed') return abandon(state, 'keys-not-agreed', now);
  // The shell closes a step whose time is up before it tells where the protocol stands; if it did not, the round ends all the same.
  if (at === state.step || at === 'advertise-keys')
    return now >= state.deadline ? abandon(state, 'keys-not-agreed', now) : unchanged(state);
  const dismiss: Effect = { kind: 'dismiss', present };
  if (at !== 'share-keys') return collect(state.plan, state.selected, now, [dismiss]);
  const deadline = now + stepMsOf(state.plan);
  return { state: { ...state, step: at, deadline }, effects: [dismiss, { kind: 'wake', at: deadline }] };
}

function collect(plan: RoundPlan, selected: number, now: Instant, first: readonly Effect[]): Step {
  const deadline = now + plan.reportMs;
  const closeBy = deadline + plan.graceMs;
  return {
    state: { kind: 'collecting', plan, selected, startedAt: now, deadline, closeBy },
    effects: [...first, { kind: 'wake', at: deadline }, { kind: 'wake', at: closeBy }],
  };
}

/** Share of a cohort that a round with a protocol can lose after its updates are in, where over-selection allows it. */
const SLACK_SHARE = 0.1;

function stepCollecting(state: Collecting, event: RoundEvent): Step {
  if (event.kind === 'stop') return abandon(state, 'task-stopped', event.now);
  if (event.kind === 'tally') return considerTally(state, event.tally, event.now);
  return unchanged(state);
}

function considerTally(state: Collecting, tally: Tally, now: Instant): Step {
  const { plan } = state;
  if (isPoisson(plan)) return now >= state.deadline ? close(state, tally.reported, now) : unchanged(state);
  const quorum = tally.reported >= plan.minimum;
  const everyoneWanted = tally.reported >= wanted(state);
  if (quorum && (everyoneWanted || tally.outstanding === 0 || now >= state.deadline)) {
    return close(state, tally.reported, now);
  }
  if (now >= state.closeBy) return abandon(state, 'quorum-not-met', now);
  if (tally.reported + tally.outstanding < plan.minimum) return abandon(state, 'quorum-unreachable', now);
  return unchanged(state);
}

/**
 * Whoever sent an update may be gone when the cohort is to take the masks off, or may have dealt a share that the second aggregator cannot
 * open: some more than must stay are waited for.
 */
function wanted({ plan, selected }: Collecting): number {
  if (plan.protocol === null) return plan.target;
  return Math.min(selected, Math.max(plan.target, plan.minimum + Math.ceil(SLACK_SHARE * selected)));
}

function close(state: Collecting, reported: number, now: Instant): Step {
  const { plan } = state;
  const dismiss: Effect = { kind: 'dismiss', present: [] };
  if (plan.protocol === null) return aggregate(plan, reported, now, [dismiss]);
  const deadline = now + plan.protocol.stepMs;
  const first = plan.protocol.by === 'cohort' ? 'consistency' : 'unmask';
  return {
    state: { kind: 'unmasking', plan, step: first, reported, since: now, deadline },
    effects: [dismiss, { kind: 'fix-survivors' }, { kind: 'wake', at: deadline }],
  };
}

function stepUnmasking(state: Unmasking, event: RoundEvent): Step {
  if (event.kind === 'stop') return abandon(state, 'task-stopped', event.now);
  if (event.kind !== 'protocol') return unchanged(state);
  const { at, now } = event;
  if (at === 'failed') return abandon(state, 'sum-not-unmasked', now);
  if (at === 'opening') return aggregate(state.plan, state.reported, now, []);
  if (at !== 'unmask' || state.step === 'unmask')
    return now >= state.deadline ? abandon(state, 'sum-not-unmasked', now) : unchanged(state);
  const deadline = now + stepMsOf(state.plan);
  return { state: { ...state, step: at, deadline }, effects: [{ kind: 'wake', at: deadline }] };
}

/** Of a plan whose round is in its protocol. */
function stepMsOf({ protocol }: RoundPlan): number {
  return protocol?.stepMs ?? 0;
}

function aggregate(plan: RoundPlan, reported: number, now: Instant, first: readonly Effect[]): Step {
  const giveUpAt = now + plan.workMs;
  return {
    state: { kind: 'aggregating', plan, reported, since: now, giveUpAt },
    effects: [...first, { kind: 'aggregate' }, { kind: 'wake', at: giveUpAt }],
  };
}

function stepAggregating(state: Aggregating, event: RoundEvent): Step {
  switch (event.kind) {
    case 'stop':
      return abandon(state, 'task-stopped', event.now);
    case 'aggregated':
      return evaluate(state, event.weights, event.reported, event.now);
    case 'aggregation-failed':
      return abandon(state, 'aggregation-failed', event.now);
    case 'tick':
      return event.now >= state.giveUpAt ? abandon(state, 'aggregation-timeout', event.now) : unchanged(state);
    case 'candidates':
    case 'protocol':
    case 'tally':
    case 'evaluated':
    case 'evaluation-failed':
      return unchanged(state);
  }
}

/** `reported` counts what is in the aggregate: fewer than were admitted when a client was revoked in between. */
function evaluate(state: Aggregating, weights: Digest, reported: number, now: Instant): Step {
  const { plan } = state;
  if (!isPoisson(plan) && reported < plan.minimum) return abandon(state, 'quorum-unreachable', now);
  // How long a sum takes tells how many are in it: what follows comes at its own time.
  const notBefore = isPoisson(plan) ? Math.max(now, state.since + plan.graceMs) : now;
  const giveUpAt = notBefore + plan.workMs;
  return {
    state: { kind: 'evaluating', plan, reported, weights, since: now, ...(isPoisson(plan) && { notBefore }), giveUpAt },
    effects: [
      { kind: 'evaluate', weights, at: notBefore },
      { kind: 'wake', at: giveUpAt },
    ],
  };
}

function stepEvaluating(state: Evaluating, event: RoundEvent): Step {
  switch (event.kind) {
    case 'stop':
      return abandon(state, 'task-stopped', event.now);
    case 'evaluated':
      return event.accepted ? complete(state, event.now) : abandon(state, 'gate-refused', event.now);
    case 'evaluation-failed':
      return abandon(state, 'evaluation-failed', event.now);
    case 'tick':
      return event.now >= state.giveUpAt ? abandon(state, 'evaluation-timeout', event.now) : unchanged(state);
    case 'candidates':
    case 'protocol':
    case 'tally':
    case 'aggregated':
    case 'aggregation-failed':
      return unchanged(state);
  }
}

function complete(state: Evaluating, now: Instant): Step {
  const { reported, weights } = state;
  return {
    state: { kind: 'completed', reported, weights, at: now },
    effects: [{ kind: 'publish', weights, reported }],
  };
}

function abandon(state: RunningState, reason: AbandonReason, now: Instant): Step {
  return {
    state: { kind: 'abandoned', reason, during: state.kind, at: now },
    effects: [{ kind: 'dismiss', present: [] }],
  };
}

function unchanged(state: RoundState): Step {
  return { state, effects: [] };
}
