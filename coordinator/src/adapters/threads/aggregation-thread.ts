/** Runs aggregation in one worker thread, started with the first job and again after it failed. */
import { Worker } from 'node:worker_threads';
import { CoordinatorError } from '../../errors.ts';
import type { Aggregated, AggregationInput, AggregationWork, OpeningInput } from '../../ports.ts';

export type Work =
  | { readonly kind: 'aggregate'; readonly input: AggregationInput }
  | { readonly kind: 'open'; readonly input: OpeningInput };

export type WorkRequest = Work & { readonly id: number };

/** Null only of `open`. */
export type Result = Aggregated | null;

export type WorkReply =
  /** It has loaded what it needs. */
  | { readonly ready: true }
  | { readonly id: number; readonly result: Result }
  | { readonly id: number; readonly error: string };

export function aggregationThread(directories: { readonly models: string; readonly updates: string }): AggregationWork {
  const pending = new Map<number, PromiseWithResolvers<Result>>();
  let worker: Worker | null = null;
  let loaded = Promise.withResolvers<void>();
  let next = 0;

  const fail = (cause: unknown): void => {
    worker = null;
    loaded.resolve();
    const error = new CoordinatorError('UNAVAILABLE', 'the aggregation thread ended; the job is tried again', {
      cause,
    });
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  const start = (): Worker => {
    loaded = Promise.withResolvers();
    const started = new Worker(new URL('./aggregation-worker.ts', import.meta.url), { workerData: directories });
    started.on('message', (reply: WorkReply) => {
      if ('ready' in reply) return loaded.resolve();
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if ('error' in reply) waiting?.reject(new Error(reply.error));
      else waiting?.resolve(reply.result);
    });
    started.on('error', fail);
    started.on('exit', fail);
    return started;
  };
  const ask = (work: Work): Promise<Result> => {
    const waiting = Promise.withResolvers<Result>();
    const id = next++;
    pending.set(id, waiting);
    worker ??= start();
    worker.postMessage({ id, ...work } satisfies WorkRequest);
    return waiting.promise;
  };
  return {
    aggregate: async (input) => {
      const result = await ask({ kind: 'aggregate', input });
      if (result === null) throw new Error('a mean of clear updates came back empty');
      return result;
    },
    open: (input) => ask({ kind: 'open', input }),
    // A thread that is terminated while it loads its modules takes the whole process with it (Node 24): it ends once it has.
    close: async () => {
      if (worker !== null) await loaded.promise;
      await worker?.terminate();
    },
  };
}
