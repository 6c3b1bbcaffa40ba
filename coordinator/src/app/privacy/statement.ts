/** What is said of budgets outside the ledger. */
import type { AdaptiveClip, BudgetId, NoiseMatrix, PrivacyEvent } from '@carapace/aggregation';

/** In the signed manifest of a version. */
export interface PrivacyStatement {
  readonly unit: 'client';
  /** Who added the noise. */
  readonly placement: string;
  readonly noise: string;
  readonly noiseMultiplier: string;
  /** Of the round, where it moves. */
  readonly clip: number;
  readonly colluding: number;
  readonly adaptive?: AdaptiveClip;
  /** Of noise that is correlated over rounds. */
  readonly matrix?: NoiseMatrix;
  /** What each round was charged; with a matrix, what all of them together were. */
  readonly event: PrivacyEvent;
  /** Whether anything protects from the coordinator and whoever knows who took part. */
  readonly server: 'protected' | 'unprotected';
  /** So far, this round and reservations included. */
  readonly budgets: readonly {
    readonly budget: BudgetId;
    readonly epsilon: number;
    readonly delta: number;
    readonly relation: string;
    readonly view: string;
    readonly rounds: number;
  }[];
}

export interface Forecast {
  readonly budget: BudgetId;
  /** More rounds of the task that the budget holds. */
  readonly roundsLeft: number;
}
