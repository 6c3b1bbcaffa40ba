/** How often, and how close to each other, one person's contributions may be: what correlated noise needs in place of sampling. */
import { AggregationError } from '../../../errors.ts';

export interface Participation {
  /** Steps that one person contributes to at most. */
  readonly most: number;
  /** From one of them to the next at least so many steps: 1 is every step. (TensorFlow Privacy counts the steps between: one less.) */
  readonly apart: number;
}

/** So that a sensitivity is computed in seconds. */
const MOST_STEPS = 2 ** 16;

/** @throws AggregationError `MECHANISM_PARAMETERS` */
export function checkParticipation(steps: number, { most, apart }: Participation): void {
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MOST_STEPS;
  if (!isCount(steps) || !isCount(most) || !isCount(apart)) {
    throw new AggregationError(
      'MECHANISM_PARAMETERS',
      `${steps} steps, ${most} participations, ${apart} apart: all are whole numbers from 1 to ${MOST_STEPS}`,
    );
  }
}
