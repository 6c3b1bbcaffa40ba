/** Tries again, with full jitter, what failed without an answer or with one that asks for patience. */
import { setTimeout as sleep } from 'node:timers/promises';
import { uniformInteger } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { ClientError } from '../errors.ts';
import { ProblemError } from './problem-error.ts';

export interface RetryOptions {
  readonly random: RandomSource;
  readonly signal: AbortSignal;
  /** Gives up after this long; null never does. */
  readonly deadlineMs: number | null;
  readonly onRetry: (inMs: number, reason: string) => void;
}

const FIRST_MS = 100;
/** Short, so that a restarted coordinator is found at once; jittered over the whole, so that not all find it in the same instant. */
const LAST_MS = 4_000;

/** Only for what may be done twice. @throws ClientError `COORDINATOR_UNREACHABLE` at the deadline; what no try mends as it is */
export async function withRetry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof ClientError || (error instanceof ProblemError && !error.isTransient)) throw error;
      const wait = waitMs(options.random, failures, error);
      if (options.deadlineMs !== null && performance.now() - started + wait > options.deadlineMs) {
        throw new ClientError(
          'COORDINATOR_UNREACHABLE',
          `no answer for ${Math.round(options.deadlineMs / 1000)} s; the last try said: ${reasonOf(error)}`,
          { cause: error },
        );
      }
      options.onRetry(wait, reasonOf(error));
      await sleep(wait, undefined, { signal: options.signal });
    }
  }
}

/** What the coordinator asked for, at most a minute, and after it a jitter whose ceiling doubles with every failure. */
export function waitMs(random: RandomSource, failures: number, error: unknown): number {
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  const asked = error instanceof ProblemError ? (error.retryAfterMs ?? 0) : 0;
  return Math.min(asked, 60_000) + 1 + uniformInteger(random, ceiling);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
