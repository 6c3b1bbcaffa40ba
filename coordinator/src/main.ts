/** The composition root: configuration to adapters to app to listening, and back in reverse order. */
import { join } from 'node:path';
import { systemRandom } from '@carapace/crypto';
import type { ApiKeyRecord, Clock, Evaluator, ModelWriter } from './ports.ts';
import { openBlobs } from './adapters/blobs/files.ts';
import type { Limits, Server } from './adapters/http/edge.ts';
import { buildServer } from './adapters/http/server.ts';
import { loadKey } from './adapters/key-file.ts';
import { fileMark } from './adapters/ledger-mark.ts';
import { openQueue } from './adapters/queue/bullmq.ts';
import { groupCommit } from './adapters/store/group-commit.ts';
import { openStore } from './adapters/store/open-store.ts';
import { createTelemetry } from './adapters/telemetry/telemetry.ts';
import { aggregationThread } from './adapters/threads/aggregation-thread.ts';
import { planThreads } from './adapters/threads/plan-threads.ts';
import type { PlanLimits } from './adapters/threads/plan-threads.ts';
import type { CoordinatorApi } from './app/api.ts';
import type { Context } from './app/context.ts';
import { createCoordinator } from './app/coordinator.ts';
import type { Happening, Listener } from './app/happenings.ts';
import type { Config } from './config.ts';

export const VERSION: string = '0.1.0';
const QUEUE_CLOSE_MS = 2_000;
/** All that may wait are answered before a silent connection is closed. */
const PLANS: PlanLimits = { planMs: 25_000, waiting: 2 };

export interface Running {
  /** Where it listens, such as `http://127.0.0.1:7878`. */
  readonly url: string;
  readonly api: CoordinatorApi;
  /** Text of the admin key that was made because there was none; null on every later start. */
  readonly firstAdminKey: string | null;
  close(): Promise<void>;
}

export interface Extras {
  readonly evaluator?: Evaluator;
  readonly modelWriter?: ModelWriter;
  readonly listeners?: readonly Listener[];
  /** The records are lost: nothing can be acknowledged any more, so the process should end. */
  readonly onFatal?: (error: unknown) => void;
  readonly limits?: Partial<Limits>;
  /** For tests: nobody needs to wait for half a minute to see that a plan is ended. */
  readonly plans?: Partial<PlanLimits>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** @throws CoordinatorError `STORE_LOCKED`, `STORE_SCHEMA`, `STORE_UNAVAILABLE` */
export async function startCoordinator(config: Config, extras: Extras = {}): Promise<Running> {
  const listeners = new Set<Listener>(extras.listeners);
  const emit = (happening: Happening): void => {
    for (const listener of listeners) listener(happening);
  };
  const onError = (error: unknown): void => emit({ kind: 'job-failed', at: Date.now(), job: 'background', error });
  const folder = (name: string): string => join(config.dataDirectory, name);
  const location =
    config.databaseUrl === null
      ? { kind: 'embedded' as const, directory: folder('records') }
      : { kind: 'server' as const, url: config.databaseUrl };
  const { store, pool } = await openStore(location, extras.onFatal ?? onError, onError);
  const closers: (() => Promise<void>)[] = [() => store.close()];
  try {
    const [models, updates] = await Promise.all([openBlobs(folder('models')), openBlobs(folder('updates'))]);
    const work = aggregationThread({ models: folder('models'), updates: folder('updates') });
    closers.push(() => work.close());
    const planning = planThreads({ ...PLANS, ...extras.plans }, systemClock);
    closers.push(() => planning.close());
    const { evaluator = null } = extras;
    if (evaluator !== null) closers.push(() => evaluator.close());
    // Opened after what its jobs use, so that it is closed before: a job never starts on a part that is gone.
    const queue = await openQueue(
      config.redisUrl === null
        ? { kind: 'postgres', pool, alone: config.databaseUrl === null }
        : { kind: 'redis', url: config.redisUrl },
      (error) => emit({ kind: 'job-failed', at: Date.now(), job: 'queue', error }),
    );
    closers.push(() => queue.close(QUEUE_CLOSE_MS));
    const ctx: Context = {
      store,
      models,
      updates,
      queue,
      work,
      planning,
      mark: fileMark(config.dataDirectory),
      evaluator,
      clock: systemClock,
      random: systemRandom,
      key: loadKey(config.dataDirectory, systemRandom),
      emit,
    };
    const coordinator = createCoordinator(
      ctx,
      {
        admit: groupCommit((batch) => store.admitUpdates(batch)),
        acceptSequence: groupCommit((batch) => store.acceptSequences(batch)),
        recordPresence: groupCommit(async (batch) => {
          await store.recordPresence(batch);
          return batch.map(() => undefined);
        }),
      },
      { reconcileMs: config.reconcileSeconds * 1000 },
    );
    const clients = async (): Promise<Record<'active' | 'revoked', number>> => {
      const all = await store.listClients();
      return {
        active: all.filter(({ status }) => status === 'active').length,
        revoked: all.filter(({ status }) => status === 'revoked').length,
      };
    };
    const telemetry = createTelemetry(VERSION, { jobs: () => queue.counts(), clients });
    listeners.add(telemetry.listener);
    const edge = {
      api: coordinator.api,
      clock: systemClock,
      telemetry,
      emit,
      modelWriter: extras.modelWriter ?? null,
      options: { name: 'carapace', version: VERSION, ...config, limits: extras.limits ?? {} },
    };
    const server = await buildServer(edge);
    closers.push(() => closeServer(server));
    const firstAdminKey = await ensureAdmin(coordinator.api);
    await queue.work(coordinator.jobs);
    closers.push(() => coordinator.stop());
    await coordinator.start();
    const url = await server.listen({ ...config.listen });
    return { url, api: coordinator.api, firstAdminKey, close: () => closeAll(closers) };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** In reverse order of opening; a part that fails to close does not keep the others open. */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) await close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, 'the coordinator did not close cleanly');
}

async function closeServer(server: Server): Promise<void> {
  const closing = server.close();
  // Long-polls have been told to end; whoever still holds a connection after this has lost interest.
  const timer = setTimeout(() => server.server.closeAllConnections(), 1_000);
  await closing;
  clearTimeout(timer);
}

async function ensureAdmin(api: CoordinatorApi): Promise<string | null> {
  const keys: ApiKeyRecord[] = await api.listApiKeys();
  if (keys.some(({ role, revokedAt }) => role === 'admin' && revokedAt === null)) return null;
  const { key } = await api.createApiKey({ name: 'first admin', role: 'admin' }, 'system');
  return key;
}
