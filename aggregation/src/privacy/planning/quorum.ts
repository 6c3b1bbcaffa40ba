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
  /** Where coins decide who comes: probability of more than the lanes have room for. */
  readonly overflow: number;
}

export function quorumOddsOf(question: PlanQuestion, { selected, quorum, largest }: RoundCohort): QuorumOdds {
  const { selection, population, dropout } = question;
  const coins = selection === 'poisson' && population !== null;
  const present = coins ? population : Math.min(selected, population ?? selected);
  const share = coins ? Math.min(1, selected / population) : 1;
  const probability = binomialTail(present, share * (1 - dropout), quorum);
  return {
    quorum,
    dropout,
    probability,
    attempts: probability > 0 ? 1 / probability : null,
    overflow: coins ? binomialTail(present, share, largest + 1) : 0,
  };
}
