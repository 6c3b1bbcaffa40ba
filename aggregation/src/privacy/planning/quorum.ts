/** Whether enough report: clients drop out one by one, each with the same probability. */
import { binomialTail } from '../numerics/binomial.ts';
import type { PlanQuestion } from './question.ts';
import type { RoundCohort } from './round.ts';

export interface QuorumOdds {
  /** Survivors without whom nothing is opened. */
  readonly quorum: number;
  readonly dropout: number;
  /** Probability that so many report, exactly: a tail of the binomial distribution. */
  readonly probability: number;
  /** Rounds that must be begun for one that completes; null where none does. */
  readonly attempts: number | null;
}

export function quorumOddsOf({ population, dropout }: PlanQuestion, { selected, quorum }: RoundCohort): QuorumOdds {
  // A secret cohort completes whoever comes, so nobody learns from it who did.
  const probability = quorum === 0 ? 1 : binomialTail(Math.min(selected, population ?? selected), 1 - dropout, quorum);
  return { quorum, dropout, probability, attempts: probability > 0 ? 1 / probability : null };
}
