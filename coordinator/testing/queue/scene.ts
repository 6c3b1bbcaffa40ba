/** One test's queues on a backend: what their workers ran, what they reported. Rounds and tasks have names of their own. */
import { parseRoundId, parseTaskId } from '@carapace/aggregation';
import type { RoundId, TaskId } from '@carapace/aggregation';
import { expect, vi } from 'vitest';
import { openQueue } from '../../src/adapters/queue/bullmq.ts';
import type { Job, JobHandlers, JobQueue } from '../../src/ports.ts';
import type { QueueBackend } from './backend.ts';

/** Nothing is decided by this: a queue that loses a job fails its test after it. */
const PATIENCE_MS = 30_000;
export const CLOSE_MS = 10_000;

export interface Ran {
  readonly job: Job;
  readonly at: number;
}

type Body = (job: Job, count: number) => void | Promise<void>;

export interface QueueScene {
  readonly ran: readonly Ran[];
  readonly errors: readonly unknown[];
  /** Closed with the test, unless that has closed it. */
  open(options?: { readonly alone?: boolean }): Promise<JobQueue>;
  /** Starts workers; a job is noted when it starts, then given to the body with how often it has run. */
  work(queue: JobQueue, body?: Body): Promise<void>;
  /** Resolves when this many jobs have been started. */
  until(count: number): Promise<void>;
}

/** Runs a test on a wiped backend, and closes every queue that it opened. */
export function inScene(
  backend: () => QueueBackend,
  body: (scene: QueueScene, backend: QueueBackend) => Promise<void>,
): () => Promise<void> {
  return async () => {
    await backend().wipe();
    const open = new Set<JobQueue>();
    const ran: Ran[] = [];
    const errors: unknown[] = [];
    const scene: QueueScene = {
      ran,
      errors,
      open: async ({ alone = false } = {}) => {
        const { location } = backend();
        const queue = await openQueue(location.kind === 'postgres' ? { ...location, alone } : location, (error) =>
          errors.push(error),
        );
        open.add(queue);
        return {
          ...queue,
          close: (deadlineMs) => {
            open.delete(queue);
            return queue.close(deadlineMs);
          },
        };
      },
      work: (queue, run = () => undefined) => queue.work(handlersOf(ran, run)),
      until: (count) =>
        vi.waitUntil(() => ran.length >= count, { timeout: PATIENCE_MS, interval: 10 }).then(() => undefined),
    };
    try {
      await body(scene, backend());
    } finally {
      for (const queue of open) await queue.close(CLOSE_MS);
    }
  };
}

function handlersOf(ran: Ran[], run: Body): JobHandlers {
  const handle = async (job: Job): Promise<void> => {
    ran.push({ job, at: Date.now() });
    await run(job, ran.filter((other) => keyOf(other.job) === keyOf(job)).length);
  };
  return { 'open-round': handle, 'step-round': handle, aggregate: handle, evaluate: handle };
}

export function keyOf(job: Job): string {
  return `${job.kind}-${job.kind === 'open-round' ? job.task : job.round}`;
}

let names = 0;

export function freshTask(): TaskId {
  return parseTaskId(`t${process.pid}-${++names}`);
}

export function freshRound(): RoundId {
  return parseRoundId(`${freshTask()}.1`).id;
}

export function step(round: RoundId = freshRound()): Job {
  return { kind: 'step-round', round };
}

/** A handler's promise that the test settles. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

export async function expectEmpty(queue: JobQueue): Promise<void> {
  const pending = async (): Promise<number> =>
    Object.entries(await queue.counts()).reduce((sum, [state, count]) => sum + (isPending(state) ? count : 0), 0);
  await expect.poll(pending, { timeout: PATIENCE_MS }).toBe(0);
}

function isPending(state: string): boolean {
  return /\.(active|waiting|delayed|prioritized|paused)$/.test(state);
}
