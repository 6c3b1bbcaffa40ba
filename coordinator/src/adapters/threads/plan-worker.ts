/** The thread in which one plan is computed: seconds of accounting that must not stop the HTTP loop. */
import { parentPort } from 'node:worker_threads';
import { AggregationError, planPrivacy } from '@carapace/aggregation';
import { plannedBudgets } from '../../app/privacy/planned-budgets.ts';
import { CoordinatorError } from '../../errors.ts';
import type { PlanningInput } from '../../ports.ts';
import type { PlanReply } from './plan-threads.ts';

const port = parentPort;
if (port === null) throw new Error('plans are computed in a worker thread');
port.once('message', (input: PlanningInput) => port.postMessage(replyTo(input)));
port.postMessage({ ready: true } satisfies PlanReply);

/** What is not refused with a code is a fault: it ends the thread, and its cause is told to whoever started it. */
function replyTo({ question, ...standing }: PlanningInput): PlanReply {
  try {
    return { plan: planPrivacy(question, plannedBudgets(standing)) };
  } catch (error) {
    if (error instanceof CoordinatorError)
      return { refused: { by: 'ledger', code: error.code, message: error.message } };
    if (!(error instanceof AggregationError)) throw error;
    const message = error.message.slice(error.code.length + 2);
    return { refused: { by: 'planner', code: error.code, message } };
  }
}
