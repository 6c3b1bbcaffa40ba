/** What a plan of private training is asked for: by itself, or about a task. Every number is in range here; whether they go together is the plan's to say. */
import type { Cohort, NoisePlacement, ParticipationCap, Protection } from '../../task.ts';
import type { MaskMode } from '../../secagg/vector-mask.ts';
import type { BudgetMode } from '../drawn.ts';
import type { NoiseKind } from '../mechanisms/description.ts';
import { ladderOf } from './ladder.ts';
import type { Ladder } from './ladder.ts';

/** As the views of a budget: `model` sees the published models, `server` knows who took part. */
export const PLAN_VIEWS = ['model', 'server'] as const;
export type PlanView = (typeof PLAN_VIEWS)[number];

/**
 * As of a task. `fixed`: who takes part is no secret, so nothing is gained by sampling. `poisson`: every client comes by a secret coin of its
 * own, which amplifies the model's view and no other.
 */
export const PLAN_SELECTIONS = ['fixed', 'poisson'] as const;

export interface PlanTarget {
  readonly epsilon: number;
  readonly view: PlanView;
}

/** What a change of one thing costs; the cheapest change is by these. */
export interface ChangePrices {
  /** Of twice the noise on the mean. */
  readonly noise: number;
  /** Of half the rounds. */
  readonly rounds: number;
  /** Of twice the clients in a round. */
  readonly cohort: number;
  /** Of ten times the delta. */
  readonly delta: number;
}

export const EVEN_PRICES: ChangePrices = { noise: 1, rounds: 1, cohort: 1, delta: 1 };

export interface PlanQuestion {
  /** Clients that may be selected; null when nobody says. */
  readonly population: number | null;
  readonly cohort: Pick<Cohort, 'target' | 'minimum' | 'overSelection'>;
  /** Null: as many as the target holds. */
  readonly rounds: number | null;
  readonly delta: number;
  /** Null: nothing is to be met. */
  readonly target: PlanTarget | null;
  /** Probability of a secret coin, a decimal; null for a fixed cohort. */
  readonly rate: string | null;
  readonly relation: 'zero-out' | 'replace-one';
  readonly mode: BudgetMode;
  /** Rounds that one client takes part in at most; null predicts it. */
  readonly participations: ParticipationCap | null;
  readonly protection: Protection['kind'];
  readonly placement: NoisePlacement;
  readonly maskMode: 'auto' | MaskMode;
  readonly bits: number;
  readonly noise: NoiseKind;
  /** Null: the least that meets the target. */
  readonly noiseMultiplier: string | null;
  readonly clip: number;
  readonly colluding: number;
  /** Values of an update. */
  readonly parameters: number;
  /** Probability that a selected client does not report. */
  readonly dropout: number;
  readonly prices: ChangePrices;
  /** What a ledger has left of budgets; empty when nobody asked one. */
  readonly budgets: readonly BudgetLeft[];
}

export interface BudgetLeft {
  readonly budget: string;
  /** More rounds of the plan that it holds; whoever is asked for a plan need not count beyond its end. */
  readonly roundsLeft: number;
}

const RATES: Ladder = ladderOf(6);

/** Probability of the coins that bring so many of a population, as a task can say it: never more than that. */
export function rateFor(target: number, population: number): string {
  return RATES.textAt(RATES.below(target / population));
}
