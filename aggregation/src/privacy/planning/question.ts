/** What a plan of private training is asked for: by itself, or about a task. Every number is in range here; whether they go together is the plan's to say. */
import type { Cohort } from '../../task.ts';
import type { MaskMode } from '../../secagg/vector-mask.ts';
import type { BudgetMode } from '../drawn.ts';
import type { NoiseKind } from '../mechanisms/description.ts';

/** As the views of a budget: `model` sees the published models, `server` knows who took part. */
export const PLAN_VIEWS = ['model', 'server'] as const;
export type PlanView = (typeof PLAN_VIEWS)[number];

/**
 * `public`: who takes part is no secret, so nothing is gained by sampling; that is how rounds select today. `poisson`: every client comes by a
 * secret coin of its own, which amplifies the model's view and no other.
 */
export const PLAN_SELECTIONS = ['public', 'poisson'] as const;
export type PlanSelection = (typeof PLAN_SELECTIONS)[number];

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
  readonly selection: PlanSelection;
  readonly relation: 'zero-out' | 'replace-one';
  readonly mode: BudgetMode;
  /** Rounds that one client takes part in at most; null predicts it. */
  readonly participations: number | null;
  readonly protection: 'secagg' | 'shares';
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
  /** What the ledger has left of budgets that the task names. */
  readonly budgets: readonly BudgetLeft[];
}

export interface BudgetLeft {
  readonly budget: string;
  /** More rounds of the task that it holds. */
  readonly roundsLeft: number;
}

/** Clients that a round selects when enough are there. */
export function selectedOf({ target, overSelection }: PlanQuestion['cohort']): number {
  return Math.ceil(Number((target * overSelection).toPrecision(12)));
}
