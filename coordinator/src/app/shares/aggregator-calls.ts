/** What a second aggregator asks and answers: which rounds want a key or a sum of it, and the sum in chunks. */
import { decodeSharesSession, judgeShareSum, shareSumBytes } from '@carapace/aggregation';
import type { Digest, RoundId, SharesSession } from '@carapace/aggregation';
import { sha256Hex, utf8 } from '@carapace/crypto';
import { CoordinatorError } from '../../errors.ts';
import type { ClientRecord, RoundRecord, SessionRecord } from '../../ports.ts';
import type { AggregatorWork, SumAnswer, SumChunk } from '../api.ts';
import type { Context } from '../context.ts';
import { KeyedLock } from '../keyed-lock.ts';
import { notNow, protocolRefused, requireSession, stepIn } from '../round-protocol.ts';
import type { Rounds } from '../rounds.ts';
import { Waiters } from '../waiters.ts';
import { AGGREGATOR_MEMBER, encodeKeptSum, messageOf, sumOf } from './share-sums.ts';
import { requestOf } from './shares-protocols.ts';

const RETRY_MS = 250;

export class AggregatorCalls {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #waiters: Waiters;
  readonly #locks = new KeyedLock();

  constructor(ctx: Context, rounds: Rounds) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#waiters = new Waiters(ctx.clock);
  }

  /** The oldest round that waits for this aggregator; as soon as there is one. */
  async work(client: ClientRecord, waitMs: number, signal: AbortSignal): Promise<AggregatorWork> {
    const work = await this.#waiters.until(client.id, waitMs, signal, () => this.#next(client));
    return work ?? { kind: 'idle', retryAfterMs: RETRY_MS };
  }

  /**
   * One chunk of the sum; the last one is judged, durable and admitted when this resolves.
   * @throws CoordinatorError `PROTOCOL_REFUSED`, `PROTOCOL_STEP`, `UPLOAD_OFFSET`
   */
  async sum(client: ClientRecord, chunk: SumChunk): Promise<SumAnswer> {
    return this.#locks.run(chunk.round, async () => {
      const { round, record, session } = await this.#ownRound(client, chunk.round);
      const known = await sumOf(this.#ctx.store, chunk.round);
      if (known?.digest === chunk.digest) return { kind: 'taken' };
      if (stepIn(round) !== 'unmask') throw notNow(round, 'unmask');
      if (known !== null) throw protocolRefused('SECAGG_DUPLICATE', 'another sum was given for this round before');
      if (chunk.total > shareSumBytes(session))
        throw protocolRefused('SECAGG_LENGTH', `${chunk.total} bytes, at most ${shareSumBytes(session)} allowed`);
      return this.#take(chunk, record, session);
    });
  }

  async decline(client: ClientRecord, id: RoundId, reason: string): Promise<void> {
    const { round } = await this.#ownRound(client, id);
    const at = this.#ctx.clock.now();
    await this.#ctx.store.appendRoundEvent(id, at, 'aggregator-declined', { reason });
    this.#ctx.emit({ kind: 'participant-declined', at, task: round.task, round: id, client: client.id, reason });
  }

  ring(): void {
    this.#waiters.wake(this.#waiters.clients);
  }

  close(): void {
    this.#waiters.close();
  }

  async #take(chunk: SumChunk, record: SessionRecord, session: SharesSession): Promise<SumAnswer> {
    const pending = await this.#ctx.updates.upload(pendingKey(chunk));
    if (chunk.offset !== pending.received)
      throw new CoordinatorError(
        'UPLOAD_OFFSET',
        `the chunk starts at ${chunk.offset}, the coordinator has ${pending.received} bytes`,
        { members: { received: pending.received } },
      );
    const received = await pending.append(chunk.body, chunk.total);
    if (received < chunk.total) return { kind: 'partial', received };
    const asked = (record.survivors ?? []).map(({ member }) => member);
    const bytes = await pending.read();
    const judged = judgeShareSum(session, asked, bytes);
    if (sha256Hex(bytes) !== chunk.digest || judged.kind === 'refused' || !(await pending.commit(chunk.digest))) {
      await pending.discard();
      if (judged.kind === 'refused') throw protocolRefused(judged.code, judged.why);
      throw protocolRefused('SECAGG_MALFORMED', 'the bytes received do not have the digest that was announced');
    }
    await this.#admit(chunk.round, chunk.digest, judged.members);
    return { kind: 'taken' };
  }

  async #admit(id: RoundId, digest: Digest, members: readonly number[]): Promise<void> {
    const message = encodeKeptSum({ digest, members });
    const admission = await this.#ctx.store.admitProtocolMessage(id, {
      step: 'unmask',
      member: AGGREGATOR_MEMBER,
      message,
    });
    if (admission === 'closed' || admission === 'other') {
      await this.#ctx.updates.delete(digest);
      throw new CoordinatorError('PROTOCOL_STEP', `${id} takes no sum any more`);
    }
    this.#rounds.nudge(id);
  }

  async #next(client: ClientRecord): Promise<AggregatorWork | null> {
    for (const round of await this.#ctx.store.listRunningRounds()) {
      if (!('plan' in round.state) || round.state.plan.protocol?.by !== 'aggregator') continue;
      const work = await this.#workIn(round, client);
      if (work !== null) return work;
    }
    return null;
  }

  async #workIn(round: RoundRecord, client: ClientRecord): Promise<AggregatorWork | null> {
    const { store } = this.#ctx;
    const step = stepIn(round);
    if (step !== 'advertise-keys' && step !== 'unmask') return null;
    const found = await store.findSession(round.id);
    if (found === null) return null;
    const session = decodeSharesSession(found.session);
    if (session.aggregator.client !== client.id || (await messageOf(store, round.id, step)) !== null) return null;
    if (step === 'advertise-keys') {
      return { kind: 'key', round: round.id, session: found.session, roster: found.roster };
    }
    const request = await requestOf(store, round.id, session, found.survivors ?? []);
    return { kind: 'sum', round: round.id, request };
  }

  async #ownRound(
    client: ClientRecord,
    id: RoundId,
  ): Promise<{ readonly round: RoundRecord; readonly record: SessionRecord; readonly session: SharesSession }> {
    const round = await this.#ctx.store.findRound(id);
    if (round === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${id}`);
    if (!('plan' in round.state) || round.state.plan.protocol?.by !== 'aggregator') throw notNow(round, 'unmask');
    const record = await requireSession(this.#ctx.store, id);
    const session = decodeSharesSession(record.session);
    if (session.aggregator.client !== client.id)
      throw protocolRefused('SECAGG_MEMBER', 'this client is not the aggregator of the round');
    return { round, record, session };
  }
}

/** Of the bytes too: after a refusal the aggregator may send others. */
function pendingKey({ round, digest }: SumChunk): string {
  return `sum_${sha256Hex(utf8(`${round} ${digest}`)).slice(0, 40)}`;
}
