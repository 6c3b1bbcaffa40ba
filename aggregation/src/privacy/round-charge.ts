/** What one round of a task is charged, to whom it is told: the one door from a task to the accountants. */
import { parseRational, toNumber } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import type { Selection, Task } from '../task.ts';
import { matrixOf, privacyOf } from '../task.ts';
import { clearNoisePlan, latticeEvent, latticeVariation } from './clear-noise.ts';
import type { PrivacyEvent } from './events/event.ts';
import { matrixEvent, matrixPlanOf, matrixVariation } from './matrix-noise.ts';
import { eventOf, planOfTask, totalVariationOf } from './user-level.ts';

export interface ViewCharge {
  readonly event: PrivacyEvent;
  /** Of the noise as it is drawn from the ideal: paid out of delta, so much a round times 1 + e^epsilon. */
  readonly totalVariation: number;
}

export interface TaskCharge {
  /** Against whoever sees the models. */
  readonly model: ViewCharge;
  /** Against whoever knows who took part, the coordinator too; null where it sees what has no noise yet. */
  readonly server: ViewCharge | null;
  /** Whether this is the charge of all rounds together, however many they are: correlated noise. */
  readonly once: boolean;
}

/**
 * Of the worst round that the task allows; null without privacy.
 * @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS`
 */
export function roundChargeOf(task: Task, dimension: number): TaskCharge | null {
  const privacy = privacyOf(task.protection);
  const whole = privacy && chargeOf(task, dimension);
  if (privacy === null || whole === null) return null;
  const server = privacy.placement === 'central' ? null : whole;
  return { model: sampled(task, whole), server, once: matrixOf(task.protection) !== null };
}

/** Who sees the models does not see the coins; who chose does. */
function sampled({ cohort }: Task, whole: ViewCharge): ViewCharge {
  const { event, totalVariation } = whole;
  if (cohort.selection?.kind !== 'poisson') return whole;
  if (event.kind !== 'distributed-discrete-gaussian')
    throw new AggregationError('PRIVACY_UNPROVED', `no bound is proved for ${event.kind} in a Poisson cohort`);
  return { event: { kind: 'poisson', probability: rateOf(cohort.selection), event }, totalVariation };
}

/** The probability of a coin, as both those who flip it and those who account for it read it. */
export function rateOf({ rate }: Extract<Selection, { kind: 'poisson' }>): number {
  return toNumber(parseRational(rate));
}

function chargeOf(task: Task, dimension: number): ViewCharge | null {
  if (task.protection.kind === 'clear') {
    const matrix = task.protection.privacy && matrixPlanOf(task.protection.privacy, dimension);
    if (matrix) return { event: matrixEvent(matrix), totalVariation: matrixVariation(matrix) };
    const plan = clearNoisePlan(task.protection, dimension);
    return plan && { event: latticeEvent(plan), totalVariation: latticeVariation(plan) };
  }
  const plan = planOfTask(task, dimension);
  const placement = task.protection.privacy?.placement;
  return plan && { event: eventOf(plan, placement), totalVariation: totalVariationOf(plan) };
}
