/** What one round of a task is charged, to whom it is told: the one door from a task to the accountants. */
import { parseRational, toNumber } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import type { Cohort, Selection } from '../task.ts';
import { matrixOf, privacyOf } from '../task.ts';
import { clearNoisePlan, latticeEvent, latticeVariation } from './clear-noise.ts';
import type { PrivacyEvent } from './events/event.ts';
import { matrixEvent, matrixPlanOf, matrixVariation } from './matrix-noise.ts';
import { eventOf, planOfTask, totalVariationOf } from './user-level.ts';
import type { NoisyTask } from './user-level.ts';

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

/** Of a task, what its charge depends on. */
export interface ChargedTask extends NoisyTask {
  readonly cohort: NoisyTask['cohort'] & Pick<Cohort, 'selection'>;
}

/**
 * Of the worst round that the task allows; null without privacy.
 * @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS`
 */
export function roundChargeOf(task: ChargedTask, dimension: number): TaskCharge | null {
  const privacy = privacyOf(task.protection);
  const whole = privacy && chargeOf(task, dimension);
  if (privacy === null || whole === null) return null;
  const server = privacy.placement === 'central' ? null : whole;
  return { model: sampled(task, whole), server, once: matrixOf(task.protection) !== null };
}

/** Who sees the models does not see the coins; who chose does. */
function sampled({ cohort }: ChargedTask, whole: ViewCharge): ViewCharge {
  const { event } = whole;
  if (cohort.selection?.kind !== 'poisson') return whole;
  if (event.kind !== 'distributed-discrete-gaussian')
    throw new AggregationError('PRIVACY_UNPROVED', `no bound is proved for ${event.kind} in a Poisson cohort`);
  const probability = rateOf(cohort.selection);
  return viewCharge({ kind: 'poisson', probability, event }, () => whole.totalVariation);
}

/** The probability of a coin, as both those who flip it and those who account for it read it. */
export function rateOf({ rate }: Extract<Selection, { kind: 'poisson' }>): number {
  return toNumber(parseRational(rate));
}

function chargeOf(task: NoisyTask, dimension: number): ViewCharge | null {
  const { protection } = task;
  if (protection.kind === 'clear') {
    const matrix = protection.privacy && matrixPlanOf(protection.privacy, dimension);
    if (matrix) return viewCharge(matrixEvent(matrix), () => matrixVariation(matrix));
    const plan = clearNoisePlan(protection, dimension);
    return plan && viewCharge(latticeEvent(plan), () => latticeVariation(plan));
  }
  const plan = planOfTask(task, dimension);
  return plan && viewCharge(eventOf(plan, protection.privacy?.placement), () => totalVariationOf(plan));
}

/** Tables of noise, which tell how far it is from the ideal, take longer than all the rest: a planner that tries many plans asks for few. */
function viewCharge(event: PrivacyEvent, variation: () => number): ViewCharge {
  return {
    event,
    get totalVariation() {
      return variation();
    },
  };
}
