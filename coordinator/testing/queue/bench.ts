/** What the queue's suites act on: a backend of the test's own, queues on it, and handlers that remember. */
import { parseRoundId, parseTaskId } from '@carapace/aggregation';
import type { RoundId, TaskId } from '@carapace/aggregation';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { Job, JobHandlers, JobQueue } from '../../src/ports.ts';
import type { TestBackend } from '../test-queue.ts';

/** Of one test: closed after it, with whatever it opened. */
export interface Bench {
  open(): Promise<JobQueue>;
  /** Waits for so many reports and takes them. A test that leaves one behind fails. */
  failures(count: number): Promise<unknown[]>;
  takeFailures(): unknown[];
  lose(): Promise<void>;
}

/** Generous: only a queue that never does it misses this. */
const DEADLINE_MS = 120_000;
const CLOSE_MS = 10_000;

export const TASK: TaskId = parseTaskId('mnist');
export const OTHER: TaskId = parseTaskId('cifar');
export const YEARLY = { cron: '0 0 1 1 *' } as const;
export const EVERY_SECOND = { seconds: 1 } as const;

export function benchOf(openBackend: () => Promise<TestBackend>): Bench {
  let backend: TestBackend | null = null;
  const queues: JobQueue[] = [];
  beforeEach(async () => {
    backend = await openBackend();
  });
  afterEach(async () => {
    await Promise.all(queues.splice(0).map((queue) => queue.close(CLOSE_MS)));
    const failures = backend?.failures ?? [];
    await backend?.close();
    backend = null;
    expect(failures).toEqual([]);
  });
  const current = (): TestBackend => {
    if (backend === null) throw new Error('the backend did not open');
    return backend;
  };
  return {
    open: async () => {
      const queue = await current().open();
      queues.push(queue);
      return queue;
    },
    failures: async (count) => {
      await until(() => expect(current().failures.length).toBeGreaterThanOrEqual(count));
      return current().failures.splice(0, count);
    },
    takeFailures: () => current().failures.splice(0),
    lose: () => current().lose(),
  };
}

export function roundNumber(number: number): RoundId {
  return parseRoundId(`${TASK}.${number}`).id;
}

export function stepOf(number: number): Extract<Job, { kind: 'step-round' }> {
  return { kind: 'step-round', round: roundNumber(number) };
}

export function aggregateOf(number: number): Extract<Job, { kind: 'aggregate' }> {
  return { kind: 'aggregate', round: roundNumber(number) };
}

export interface Recorder {
  /** In the order in which their handlers began. */
  readonly begun: Job[];
  readonly handlers: JobHandlers;
}

/** @param body what each handler does, after the job is noted */
export function record(body: (job: Job) => void | Promise<void> = () => undefined): Recorder {
  const begun: Job[] = [];
  const handle = async (job: Job): Promise<void> => {
    begun.push(job);
    await body(job);
  };
  return { begun, handlers: { 'open-round': handle, 'step-round': handle, aggregate: handle, evaluate: handle } };
}

export function until(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: DEADLINE_MS, interval: 20 });
}

/** Nothing waits, runs or is kept in the queue: what was not handled by now is never handled. */
export function drained(queue: JobQueue): Promise<void> {
  return until(async () => expect(await present(queue)).toEqual({}));
}

/** The counts that are not zero. */
export async function present(queue: JobQueue): Promise<Record<string, number>> {
  return Object.fromEntries(Object.entries(await queue.counts()).filter(([, count]) => count !== 0));
}

/** Blocks handlers until it is opened. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}
