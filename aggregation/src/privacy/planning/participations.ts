/** How often the client that takes part most does: where nobody says, predicted for cohorts that are drawn evenly. */
import { binomialTail } from '../numerics/binomial.ts';
import { firstTrue } from '../numerics/root.ts';
import { largestCohort } from '../user-level.ts';
import type { PlanQuestion } from './question.ts';

/** The prediction is exceeded with this probability at most. */
export const PARTICIPATION_RISK = 0.01;

export interface Participations {
  readonly basis: 'stated' | 'predicted' | 'every round';
  readonly after: (rounds: number) => number;
}

/**
 * Predicted: the least k for which population × P(Binomial(rounds, selected / population) > k) is at most {@link PARTICIPATION_RISK}; nobody
 * prevents more, unless there is a cap. A budget counts what happened.
 */
export function participationsOf({ population, cohort, participations }: PlanQuestion): Participations {
  if (participations !== null) {
    const { most, apart } = participations;
    return { basis: 'stated', after: (rounds) => Math.min(most ?? Infinity, Math.ceil(rounds / apart)) };
  }
  const share = population === null ? 1 : Math.min(1, largestCohort(cohort) / population);
  if (population === null || share === 1) return { basis: 'every round', after: (rounds) => rounds };
  const isRare = (rounds: number, k: number): boolean =>
    population * binomialTail(rounds, share, k + 1) <= PARTICIPATION_RISK;
  return { basis: 'predicted', after: (rounds) => firstTrue(0, rounds, (k) => k === rounds || isRare(rounds, k)) };
}
