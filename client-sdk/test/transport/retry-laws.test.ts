import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientError } from '../../src/errors.ts';
import { ProblemError } from '../../src/transport/problem-error.ts';
import { waitMs, withRetry } from '../../src/transport/retry.ts';

/** Draws nothing but zeros: the shortest jitter there is. */
const SHORTEST: RandomSource = { bytes: (length) => new Uint8Array(length) };
const BUSY = new ProblemError(503, { code: 'BUSY', detail: 'starting' });
const ceilingOf = (failures: number): number => Math.min(4_000, 100 * 2 ** failures);

describe('the jitter', () => {
  const seeds = fc.nat().map((seed) => seededRandom(seed));
  const counts = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 1_000_000 }));

  test('is whole, above zero, at most the ceiling, which doubles from 100 ms to 4 s', () => {
    fc.assert(
      fc.property(seeds, counts, (random, failures) => {
        const wait = waitMs(random, failures, new Error('no answer'));
        expect(Number.isInteger(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(1);
        expect(wait).toBeLessThanOrEqual(ceilingOf(failures));
      }),
    );
  });

  test('comes after what the coordinator asks for, of which at most a minute is believed', () => {
    const asked = fc.oneof(fc.integer({ min: 0, max: 120_000 }), fc.constantFrom(Infinity, 1e300));
    fc.assert(
      fc.property(seeds, counts, asked, (random, failures, retryAfterMs) => {
        const wait = waitMs(random, failures, new ProblemError(429, { retryAfterMs }));
        const believed = Math.min(retryAfterMs, 60_000);
        expect(wait).toBeGreaterThanOrEqual(believed + 1);
        expect(wait).toBeLessThanOrEqual(believed + ceilingOf(failures));
      }),
    );
  });

  test('what asks for something else than a time asks for nothing', () => {
    for (const retryAfterMs of [-1, NaN, '9000', null, undefined, {}])
      expect(waitMs(SHORTEST, 0, new ProblemError(503, { retryAfterMs }))).toBe(1);
  });

  test('is spread over the whole: a thousand clients do not come back together', () => {
    const random = seededRandom('herd');
    const waits = Array.from({ length: 4_000 }, () => waitMs(random, 9, BUSY));
    for (let quarter = 0; quarter < 4; quarter++) {
      const share = waits.filter((wait) => wait > quarter * 1_000 && wait <= (quarter + 1) * 1_000).length;
      expect(Math.abs(share - 1_000)).toBeLessThan(120);
    }
  });

  test('is the same for the same randomness', () => {
    expect(waitMs(seededRandom(3), 5, BUSY)).toBe(waitMs(seededRandom(3), 5, BUSY));
  });
});

interface Told {
  readonly waits: number[];
  readonly reasons: string[];
}

function trial(deadlineMs: number | null = null, signal = new AbortController().signal) {
  const told: Told = { waits: [], reasons: [] };
  const onRetry = (inMs: number, reason: string): void => {
    told.waits.push(inMs);
    told.reasons.push(reason);
  };
  return { told, options: { random: SHORTEST, signal, deadlineMs, onRetry } };
}

/** Fails with these in turn, then answers. */
function failing(...errors: readonly Error[]): { attempt: () => Promise<string>; count: () => number } {
  let attempts = 0;
  const attempt = async (): Promise<string> => {
    const error = errors[attempts++];
    if (error !== undefined) throw error;
    return 'the answer';
  };
  return { attempt, count: () => attempts };
}

describe('trying again', () => {
  test('an answer is an answer: one attempt, nothing told', async () => {
    const { told, options } = trial();
    const { attempt, count } = failing();
    expect(await withRetry(options, attempt)).toBe('the answer');
    expect([count(), told.waits]).toEqual([1, []]);
  });

  test('until it answers, telling the wait and the reason each time', async () => {
    const { told, options } = trial();
    const unreachable = new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') });
    const { attempt, count } = failing(unreachable, BUSY, new Error('odd'), BUSY);
    expect(await withRetry(options, attempt)).toBe('the answer');
    expect(count()).toBe(5);
    expect(told.waits).toEqual([1, 1, 1, 1]);
    expect(told.reasons).toEqual(['fetch failed (ECONNREFUSED)', 'BUSY: starting', 'odd', 'BUSY: starting']);
  });

  test.each([500, 502, 503, 504, 429, 408])('%d is worth another try', async (status) => {
    const { attempt, count } = failing(new ProblemError(status, {}));
    await withRetry(trial().options, attempt);
    expect(count()).toBe(2);
  });

  test.each([400, 401, 403, 404, 409, 410, 413, 422])('%d is final, and comes as it is', async (status) => {
    const problem = new ProblemError(status, { code: 'NO' });
    const { attempt, count } = failing(problem);
    await expect(withRetry(trial().options, attempt)).rejects.toBe(problem);
    expect(count()).toBe(1);
  });

  test.each(['ENROLMENT_REFUSED', 'COORDINATOR_UNTRUSTED', 'ASSIGNMENT_INVALID'] as const)(
    'no retry mends %s',
    async (code) => {
      const error = new ClientError(code, 'no');
      const { attempt, count } = failing(error);
      await expect(withRetry(trial().options, attempt)).rejects.toBe(error);
      expect(count()).toBe(1);
    },
  );
});

describe('giving up', () => {
  test('when the next wait would end after the deadline, naming the last reason', async () => {
    const { told, options } = trial(0);
    const { attempt, count } = failing(BUSY);
    const giving = withRetry(options, attempt);
    await expect(giving).rejects.toMatchObject({ code: 'COORDINATOR_UNREACHABLE', cause: BUSY });
    await expect(giving).rejects.toThrow('BUSY: starting');
    expect([count(), told.waits]).toEqual([1, []]);
  });

  test('when the coordinator asks for more patience than there is', async () => {
    const { attempt } = failing(new ProblemError(503, { retryAfterMs: 59_000 }));
    await expect(withRetry(trial(10_000).options, attempt)).rejects.toMatchObject({ code: 'COORDINATOR_UNREACHABLE' });
  });
});

describe('being stopped', () => {
  test('while it waits', async () => {
    const controller = new AbortController();
    const { options } = trial(null, controller.signal);
    const stopping = { ...options, onRetry: () => controller.abort(new Error('stopped')) };
    const { attempt, count } = failing(new ProblemError(503, { retryAfterMs: 60_000 }));
    await expect(withRetry(stopping, attempt)).rejects.toMatchObject({ name: 'AbortError' });
    expect(count()).toBe(1);
  });

  test('while it tries: the reason of the stop, not of the failure', async () => {
    const controller = new AbortController();
    const stop = new Error('stopped');
    const attempt = async (): Promise<never> => {
      controller.abort(stop);
      throw BUSY;
    };
    await expect(withRetry(trial(null, controller.signal).options, attempt)).rejects.toBe(stop);
  });
});
