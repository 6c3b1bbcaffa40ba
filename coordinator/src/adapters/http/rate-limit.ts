/** A token bucket per address: a burst of a minute's worth, then a steady trickle. */
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
    const now = this.#clock.now();
    const bucket = this.#buckets.get(address) ?? { tokens: this.#perMinute, at: now };
    bucket.tokens = Math.min(this.#perMinute, bucket.tokens + ((now - bucket.at) * this.#perMinute) / 60_000);
    bucket.at = now;
    // The oldest bucket goes first when there are too many: it has refilled the most.
    this.#buckets.delete(address);
    this.#buckets.set(address, bucket);
    if (this.#buckets.size > KEPT_LIMIT) this.#buckets.delete([...this.#buckets.keys()][0] ?? '');
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 60_000) / this.#perMinute);
    bucket.tokens -= 1;
    return 0;
  }
}
