/** The coordinator's evaluator on the 10,000 test images of MNIST, in a worker thread that is started with the first model. */
import { Worker } from 'node:worker_threads';
import type { Loss, TensorSpec } from '@carapace/aggregation';
import type { Evaluator } from '@carapace/coordinator';
import { SimulationError } from '../errors.ts';

export interface EvaluationRequest {
  readonly id: number;
  readonly topology: string;
  readonly tensors: readonly TensorSpec[];
  readonly weights: Float32Array;
  readonly loss: Loss;
}

export type EvaluationReply =
  /** It has loaded what it needs. */
  | { readonly ready: true }
  | { readonly id: number; readonly metrics: Readonly<Record<string, number>> }
  | { readonly id: number; readonly error: string };

type Metrics = Readonly<Record<string, number>>;

const DEADLINE_MS = 100_000;

export function mnistEvaluator(loss: Loss = 'sparse-categorical-crossentropy'): Evaluator {
  const pending = new Map<number, PromiseWithResolvers<Metrics>>();
  let worker: Worker | null = null;
  let loaded = Promise.withResolvers<void>();
  let next = 0;

  const fail = (why: string, cause?: unknown): void => {
    worker = null;
    loaded.resolve();
    for (const { reject } of pending.values()) reject(new SimulationError('EVALUATION_FAILED', why, { cause }));
    pending.clear();
  };
  const start = (): Worker => {
    loaded = Promise.withResolvers();
    const started = new Worker(new URL('./evaluation-worker.ts', import.meta.url));
    started.on('message', (reply: EvaluationReply) => {
      if ('ready' in reply) return loaded.resolve();
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if ('error' in reply) waiting?.reject(new SimulationError('EVALUATION_FAILED', reply.error));
      else waiting?.resolve(reply.metrics);
    });
    started.on('error', (cause) => fail('the evaluation thread failed', cause));
    started.on('exit', (code) => fail(`the evaluation thread ended with code ${code}`));
    return started;
  };
  return {
    evaluate: async ({ topology, tensors, weights }) => {
      const waiting = Promise.withResolvers<Metrics>();
      const id = next++;
      pending.set(id, waiting);
      worker ??= start();
      worker.postMessage({ id, topology, tensors, weights, loss } satisfies EvaluationRequest);
      const timer = setTimeout(
        () => waiting.reject(new SimulationError('EVALUATION_FAILED', `no result within ${DEADLINE_MS / 1000} s`)),
        DEADLINE_MS,
      );
      try {
        return await waiting.promise;
      } finally {
        clearTimeout(timer);
        pending.delete(id);
      }
    },
    // A thread that is terminated while it loads modules takes the whole process with it (Node 24). The engine is loaded by the
    // first evaluation, so those that run are waited for too; each has its deadline.
    close: async () => {
      if (worker !== null) await loaded.promise;
      await Promise.allSettled([...pending.values()].map(({ promise }) => promise));
      await worker?.terminate();
    },
  };
}
