/** What one round of a task is charged, to whom it is told: the one door from a task to the accountants. */
import type { Task } from '../task.ts';
import { privacyOf } from '../task.ts';
import { clearNoisePlan, latticeEvent, latticeVariation } from './clear-noise.ts';
import type { PrivacyEvent } from './events/event.ts';
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
}

/**
 * Of the worst round that the task allows; null without privacy.
 * @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS`
 */
export function roundChargeOf(task: Task, dimension: number): TaskCharge | null {
  const privacy = privacyOf(task.protection);
  const model = privacy && chargeOf(task, dimension);
  if (privacy === null || model === null) return null;
  return { model, server: privacy.placement === 'central' ? null : model };
}

function chargeOf(task: Task, dimension: number): ViewCharge | null {
  if (task.protection.kind === 'clear') {
    const plan = clearNoisePlan(task.protection, dimension);
    return plan && { event: latticeEvent(plan), totalVariation: latticeVariation(plan) };
  }
  const plan = planOfTask(task, dimension);
  const placement = task.protection.privacy?.placement;
  return plan && { event: eventOf(plan, placement), totalVariation: totalVariationOf(plan) };
}
