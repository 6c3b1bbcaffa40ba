/** A token bucket per address (or whatever names who asks): a burst of a minute's worth, then a steady trickle. */
import type { Clock } from '../../ports.ts';

interface Bucket {
  tokens: number;
  at: number;
}

const KEPT_LIMIT = 10_000;

export class RateLimit {
  readonly #perMinute: number;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, clock: Clock) {
    this.#perMinute = perMinute;
    this.#clock = clock;
  }

  /** Takes one; 0 when there was one, else the milliseconds until there is. */
  take(address: string): number {
    const bucket = this.#refilled(address);
    // The bucket that was used least lately goes first when there are too many: it has refilled the most.
    this.#buckets.delete(address);
    this.#buckets.set(address, bucket);
    if (this.#buckets.size > KEPT_LIMIT) this.#buckets.delete(this.#buckets.keys().next().value ?? '');
    const waitMs = this.#untilNext(bucket);
    if (waitMs === 0) bucket.tokens -= 1;
    return waitMs;
  }

  /** What {@link take} would answer, without taking. */
  waitMs(address: string): number {
    return this.#untilNext(this.#refilled(address));
  }

  #refilled(address: string): Bucket {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(address) ?? { tokens: this.#perMinute, at: now };
    // A clock that was set back gives nothing and takes nothing.
    const elapsed = Math.max(0, now - bucket.at);
    bucket.tokens = Math.min(this.#perMinute, bucket.tokens + (elapsed * this.#perMinute) / 60_000);
    bucket.at = now;
    return bucket;
  }

  #untilNext({ tokens }: Bucket): number {
    return tokens < 1 ? Math.ceil(((1 - tokens) * 60_000) / this.#perMinute) : 0;
  }
}
