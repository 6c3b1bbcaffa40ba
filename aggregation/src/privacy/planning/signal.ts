/** How much of a mean is left in its noise, at the model's dimension. */
import { toNumber } from '@carapace/crypto';
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
 * noise / signal = z sqrt(d / (f k)): k survivors of whom f are relied on leave k shares of the variance z^2 C^2 / f on each of d values of
 * their sum, which is at most k C long; the deviation that is told counts the rounding of the clip as well.
 */
export function signalOf(question: PlanQuestion, round: PlannedRound, rounds: number): Signal {
  const { parameters, dropout } = question;
  const { noise, selected } = round;
  const survivors = survivorsOf(round, dropout);
  const deviation = Math.sqrt(toNumber(noise.localVariance) / survivors) / noise.unitsPerClip;
  const noiseToSignal = deviation * Math.sqrt(parameters);
  return {
    survivors,
    deviation,
    noiseToSignal,
    noiseToSignalOverRun: noiseToSignal / Math.sqrt(rounds),
    // With the floor a share of the survivors, the ratio falls as one over the cohort.
    levelCohort: Math.ceil(selected * noiseToSignal),
  };
}

export function survivorsOf({ selected, quorum }: Pick<PlannedRound, 'selected' | 'quorum'>, dropout: number): number {
  return Math.max(quorum, Math.round(selected * (1 - dropout)));
}
