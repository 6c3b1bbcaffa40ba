/** One engine is one session: sockets take turns, and a socket keeps its turn while its transaction is open. */
import type { Engine } from './engine.ts';
import { simpleQuery, splitAnswer } from './protocol.ts';
import type { Answer } from './protocol.ts';

export interface Listening {
  readonly listens: boolean;
  notify(notifications: Uint8Array<ArrayBuffer>): void;
}

export class Session {
  readonly #engine: Engine;
  readonly #listeners = new Set<Listening>();
  readonly #queue: { readonly who: object; readonly go: () => void }[] = [];
  #owner: object | null = null;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  join(listener: Listening): void {
    this.#listeners.add(listener);
  }

  leave(listener: Listening): void {
    this.#listeners.delete(listener);
  }

  /** Runs one exchange when it is this socket's turn. */
  async exchange(who: Listening, bytes: Uint8Array): Promise<Answer> {
    await this.#turn(who);
    let keep = false;
    try {
      const answer = splitAnswer(await this.#engine.exchange(bytes));
      keep = answer.inTransaction;
      if (answer.notifications !== null) this.#broadcast(answer.notifications);
      return answer;
    } finally {
      if (!keep) this.#pass(who);
    }
  }

  /** Ends what a vanished socket left open, then lets the next one go. */
  async abandon(who: object): Promise<void> {
    if (this.#owner !== who) {
      const at = this.#queue.findIndex((waiting) => waiting.who === who);
      if (at >= 0) this.#queue.splice(at, 1);
      return;
    }
    try {
      await this.#engine.exchange(simpleQuery('ROLLBACK'));
    } finally {
      this.#pass(who);
    }
  }

  #turn(who: object): Promise<void> {
    if (this.#owner === who) return Promise.resolve();
    if (this.#owner === null) {
      this.#owner = who;
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ who, go: resolve });
    return promise;
  }

  #pass(who: object): void {
    if (this.#owner !== who) return;
    const next = this.#queue.shift();
    this.#owner = next?.who ?? null;
    next?.go();
  }

  #broadcast(notifications: Uint8Array<ArrayBuffer>): void {
    for (const listener of this.#listeners) if (listener.listens) listener.notify(notifications);
  }
}
