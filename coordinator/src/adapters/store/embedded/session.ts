/**
 * One engine is one session: sockets take turns, and a socket keeps its turn while its transaction is open. Nobody waits for
 * ever: not for a turn, and not for a transaction that its client forgot. The engine has neither deadline of its own.
 */
import { CoordinatorError } from '../../../errors.ts';
import type { Engine } from './engine.ts';
import { refusal, simpleQuery, splitAnswer } from './protocol.ts';
import type { Answer } from './protocol.ts';

export interface Participant {
  readonly listens: boolean;
  notify(notifications: Uint8Array<ArrayBuffer>): void;
  /** Its transaction was rolled back because it stood idle. */
  expire(): void;
}

export interface SessionLimits {
  /** For its turn a socket waits this long; then its statement is refused (`lock_not_available`). */
  readonly turnMs: number;
  /** A transaction that asks nothing for this long is rolled back and its socket closed. */
  readonly idleMs: number;
  /** A statement that takes longer is given up by its client; the engine ends it all the same. */
  readonly statementMs: number;
}

interface Waiting {
  readonly who: Participant;
  readonly settle: (granted: boolean) => void;
}

export class Session {
  readonly #engine: Engine;
  readonly #limits: SessionLimits;
  readonly #participants = new Set<Participant>();
  readonly #queue: Waiting[] = [];
  #owner: Participant | null = null;
  #idle: NodeJS.Timeout | undefined;

  constructor(engine: Engine, limits: SessionLimits) {
    this.#engine = engine;
    this.#limits = limits;
  }

  join(participant: Participant): void {
    this.#participants.add(participant);
  }

  /** Ends what a vanished socket left open or waits for. */
  async leave(who: Participant): Promise<void> {
    this.#participants.delete(who);
    this.#withdraw(who);
    if (this.#owner === who) await this.#rollBack(who);
  }

  /** Runs one exchange when it is this socket's turn, or refuses it when that does not come. */
  async exchange(who: Participant, bytes: Uint8Array): Promise<Answer> {
    if (!(await this.#turn(who))) return this.#refuse();
    let answer: Answer;
    try {
      answer = splitAnswer(await this.#engine.exchange(bytes));
    } catch (error) {
      this.#pass(who);
      throw error;
    }
    if (answer.isLast)
      this.#engine.lose(new CoordinatorError('STORE_UNAVAILABLE', 'the embedded database ended with a fatal error'));
    if (answer.notifications !== null) this.#broadcast(answer.notifications);
    if (!answer.inTransaction) this.#pass(who);
    else if (this.#participants.has(who)) this.#watch(who);
    else await this.#rollBack(who);
    return answer;
  }

  #turn(who: Participant): Promise<boolean> {
    clearTimeout(this.#owner === who ? this.#idle : undefined);
    this.#owner ??= who;
    if (this.#owner === who) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const late = setTimeout(() => this.#withdraw(who), this.#limits.turnMs);
    late.unref();
    this.#queue.push({
      who,
      settle: (granted) => {
        clearTimeout(late);
        resolve(granted);
      },
    });
    return promise;
  }

  #withdraw(who: Participant): void {
    const at = this.#queue.findIndex((waiting) => waiting.who === who);
    if (at >= 0) this.#queue.splice(at, 1)[0]?.settle(false);
  }

  #watch(who: Participant): void {
    this.#idle = setTimeout(() => who.expire(), this.#limits.idleMs);
    this.#idle.unref();
  }

  async #rollBack(who: Participant): Promise<void> {
    clearTimeout(this.#idle);
    try {
      await this.#engine.exchange(simpleQuery('ROLLBACK'));
    } finally {
      this.#pass(who);
    }
  }

  #pass(who: Participant): void {
    if (this.#owner !== who) return;
    const next = this.#queue.shift();
    this.#owner = next?.who ?? null;
    next?.settle(true);
  }

  #refuse(): Answer {
    const why = `the embedded database was busy with other transactions for ${this.#limits.turnMs} ms`;
    return { reply: refusal('55P03', why), notifications: null, inTransaction: false, isLast: false };
  }

  #broadcast(notifications: Uint8Array<ArrayBuffer>): void {
    for (const participant of this.#participants) if (participant.listens) participant.notify(notifications);
  }
}
