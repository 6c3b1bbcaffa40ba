/** How much of a mean is left in its noise, at the model's dimension. */
import type { PlanQuestion } from './question.ts';
import type { PlannedRound } from './round.ts';

export interface Signal {
  /** Survivors that are expected, at least the quorum. */
  readonly survivors: number;
  /** Deviation of the noise on one value of their mean, in clips. */
  readonly deviation: number;
  /** Length of the noise on all of the mean, in clips: a mean is one clip long at most, when all clients agree. */
  readonly noiseToSignal: number;
  /** Of the sum of all rounds, if they agree as well: signal adds up with their number, noise with its root. */
  readonly noiseToSignalOverRun: number;
  /** Clients in a round with whom noise and the longest mean are level, the same share of them being the quorum. */
  readonly levelCohort: number;
}

/**
 * On the sum of k survivors lie, in clips: of shares that are made for f of them z sqrt(k / f), of the coordinator z, of each client z sqrt(k),
 * on each of d values; the sum is at most k clips long. The deviation that is told counts the rounding of the clip as well.
 */
export function signalOf(question: PlanQuestion, round: PlannedRound, rounds: number): Signal {
  const { parameters, dropout, placement } = question;
  const survivors = survivorsOf(round, dropout);
  const deviation = round.noise.deviationOfSum(survivors) / survivors;
  const noiseToSignal = deviation * Math.sqrt(parameters);
  return {
    survivors,
    deviation,
    noiseToSignal,
    noiseToSignalOverRun: noiseToSignal / Math.sqrt(rounds),
    // Falls as one over the cohort (shares: while the floor is the same share of it), but for local noise as one over its root.
    levelCohort: Math.ceil(round.selected * noiseToSignal ** (placement === 'local' ? 2 : 1)),
  };
}

export function survivorsOf({ selected, quorum }: Pick<PlannedRound, 'selected' | 'quorum'>, dropout: number): number {
  return Math.max(quorum, 1, Math.round(selected * (1 - dropout)));
}
