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
const SILENT_MS = 10_000;
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

/** Rejects the job that a worker runs: its handler goes on unheard, and the job is tried again, by whoever works then. */
type Running = Set<(reason: CoordinatorError) => void>;

interface Connections {
  readonly options: QueueOptions;
  readonly factory: BackendFactory | undefined;
  readonly close: () => void;
}

/**
 * @param onError told of nudges that could not be added, failed jobs and lost connections; of an outage once in a while, not on every try
 * @throws CoordinatorError `QUEUE_UNAVAILABLE` when there is no Redis where one should be: later it may come and go
 */
export async function openQueue(location: QueueLocation, onError: (error: unknown) => void): Promise<JobQueue> {
  const onOutage = seldom(onError);
  const connections =
    location.kind === 'postgres' ? await onPostgres(location.pool) : await onRedis(location.url, onOutage);
  const queues = { rounds: queueOf('rounds', connections, onOutage), work: queueOf('work', connections, onOutage) };
  // A job that a killed process held would stay locked for LOCKS; the reconciler re-creates what the records want at once.
  if (location.kind === 'postgres' && location.alone)
    await withDeadline(Promise.all([queues.rounds, queues.work].map((queue) => queue.obliterate({ force: true }))));
  const workers: Worker[] = [];
  const running: Running = new Set();
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
      for (const lane of ['rounds', 'work'] as const)
        workers.push(workerOf(lane, connections, interruptible(handlers, running), { onError, onOutage }));
      await withDeadline(Promise.all(workers.map((worker) => worker.waitUntilReady())));
    },
    counts: async () => {
      const [rounds, work] = await withDeadline(
        Promise.all([queues.rounds.getJobCounts(), queues.work.getJobCounts()]),
      );
      return Object.fromEntries([...labelled('rounds', rounds), ...labelled('work', work)]);
    },
    healthy: (timeoutMs) =>
      withDeadline(queues.rounds.getJobCounts('waiting'), timeoutMs).then(
        () => true,
        () => false,
      ),
    close: async (deadlineMs) => {
      const closing = Promise.all([...workers, queues.rounds, queues.work].map((part) => part.close()));
      // Half of the time is for what runs to end, half for giving back what does not: kept, its job would be locked for others.
      await withDeadline(closing, deadlineMs / 2).catch(() => {
        for (const interrupt of running)
          interrupt(new CoordinatorError('STORE_UNAVAILABLE', 'the queue closed over a running job'));
        return withDeadline(closing, deadlineMs / 2).catch(onError);
      });
      connections.close();
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

async function onRedis(url: string, onOutage: (error: unknown) => void): Promise<Connections> {
  await requireRedis(url);
  // Workers block on this connection, so BullMQ wants no limit on retries; the deadline of `add` is ours.
  const redis = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: false });
  redis.on('error', onOutage);
  return { options: { connection: redis, prefix: PREFIX }, factory: undefined, close: () => redis.disconnect() };
}

/** Before anything of BullMQ is made, which would try for ever. */
async function requireRedis(url: string): Promise<void> {
  const probe = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  // `connect` says only that the connection is closed; why, this event says.
  let reason: unknown;
  probe.on('error', (error) => (reason = error));
  try {
    await withDeadline(probe.connect().then(() => probe.ping()));
  } catch (error) {
    const why = reason ?? error;
    const text = why instanceof Error ? why.message : String(why);
    throw new CoordinatorError('QUEUE_UNAVAILABLE', `Redis at ${addressOf(url)} (REDIS_URL) does not answer: ${text}`, {
      cause: error,
    });
  } finally {
    probe.disconnect();
  }
}

/** Without user and password. */
function addressOf(url: string): string {
  const { host } = URL.parse(url) ?? {};
  return host || 'the address given';
}

/** The same message comes once in ten seconds, however often it happens: a lost connection is tried again many times a second. */
function seldom(tell: (error: unknown) => void): (error: unknown) => void {
  const told = new Map<string, number>();
  return (error) => {
    const text = error instanceof Error ? error.message : String(error);
    const now = performance.now();
    for (const [known, at] of told) if (now - at >= SILENT_MS) told.delete(known);
    if (told.has(text)) return;
    told.set(text, now);
    tell(error);
  };
}

function queueOf(lane: Lane, { options, factory }: Connections, onOutage: (error: unknown) => void): Queue {
  const queue = factory === undefined ? new Queue(lane, options) : new Queue(lane, options, factory);
  queue.on('error', onOutage);
  return queue as Queue;
}

function workerOf(
  lane: Lane,
  { options, factory }: Connections,
  handle: (job: Job) => Promise<void>,
  { onError, onOutage }: Record<'onError' | 'onOutage', (error: unknown) => void>,
): Worker {
  const settings: WorkerOptions = { ...options, ...LOCKS, concurrency: LANES[lane] };
  const run = ({ data }: { data: Job }): Promise<void> => handle(data);
  const worker =
    factory === undefined ? new Worker(lane, run, settings) : new Worker(lane, run, settings, factory as never);
  worker.on('error', onOutage);
  worker.on('failed', (_job, error) => onError(error));
  return worker;
}

function interruptible(handlers: JobHandlers, running: Running): (job: Job) => Promise<void> {
  return async (job) => {
    const { promise: interrupted, reject: interrupt } = Promise.withResolvers<never>();
    running.add(interrupt);
    try {
      // The kind picks its own handler, which TypeScript cannot see through the index.
      await Promise.race([(handlers[job.kind] as (job: Job) => Promise<void>)(job), interrupted]);
    } finally {
      running.delete(interrupt);
    }
  };
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
