/** What members of a cohort ask while their round agrees and unmasks: the session, their turn to speak, what to answer. */
import type { RoundId } from '@carapace/aggregation';
import type { MessageStep } from '../domain/round.ts';
import { CoordinatorError } from '../errors.ts';
import type { ClientRecord, RoundRecord, SessionRecord } from '../ports.ts';
import type { ProtocolAnswer, ReadStep } from './api.ts';
import type { Context } from './context.ts';
import type { Rounds } from './rounds.ts';
import { Waiters } from './waiters.ts';
import type { Protocols } from './protocols.ts';

const RETRY_MS = 250;

export class ProtocolCalls {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #protocols: Protocols;
  readonly #waiters: Waiters;

  constructor(ctx: Context, rounds: Rounds, protocols: Protocols) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#protocols = protocols;
    this.#waiters = new Waiters(ctx.clock);
  }

  async invitation(client: ClientRecord, id: RoundId): Promise<SessionRecord> {
    const round = await this.#roundOf(id);
    const session = await this.#protocols.sessionOf(round);
    if (!this.#protocols.isInvited(round, session, client.id))
      throw new CoordinatorError('ROUND_OVER', `${id} takes no part of this client`);
    return session;
  }

  async send(client: ClientRecord, id: RoundId, step: MessageStep, message: Uint8Array): Promise<void> {
    await this.#protocols.receive(await this.#roundOf(id), client, step, message);
    this.#rounds.nudge(id);
  }

  /** What the client needs for its part in a step, as soon as the round is in it. */
  async receive(
    client: ClientRecord,
    id: RoundId,
    step: ReadStep,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<ProtocolAnswer> {
    const message = await this.#waiters.until(client.id, waitMs, signal, () => this.#ready(client, id, step));
    return message === null ? { kind: 'idle', retryAfterMs: RETRY_MS } : { kind: 'message', message };
  }

  /** A round moved on, or another process may have moved one. */
  ring(): void {
    this.#waiters.wake(this.#waiters.clients);
  }

  close(): void {
    this.#waiters.close();
  }

  async #ready(client: ClientRecord, id: RoundId, step: ReadStep): Promise<Uint8Array | null> {
    return this.#protocols.messageFor(await this.#roundOf(id), client, step);
  }

  async #roundOf(id: RoundId): Promise<RoundRecord> {
    const round = await this.#ctx.store.findRound(id);
    if (round === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${id}`);
    return round;
  }
}
