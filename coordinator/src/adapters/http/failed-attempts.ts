/**
 * Bounds the guessing of credentials without shutting out who shares an address with a guesser. A wrong secret is counted twice:
 * against the key or token that it was tried for, which is not tried again from that address until its bucket refills, and
 * against the address, whose further failures are answered with how long to wait. Who holds a right secret is served throughout.
 */
import { CoordinatorError } from '../../errors.ts';
import type { CoordinatorErrorCode } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import { RateLimit } from './rate-limit.ts';

/** What somebody who guesses is answered. A wrong clock or a repeated number is not a guess: its signature may be right. */
const GUESSES: ReadonlySet<CoordinatorErrorCode> = new Set([
  'API_KEY_INVALID',
  'SIGNATURE_INVALID',
  'CLIENT_UNKNOWN',
  'TOKEN_INVALID',
]);

export class FailedAttempts {
  readonly #credentials: RateLimit;
  readonly #addresses: RateLimit;

  constructor(perMinute: number, clock: Clock) {
    this.#credentials = new RateLimit(perMinute, clock);
    this.#addresses = new RateLimit(perMinute, clock);
  }

  /**
   * @param credential which key or token is claimed, or the empty text when the claim has no form
   * @throws CoordinatorError `RATE_LIMITED`, or whatever the attempt throws
   */
  async guard<T>(address: string, credential: string, attempt: () => Promise<T>): Promise<T> {
    const tried = `${address} ${credential}`;
    const waitMs = credential === '' ? 0 : this.#credentials.waitMs(tried);
    if (waitMs > 0) throw limited(waitMs);
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof CoordinatorError && GUESSES.has(error.code))) throw error;
      if (credential !== '') this.#credentials.take(tried);
      const patienceMs = this.#addresses.take(address);
      throw patienceMs > 0 ? limited(patienceMs) : error;
    }
  }
}

function limited(retryAfterMs: number): CoordinatorError {
  return new CoordinatorError('RATE_LIMITED', 'too many wrong credentials from this address', {
    members: { retryAfterMs },
  });
}
