/** Clients that hold a long-poll open in this process, and the one bell each of them listens to. */
import type { ClientId } from '@carapace/aggregation';
import type { Clock } from '../ports.ts';

type Outcome = 'woken' | 'timeout' | 'gone' | 'closing';

export class Waiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<ClientId, Set<(outcome: Outcome) => void>>();
  #closing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get clients(): ClientId[] {
    return [...this.#waiting.keys()];
  }

  has(client: ClientId): boolean {
    return this.#waiting.has(client);
  }

  /** Starts to listen at once: a bell that rings before the returned promise is awaited is not missed. */
  wait(client: ClientId, waitMs: number, signal: AbortSignal): Promise<Outcome> {
    if (this.#closing) return Promise.resolve('closing');
    if (signal.aborted) return Promise.resolve('gone');
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const bells = this.#waiting.get(client) ?? new Set();
    this.#waiting.set(client, bells.add(resolve));
    const forget = this.#clock.after(waitMs, () => resolve('timeout'));
    const leave = (): void => resolve('gone');
    signal.addEventListener('abort', leave, { once: true });
    return promise.finally(() => {
      forget();
      signal.removeEventListener('abort', leave);
      bells.delete(resolve);
      if (bells.size === 0 && this.#waiting.get(client) === bells) this.#waiting.delete(client);
    });
  }

  /** What `look` finds, at once or after any bell within `waitMs`; null when there was nothing to find. */
  async until<T>(
    client: ClientId,
    waitMs: number,
    signal: AbortSignal,
    look: () => Promise<T | null>,
  ): Promise<T | null> {
    const end = this.#clock.now() + waitMs;
    for (;;) {
      // Listening starts before the look: what is looked for may come in that very moment.
      const enough = new AbortController();
      const left = Math.max(0, end - this.#clock.now());
      const bell = this.wait(client, left, AbortSignal.any([signal, enough.signal]));
      try {
        const found = await look();
        if (found !== null) return found;
        if ((await bell) !== 'woken') return null;
      } finally {
        enough.abort();
      }
    }
  }

  wake(clients: readonly ClientId[]): void {
    for (const client of clients) this.#ring(client, 'woken');
  }

  /** Every wait, now and later, ends with `closing`. */
  close(): void {
    this.#closing = true;
    for (const client of this.clients) this.#ring(client, 'closing');
  }

  #ring(client: ClientId, outcome: Outcome): void {
    for (const resolve of this.#waiting.get(client) ?? []) resolve(outcome);
  }
}
