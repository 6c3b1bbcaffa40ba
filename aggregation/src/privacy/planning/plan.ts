/** A plan of private training: what it costs, what it leaves of the model, and what would make it meet its target. */
import { thresholdsFor } from '../../secagg/thresholds.ts';
import type { PrivacyEvent } from '../events/event.ts';
import type { TaskCharge } from '../round-charge.ts';
import { largestCohort } from '../user-level.ts';
import { leastNoise } from './calibrated.ts';
import { changesFor, roundsHeld } from './changes.ts';
import type { Change, Changes } from './changes.ts';
import { curveOf } from './curve.ts';
import type { CurvePoint } from './curve.ts';
import { PARTICIPATION_RISK, participationsOf } from './participations.ts';
import type { Participations } from './participations.ts';
import type { BudgetLeft, PlanQuestion, PlanView } from './question.ts';
import { quorumOddsOf } from './quorum.ts';
import type { QuorumOdds } from './quorum.ts';
import { isImpossible, roundOf } from './round.ts';
import type { PlannedRound } from './round.ts';
import { signalOf } from './signal.ts';
import type { Signal } from './signal.ts';
import { trafficOf } from './traffic.ts';
import type { Traffic } from './traffic.ts';
import { obstaclesTo, warningsOf } from './warnings.ts';
import type { PlanWarning } from './warnings.ts';

export interface PrivacyPlan {
  /** As it was understood, with every default. */
  readonly question: PlanQuestion;
  readonly warnings: readonly PlanWarning[];
  /** Null when there can be no such run; the warnings say why. */
  readonly run: PlannedRun | null;
}

export interface PlannedRun {
  readonly rounds: number;
  readonly noiseMultiplier: string;
  /** Whether the noise was chosen to meet the target. */
  readonly calibrated: boolean;
  readonly selected: number;
  /** What one round is charged, to either view; events of the accountant, none where nothing protects. */
  readonly events: Readonly<Record<PlanView, readonly PrivacyEvent[]>>;
  /** After the last round; infinite where nothing protects. */
  readonly epsilon: Readonly<Record<PlanView, number>>;
  readonly participations: {
    readonly basis: Participations['basis'];
    readonly most: number;
    /** Of a prediction: the probability that some client takes part more often. */
    readonly risk: number;
  };
  readonly curve: readonly CurvePoint[];
  readonly target: {
    readonly epsilon: number;
    readonly delta: number;
    readonly view: PlanView;
    readonly met: boolean;
    /** Rounds that it holds, up to a million. */
    readonly roundsHeld: number;
  } | null;
  readonly signal: Signal;
  readonly traffic: Traffic;
  readonly quorum: QuorumOdds;
  /** What would meet a target that is missed, the cheapest first. */
  readonly changes: readonly Change[];
  /** What alone cannot make it meet its target. */
  readonly hopeless: readonly Change['what'][];
}

const MOST_ROUNDS = 1_000_000;
const NOTHING: Changes = { changes: [], hopeless: [] };

/** What budgets have left for rounds of such a charge, up to `most` of them: asked once it is known what noise there will be. */
export type BudgetsLeft = (charge: TaskCharge, most: number) => readonly BudgetLeft[];

/** @throws AggregationError `PRIVACY_TARGET_UNREACHABLE` when no noise meets the target, or as the accountants */
export function planPrivacy(question: PlanQuestion, left: BudgetsLeft = () => question.budgets): PrivacyPlan {
  const obstacles = obstaclesTo(question);
  if (obstacles.length > 0) return { question, warnings: obstacles, run: null };
  try {
    return planRun(question, left);
  } catch (error) {
    if (!isImpossible(error)) throw error;
    const text = error.message.slice(error.code.length + 2);
    return { question, warnings: [{ code: 'PLAN_IMPOSSIBLE', text }], run: null };
  }
}

function planRun(question: PlanQuestion, left: BudgetsLeft): PrivacyPlan {
  if (question.protection === 'secagg') thresholdsFor(largestCohort(question.cohort));
  const round =
    question.noiseMultiplier === null
      ? leastNoise(question, question.rounds!)
      : roundOf(question, question.noiseMultiplier);
  const held = question.target === null ? null : roundsHeld(question, round, MOST_ROUNDS);
  const rounds = question.rounds ?? Math.max(1, held ?? 1);
  const participations = participationsOf(question);
  const curve = curveOf(question, round.releases, rounds, participations);
  const last = curve.at(-1);
  const signal = signalOf(question, round, rounds);
  const quorum = quorumOddsOf(question, round);
  const run: PlannedRun = {
    rounds,
    noiseMultiplier: round.noiseMultiplier,
    calibrated: question.noiseMultiplier === null,
    selected: round.selected,
    events: { model: eventsOf(round, 'model'), server: eventsOf(round, 'server') },
    epsilon: { model: last.model, server: last.server },
    participations: {
      basis: participations.basis,
      most: last.participations,
      risk: participations.basis === 'predicted' ? PARTICIPATION_RISK : 0,
    },
    curve,
    target: held === null ? null : targetOf(question, last, held),
    signal,
    traffic: trafficOf(question, round),
    quorum,
    ...(held === null || isMet(question, last) ? NOTHING : changesFor(settled(question, round, rounds), round)),
  };
  const answered = { ...question, budgets: left(round.charge, rounds) };
  return {
    question: answered,
    warnings: warningsOf({ question: answered, rounds, last, signal, odds: quorum, held }),
    run,
  };
}

function eventsOf({ releases }: PlannedRound, view: PlanView): PrivacyEvent[] {
  return (releases.charges(view, 1, 1) ?? []).map(({ event }) => event);
}

function targetOf(question: PlanQuestion, last: CurvePoint, held: number): PlannedRun['target'] {
  const { epsilon, view } = question.target!;
  return { epsilon, delta: question.delta, view, met: isMet(question, last), roundsHeld: held };
}

function isMet({ target }: PlanQuestion, last: CurvePoint): boolean {
  return target !== null && last[target.view] <= target.epsilon;
}

function settled(question: PlanQuestion, { noiseMultiplier }: PlannedRound, rounds: number): Change['question'] {
  return { ...question, noiseMultiplier, rounds };
}
