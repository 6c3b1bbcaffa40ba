/**
 * What a run tells each view, as lists of events: all that pricing asks of a mechanism. One whose rounds are independent repeats an event; one
 * whose noise is correlated over rounds (tree, matrix factorisation) gives one event for all of them.
 */
import type { Charge, PrivacyEvent } from '../events/event.ts';
import type { PlanView } from './question.ts';

export interface Releases {
  /** Everything that is told by `rounds` completed rounds; of these one client took part in `participations` at most. */
  charges(view: PlanView, rounds: number, participations: number): readonly Charge[];
  /** Of the noise as it is drawn from the ideal, by then. */
  totalVariation(view: PlanView, rounds: number, participations: number): number;
}

export interface RepeatedRound {
  /** One round, all of whose cohort is known. */
  readonly event: PrivacyEvent;
  /** The same to whoever does not know it. */
  readonly sampled: PrivacyEvent;
  readonly totalVariation: () => number;
}

/** Independent rounds: to the model's view every one counts, to the server's those that a client took part in. */
export function repeatedRounds({ event, sampled, totalVariation }: RepeatedRound): Releases {
  const counted = (view: PlanView, rounds: number, participations: number): number =>
    view === 'model' ? rounds : Math.min(rounds, participations);
  return {
    charges: (view, rounds, participations) => [
      { event: view === 'model' ? sampled : event, count: counted(view, rounds, participations) },
    ],
    totalVariation: (view, rounds, participations) => counted(view, rounds, participations) * totalVariation(),
  };
}
