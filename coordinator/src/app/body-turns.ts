/**
 * Bodies that write to one place, one at a time. A connection that died without a word would keep its sender's next try waiting until the
 * request times out: so one that gets nothing, while another waits for its turn, is given up.
 */
import { CoordinatorError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { KeyedLock } from './keyed-lock.ts';

/** How long a body may bring nothing while another one of its sender waits. */
const STALL_MS = 1_000;

export class BodyTurns {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #locks = new KeyedLock();
  readonly #reading = new Map<string, Reading>();

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** @param key of one sender: whoever may wait here may have the body before given up */
  async run<T>(
    key: string,
    body: AsyncIterable<Uint8Array>,
    use: (body: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const reading = new Reading(body);
    const stopWatching = this.#watch(key);
    return this.#locks.run(key, async () => {
      stopWatching();
      this.#reading.set(key, reading);
      try {
        return await use(reading.pieces());
      } finally {
        this.#reading.delete(key);
      }
    });
  }

  /** Looks at whoever has the turn, until it is told to stop. */
  #watch(key: string): () => void {
    let forget: () => void = () => undefined;
    const look = (seen: number | null): void => {
      forget = this.#clock.after(STALL_MS, () => {
        const now = this.#reading.get(key)?.stalledAt ?? null;
        if (now !== null && now === seen) this.#reading.get(key)?.giveUp();
        look(now);
      });
    };
    look(this.#reading.get(key)?.stalledAt ?? null);
    return () => forget();
  }
}

class Reading {
  readonly #body: AsyncIterable<Uint8Array>;
  readonly #givenUp = Promise.withResolvers<never>();
  #read = 0;
  #waits = false;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body;
    // Nobody may be reading when it is given up.
    this.#givenUp.promise.catch(() => undefined);
  }

  /** The number of the piece that is waited for; null while it is not the connection that is waited for. */
  get stalledAt(): number | null {
    return this.#waits ? this.#read : null;
  }

  giveUp(): void {
    this.#givenUp.reject(
      new CoordinatorError('REQUEST_TIMEOUT', 'the body stopped coming, and another call of this upload waits'),
    );
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    const pieces = this.#body[Symbol.asyncIterator]();
    try {
      for (;;) {
        this.#waits = true;
        const next = await Promise.race([pieces.next(), this.#givenUp.promise]);
        this.#waits = false;
        this.#read += 1;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      // What hangs cannot be waited for: it ends with its connection.
      const ended = pieces.return?.().catch(() => undefined);
      if (!this.#waits) await ended;
    }
  }
}
