/** When a call is tried again, how long it waits, and when it is not. */
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientError } from '../../src/errors.ts';
import { ProblemError } from '../../src/transport/problem-error.ts';
import { withRetry } from '../../src/transport/retry.ts';
import { parseRetryAfter } from '../../src/transport/transport.ts';

const options = (seed: string, waits: number[] = []) => ({
  random: seededRandom(seed),
  signal: new AbortController().signal,
  deadlineMs: 5_000 as number | null,
  onRetry: (inMs: number) => void waits.push(inMs),
});

describe('a problem', () => {
  test.each([
    [500, 'INTERNAL', true],
    [503, 'UNAVAILABLE', true],
    [429, 'RATE_LIMITED', true],
    [408, 'REQUEST_TIMEOUT', true],
    [400, 'CONTENT_DIGEST_MISMATCH', true],
    [401, 'SIGNATURE_EXPIRED', true],
    [409, 'SEQUENCE_REPLAYED', true],
    [400, 'REQUEST_INVALID', false],
    [401, 'CLIENT_UNKNOWN', false],
    [401, 'SIGNATURE_INVALID', false],
    [409, 'UPDATE_REFUSED', false],
    [410, 'ROUND_OVER', false],
    [404, 'ROUND_NOT_FOUND', false],
  ])('%i %s: tried again is %s', (status, code, expected) => {
    expect(new ProblemError(status, { code }).isTransient).toBe(expected);
  });

  test('that has no code is of somebody between, and says nothing about the update', () => {
    for (const status of [400, 403, 404, 405, 413, 502]) expect(new ProblemError(status, {}).isTransient).toBe(true);
  });

  test('waits as long as its member says, else its header', () => {
    expect(new ProblemError(503, { retryAfterMs: 5 }, 7_000).retryAfterMs).toBe(5);
    expect(new ProblemError(503, {}, 7_000).retryAfterMs).toBe(7_000);
    expect(new ProblemError(503, { retryAfterMs: -5 }).retryAfterMs).toBeNull();
  });
});

test('Retry-After in its two forms, and in none', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(parseRetryAfter('3', now)).toBe(3_000);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now)).toBe(9_000);
  expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
  fc.assert(
    fc.property(fc.string(), (field) => {
      const parsed = parseRetryAfter(field, now);
      expect(parsed === null || parsed >= 0).toBe(true);
    }),
  );
});

describe('withRetry', () => {
  test('returns what comes in the end', async () => {
    let calls = 0;
    const waits: number[] = [];
    const result = await withRetry(options('ends', waits), async () => {
      calls += 1;
      if (calls < 4) throw new Error('cut');
      return 'answer';
    });
    expect([result, calls, waits.length]).toEqual(['answer', 4, 3]);
  });

  test('waits at least as long as it is asked to, and is jittered above that', async () => {
    const waits: number[] = [];
    for (const seed of ['a', 'b', 'c']) {
      let calls = 0;
      await withRetry(options(seed, waits), async () => {
        calls += 1;
        if (calls === 1) throw new ProblemError(503, { retryAfterMs: 50 });
      });
    }
    expect(waits.every((wait) => wait > 50)).toBe(true);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });

  test.each([
    ['a final refusal', new ProblemError(409, { code: 'UPDATE_REFUSED' })],
    ['an untrusted coordinator', new ClientError('COORDINATOR_UNTRUSTED', 'another key')],
    ['a spent token', new ClientError('ENROLMENT_REFUSED', 'spent')],
  ])('does not try again after %s', async (_what, error) => {
    let calls = 0;
    const attempt = withRetry({ ...options('final'), deadlineMs: null }, async () => {
      calls += 1;
      throw error;
    });
    await expect(attempt).rejects.toBe(error);
    expect(calls).toBe(1);
  });

  test('gives up at its deadline with what the last try said', async () => {
    const attempt = withRetry({ ...options('late'), deadlineMs: 150 }, async () =>
      Promise.reject(new Error('nothing listens')),
    );
    await expect(attempt).rejects.toThrow(/COORDINATOR_UNREACHABLE.*nothing listens/);
  });

  test('ends at once when it is told to', async () => {
    const controller = new AbortController();
    const attempt = withRetry({ ...options('stop'), signal: controller.signal, deadlineMs: null }, async () => {
      controller.abort();
      throw new Error('cut');
    });
    await expect(attempt).rejects.toMatchObject({ name: 'AbortError' });
  });
});
