/** From a task to what one of its rounds may do, and when the next one may open. */
import { privacyOf, rateOf } from '@carapace/aggregation';
import type { Cohort, Protection, Task } from '@carapace/aggregation';
import type { Instant, ProtocolPlan, RoundPlan } from './round.ts';

/** Aggregation and evaluation each get this long; both are bounded work, so a longer silence means a lost worker. */
const WORK_MS = 120_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 60_000;

export function planOf(task: Task): RoundPlan {
  const { cohort } = task;
  return {
    target: cohort.target,
    minimum: cohort.minimum,
    cohort: overSelected(cohort),
    perSite: cohort.perSite,
    selectionMs: Math.round(cohort.selectionSeconds * 1000),
    reportMs: Math.round(cohort.reportSeconds * 1000),
    graceMs: Math.round(cohort.graceSeconds * 1000),
    workMs: WORK_MS,
    poisson: cohort.selection?.kind === 'poisson' ? rateOf(cohort.selection) : null,
    charged: privacyOf(task.protection) !== null,
    protocol: protocolOf(task.protection),
  };
}

function protocolOf(protection: Protection): ProtocolPlan | null {
  switch (protection.kind) {
    case 'clear':
      return null;
    case 'secagg':
      return { by: 'cohort', stepMs: Math.round(protection.stepSeconds * 1000) };
    case 'shares':
      return { by: 'aggregator', stepMs: Math.round(protection.stepSeconds * 1000) };
  }
}

/** Rounded up from the decimals that were written: in binary64, 50 x 1.1 is a hair above 55, and no 56th client is wanted. */
function overSelected({ target, overSelection }: Cohort): number {
  return Math.ceil(Number((target * overSelection).toPrecision(12)));
}

/**
 * When a continuous task may open its next round: at once after a completed one, with doubling pauses after abandoned ones,
 * so that a task nobody can serve does not spin.
 */
export function reopenAt(lastEndedAt: Instant | null, abandonedInARow: number): Instant {
  if (lastEndedAt === null || abandonedInARow === 0) return 0;
  return lastEndedAt + Math.min(BACKOFF_FIRST_MS * 2 ** (abandonedInARow - 1), BACKOFF_LAST_MS);
}
