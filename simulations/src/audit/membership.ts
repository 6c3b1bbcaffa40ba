/** The membership-inference attack: from one score for each canary, whether it was in. */
import { SimulationError } from '../errors.ts';
import type { Guesses } from './one-run-bound.ts';

export interface CanaryScore {
  /** Whether the coin put it in; not for the attack to see, but to judge it by. */
  readonly wasIn: boolean;
  /** The higher, the likelier it was in. */
  readonly score: number;
}

/** The half of the canaries with the least doubtful scores: the highest quarter were in, the lowest quarter were not. */
const GUESSED_QUARTERS = 4;

/** @throws SimulationError `AUDIT_INVALID` for too few canaries, or a score that is no number */
export function inferMembership(canaries: readonly CanaryScore[]): Guesses {
  if (canaries.length < GUESSED_QUARTERS)
    throw new SimulationError('AUDIT_INVALID', `${canaries.length} canaries; ${GUESSED_QUARTERS} are the least`);
  if (canaries.some(({ score }) => Number.isNaN(score)))
    throw new SimulationError('AUDIT_INVALID', 'a canary without a score');
  const ranked = canaries.toSorted((a, b) => a.score - b.score);
  const quarter = Math.floor(ranked.length / GUESSED_QUARTERS);
  const [out, taken] = [ranked.slice(0, quarter), ranked.slice(-quarter)];
  const correct = out.filter(({ wasIn }) => !wasIn).length + taken.filter(({ wasIn }) => wasIn).length;
  return { canaries: ranked.length, guessed: 2 * quarter, correct };
}
