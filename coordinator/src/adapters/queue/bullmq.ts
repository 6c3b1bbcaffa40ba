/**
 * Jobs through BullMQ 6: on the PostgreSQL of the records by default, on Redis when a URL is given. The records are the truth, so
 * this queue may lose or repeat anything; a nudge that cannot be added is reported, not thrown, and the reconciler makes up for it.
 *
 * What BullMQ's young PostgreSQL backend does not bear is not used: no global concurrency, no QueueEvents.
 */
import { parseTaskId } from '@carapace/aggregation';
import { createPostgresBackend, Queue, runMigrations, Worker } from 'bullmq';
import type { BackendFactory, QueueOptions, WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { CoordinatorError } from '../../errors.ts';
import type { Job, JobHandlers, JobQueue } from '../../ports.ts';

export type QueueLocation =
  | {
      readonly kind: 'postgres';
      readonly pool: pg.Pool;
      /** No other process can be at work: what an earlier one was in the middle of is dropped, not waited for. */
      readonly alone: boolean;
    }
  | { readonly kind: 'redis'; readonly url: string };

/** Stepping is short and frequent; work is long and heavy, and must not stand in its way. */
const LANES = { rounds: 4, work: 2 } as const;
type Lane = keyof typeof LANES;
const LANE_OF: Readonly<Record<Job['kind'], Lane>> = {
  'open-round': 'rounds',
  'step-round': 'rounds',
  aggregate: 'work',
  evaluate: 'work',
};

const ADD_DEADLINE_MS = 5_000;
// A killed worker's job is taken up again after lock duration plus one check.
const LOCKS = { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 10 };
const ATTEMPTS = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 250 },
  removeOnComplete: true,
  removeOnFail: true,
};
/** The namespace within Redis: other applications may share the server. */
const PREFIX = 'carapace';

interface Connections {
  readonly options: QueueOptions;
  readonly factory: BackendFactory | undefined;
  readonly close: () => void;
}

/** @param onError told of nudges that could not be added, failed jobs and lost connections */
export async function openQueue(location: QueueLocation, onError: (error: unknown) => void): Promise<JobQueue> {
  const connections = location.kind === 'postgres' ? await onPostgres(location.pool) : onRedis(location.url, onError);
  const queues = { rounds: queueOf('rounds', connections, onError), work: queueOf('work', connections, onError) };
  // A job that a killed process held would stay locked for LOCKS; the reconciler re-creates what the records want at once.
  if (location.kind === 'postgres' && location.alone)
    await withDeadline(Promise.all([queues.rounds, queues.work].map((queue) => queue.obliterate({ force: true }))));
  const workers: Worker[] = [];
  return {
    add: async (job, { at, key } = {}) => {
      const delay = at === undefined ? 0 : Math.max(0, at - Date.now());
      await reported(onError, () =>
        queues[LANE_OF[job.kind]].add(job.kind, job, {
          ...ATTEMPTS,
          delay,
          ...(key === undefined ? {} : { jobId: key }),
        }),
      );
    },
    schedule: async (task, every) => {
      const repeat = 'seconds' in every ? { every: every.seconds * 1000 } : { pattern: every.cron };
      const job: Job = { kind: 'open-round', task };
      await reported(onError, () =>
        queues.rounds.upsertJobScheduler(task, repeat, { name: job.kind, data: job, opts: ATTEMPTS }),
      );
    },
    unschedule: (task) => reported(onError, () => queues.rounds.removeJobScheduler(task)),
    scheduled: async () => (await withDeadline(queues.rounds.getJobSchedulers())).map(({ key }) => parseTaskId(key)),
    work: async (handlers) => {
      for (const lane of ['rounds', 'work'] as const) workers.push(workerOf(lane, connections, handlers, onError));
      await withDeadline(Promise.all(workers.map((worker) => worker.waitUntilReady())));
    },
    counts: async () => {
      const [rounds, work] = await Promise.all([queues.rounds.getJobCounts(), queues.work.getJobCounts()]);
      return Object.fromEntries([...labelled('rounds', rounds), ...labelled('work', work)]);
    },
    healthy: (timeoutMs) =>
      withDeadline(queues.rounds.getJobCounts('waiting'), timeoutMs).then(
        () => true,
        () => false,
      ),
    close: async (deadlineMs) => {
      const closing = Promise.all([...workers, queues.rounds, queues.work].map((part) => part.close()));
      await withDeadline(closing, deadlineMs).catch(onError);
      connections.close();
      for (const worker of workers) stopTimers(worker);
    },
  };
}

async function onPostgres(pool: pg.Pool): Promise<Connections> {
  const client = await pool.connect();
  try {
    await runMigrations(client);
  } finally {
    client.release();
  }
  return { options: { connection: pool }, factory: createPostgresBackend as BackendFactory, close: () => undefined };
}

function onRedis(url: string, onError: (error: unknown) => void): Connections {
  // Workers block on this connection, so BullMQ wants no limit on retries; the deadline of `add` is ours.
  const redis = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: false });
  redis.on('error', onError);
  // Each worker blocks on a copy, which BullMQ lets dial for ever when Redis is away at the end: no process would end then.
  const dialled = [redis];
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (override) => {
    const copy = duplicate(override);
    dialled.push(copy);
    return copy;
  };
  const close = (): void => {
    for (const connection of dialled) connection.disconnect();
  };
  return { options: { connection: redis, prefix: PREFIX }, factory: undefined, close };
}

function queueOf(lane: Lane, { options, factory }: Connections, onError: (error: unknown) => void): Queue {
  const queue = factory === undefined ? new Queue(lane, options) : new Queue(lane, options, factory);
  queue.on('error', onError);
  return queue as Queue;
}

function workerOf(
  lane: Lane,
  { options, factory }: Connections,
  handlers: JobHandlers,
  onError: (error: unknown) => void,
): Worker {
  const settings: WorkerOptions = { ...options, ...LOCKS, concurrency: LANES[lane] };
  const run = async ({ data }: { data: Job }): Promise<void> => {
    // The kind picks its own handler, which TypeScript cannot see through the index.
    await (handlers[data.kind] as (job: Job) => Promise<void>)(data);
  };
  const worker =
    factory === undefined ? new Worker(lane, run, settings) : new Worker(lane, run, settings, factory as never);
  worker.on('error', onError);
  worker.on('failed', (_job, error) => onError(error));
  return worker;
}

/** BullMQ stops these only when a worker has closed in order: after a missed deadline they would keep the process from ending. */
function stopTimers(worker: Worker): void {
  const { stalledCheckStopper, lockManager } = worker as unknown as {
    readonly stalledCheckStopper?: () => void;
    readonly lockManager: { readonly close: () => Promise<void> };
  };
  stalledCheckStopper?.();
  void lockManager.close();
}

async function reported(onError: (error: unknown) => void, body: () => Promise<unknown>): Promise<void> {
  try {
    await withDeadline(body());
  } catch (error) {
    onError(error);
  }
}

async function withDeadline<T>(promise: Promise<T>, deadlineMs: number = ADD_DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new CoordinatorError('STORE_UNAVAILABLE', `the queue did not answer within ${deadlineMs} ms`);
    timer = setTimeout(() => reject(error), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function labelled(lane: Lane, counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).map(([state, count]) => [`${lane}.${state}`, count]);
}
