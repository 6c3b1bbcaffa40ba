/** Laws of the bucket and of the bound on guessing, under a clock that is set by hand. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FailedAttempts } from '../../src/adapters/http/failed-attempts.ts';
import { RateLimit } from '../../src/adapters/http/rate-limit.ts';
import { CoordinatorError } from '../../src/errors.ts';
import type { Clock } from '../../src/ports.ts';

class HandClock implements Clock {
  time = 1_000_000;
  now(): number {
    return this.time;
  }
  after(): () => void {
    return () => undefined;
  }
}

const wrong = async (): Promise<never> => {
  throw new CoordinatorError('API_KEY_INVALID', 'wrong');
};
const codeOf = (error: unknown): string => (error instanceof CoordinatorError ? error.code : 'no code');

describe('the bucket', () => {
  test('gives at most a burst and the trickle, whatever the times of asking', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 300 }),
        (perMinute, pauses) => {
          const clock = new HandClock();
          const limit = new RateLimit(perMinute, clock);
          let taken = 0;
          for (const pause of pauses) {
            clock.time += pause;
            if (limit.take('a') === 0) taken += 1;
          }
          const elapsed = clock.time - 1_000_000;
          expect(taken).toBeLessThanOrEqual(perMinute + (elapsed * perMinute) / 60_000 + 1e-6);
        },
      ),
    );
  });

  test('the wait it tells is enough, and looking takes nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (perMinute) => {
        const clock = new HandClock();
        const limit = new RateLimit(perMinute, clock);
        while (limit.take('a') === 0);
        const wait = limit.waitMs('a');
        expect(limit.waitMs('a')).toBe(wait);
        clock.time += wait;
        expect(limit.take('a')).toBe(0);
      }),
    );
  });

  test('a clock that goes back neither fills nor empties it', () => {
    const clock = new HandClock();
    const limit = new RateLimit(1, clock);
    expect(limit.take('a')).toBe(0);
    clock.time -= 3_600_000;
    expect(limit.waitMs('a')).toBe(60_000);
    clock.time += 60_000;
    expect(limit.take('a')).toBe(0);
  });

  test('twenty thousand addresses leave ten thousand buckets: the newest', () => {
    const limit = new RateLimit(1, new HandClock());
    for (let i = 0; i < 20_000; i++) limit.take(String(i));
    expect(limit.take('19999')).toBeGreaterThan(0);
    expect(limit.take('0')).toBe(0);
  });
});

describe('failed attempts', () => {
  test('of one credential: at most the burst is tried at all', async () => {
    const attempts = new FailedAttempts(10, new HandClock());
    let tried = 0;
    for (let i = 0; i < 100; i++) {
      const guess = attempts.guard('1.2.3.4', 'key', () => {
        tried += 1;
        return wrong();
      });
      await expect(guess).rejects.toMatchObject({ code: i < 10 ? 'API_KEY_INVALID' : 'RATE_LIMITED' });
    }
    expect(tried).toBe(10);
  });

  test('of many credentials: the address is told to wait, and who has a right one is served', async () => {
    const clock = new HandClock();
    const attempts = new FailedAttempts(10, clock);
    const codes: string[] = [];
    for (let i = 0; i < 50; i++) {
      codes.push(await attempts.guard('nat', `guess ${i}`, wrong).catch(codeOf));
      expect(await attempts.guard('nat', 'honest', async () => 'served')).toBe('served');
    }
    expect(codes.filter((code) => code === 'API_KEY_INVALID')).toHaveLength(10);
    expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(40);
    expect(await attempts.guard('elsewhere', 'guess', wrong).catch(codeOf)).toBe('API_KEY_INVALID');
  });

  test('what is not a guess is passed on and costs nothing', async () => {
    const attempts = new FailedAttempts(1, new HandClock());
    for (let i = 0; i < 20; i++) {
      const late = new CoordinatorError('SIGNATURE_EXPIRED', 'late');
      await expect(attempts.guard('a', 'key', async () => Promise.reject(late))).rejects.toBe(late);
    }
    expect(await attempts.guard('a', 'key', async () => 'served')).toBe('served');
  });
});
