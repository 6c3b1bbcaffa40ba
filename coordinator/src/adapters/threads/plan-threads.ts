/** Computes plans one after the other, each in a worker thread of its own that ends with it, or when its time is over. */
import { Worker } from 'node:worker_threads';
import { AggregationError } from '@carapace/aggregation';
import type { AggregationErrorCode, PrivacyPlan } from '@carapace/aggregation';
import { CoordinatorError } from '../../errors.ts';
import type { CoordinatorErrorCode } from '../../errors.ts';
import type { Clock, PlanningInput, PlanningWork } from '../../ports.ts';

export interface PlanLimits {
  /** For one plan, once it is its turn. */
  readonly planMs: number;
  /** Plans that may wait for theirs. */
  readonly waiting: number;
}

export type PlanReply =
  /** It has loaded what it needs, and takes its question. */
  | { readonly ready: true }
  | { readonly plan: PrivacyPlan }
  | { readonly refused: { readonly by: 'planner' | 'ledger'; readonly code: string; readonly message: string } };

export function planThreads(limits: PlanLimits, clock: Pick<Clock, 'after'>): PlanningWork {
  let taken = 0;
  let last: Promise<unknown> = Promise.resolve();
  let stop: (() => void) | null = null;
  let closed = false;

  const compute = async (input: PlanningInput): Promise<PrivacyPlan> => {
    if (closed) throw ended();
    const answer = Promise.withResolvers<PrivacyPlan>();
    stop = () => answer.reject(ended());
    const forget = clock.after(limits.planMs, () => answer.reject(tooLong(limits.planMs)));
    const thread = startThread(input, answer);
    try {
      return await answer.promise;
    } finally {
      forget();
      await thread.end();
    }
  };
  return {
    plan: async (input) => {
      if (taken > limits.waiting) throw busy(taken);
      taken++;
      const turn = last.then(() => compute(input)).finally(() => taken--);
      // Whoever comes next waits for the end of this one, whatever it is.
      last = turn.catch(() => undefined);
      return turn;
    },
    close: async () => {
      closed = true;
      stop?.();
      await last;
    },
  };
}

/** A thread that is terminated while it loads its modules takes the whole process with it (Node 24): it ends once it has. */
function startThread(input: PlanningInput, answer: PromiseWithResolvers<PrivacyPlan>): { end(): Promise<void> } {
  const worker = new Worker(new URL('./plan-worker.ts', import.meta.url));
  const loaded = Promise.withResolvers<void>();
  let wanted = true;
  worker.on('message', (reply: PlanReply) => {
    if ('plan' in reply) answer.resolve(reply.plan);
    else if ('refused' in reply) answer.reject(refusalIn(reply.refused));
    else {
      if (wanted) worker.postMessage(input);
      loaded.resolve();
    }
  });
  worker.once('error', answer.reject);
  worker.once('exit', () => {
    answer.reject(ended());
    loaded.resolve();
  });
  return {
    end: async () => {
      wanted = false;
      await loaded.promise;
      await worker.terminate();
    },
  };
}

function refusalIn({ by, code, message }: Extract<PlanReply, { refused: unknown }>['refused']): Error {
  return by === 'planner'
    ? new AggregationError(code as AggregationErrorCode, message)
    : new CoordinatorError(code as CoordinatorErrorCode, message);
}

function tooLong(planMs: number): CoordinatorError {
  return new CoordinatorError(
    'PLAN_TOO_LONG',
    `the plan was not done in ${planMs / 1000} s: ask for fewer rounds, name a noise multiplier, or run carapace plan without --url`,
  );
}

function busy(taken: number): CoordinatorError {
  return new CoordinatorError('PLAN_BUSY', `${taken} plans are being computed or wait to be: ask again later`, {
    members: { retryAfterMs: 5_000 },
  });
}

function ended(): CoordinatorError {
  return new CoordinatorError('UNAVAILABLE', 'the coordinator stops: no plan is computed any more');
}
