/** What a second aggregator asks and answers: which rounds want a key or a sum of it, the sum in chunks, and that it will not. */
import { judgeShareSum, shareSumBytes } from '@carapace/aggregation';
import type { Digest, RoundId, SharesSession } from '@carapace/aggregation';
import { sha256Hex, utf8 } from '@carapace/crypto';
import { CoordinatorError } from '../../errors.ts';
import type { ClientRecord, ProtocolAdmission, Records, RoundRecord } from '../../ports.ts';
import type { AggregatorWork, SumAnswer, SumChunk } from '../api.ts';
import { BodyTurns } from '../body-turns.ts';
import type { Context } from '../context.ts';
import type { Protocols } from '../protocols.ts';
import { receive } from '../received-chunk.ts';
import { notNow, protocolRefused, requireSession, stepIn } from '../round-protocol.ts';
import type { Rounds } from '../rounds.ts';
import { Waiters } from '../waiters.ts';
import { AGGREGATOR_MEMBER, declineMessage, encodeKeptSum, isAggregatorStep, spokenIn, sumOf } from './share-sums.ts';
import { requestOf } from './shares-protocols.ts';

const RETRY_MS = 250;

export class AggregatorCalls {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #protocols: Protocols;
  readonly #waiters: Waiters;
  readonly #turns: BodyTurns;

  constructor(ctx: Context, rounds: Rounds, protocols: Protocols) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#protocols = protocols;
    this.#waiters = new Waiters(ctx.clock);
    this.#turns = new BodyTurns(ctx.clock);
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
  async sum(client: ClientRecord, sent: SumChunk): Promise<SumAnswer> {
    // Nobody else stands in the aggregator's way.
    await this.#ownRound(client, sent.round);
    return this.#turns.run(sent.round, sent.body, async (body) => {
      const { round, session } = await this.#ownRound(client, sent.round);
      const known = await sumOf(this.#ctx.store, sent.round);
      if (known?.digest === sent.digest) return { kind: 'taken' };
      if (stepIn(round) !== 'unmask') throw notNow(round, 'unmask');
      if (known !== null) throw protocolRefused('SECAGG_DUPLICATE', 'another sum was given for this round before');
      if (sent.total > shareSumBytes(session))
        throw protocolRefused('SECAGG_LENGTH', `${sent.total} bytes, at most ${shareSumBytes(session)} allowed`);
      return this.#take({ ...sent, body }, round, session);
    });
  }

  /**
   * The round ends by it. Durable when this resolves, and the same again is the same.
   * @param unopened members whose shares do not open: why the sum of the others is too small
   * @throws CoordinatorError `PROTOCOL_REFUSED`, `PROTOCOL_STEP`
   */
  async decline(client: ClientRecord, id: RoundId, reason: string, unopened: readonly number[]): Promise<void> {
    const { round, session } = await this.#ownRound(client, id);
    const step = stepIn(round);
    if (!isAggregatorStep(step)) throw notNow(round, 'unmask');
    const accused = step === 'unmask' ? unopened : [];
    const at = this.#ctx.clock.now();
    const admission = await this.#ctx.store.transaction('decline_aggregation', async (records) => {
      const admitted = await records.admitProtocolMessage(id, declineMessage(step, reason));
      if (admitted !== 'accepted') return admitted;
      await records.appendRoundEvent(id, at, 'aggregator-declined', { reason });
      await noteAccused(records, id, session, accused, at);
      return admitted;
    });
    if (admission === 'closed') throw notNow(round, step);
    if (admission === 'accepted') {
      this.#ctx.emit({ kind: 'participant-declined', at, task: round.task, round: id, client: client.id, reason });
      this.#tellAccused(round, session, accused);
    }
    this.#rounds.nudge(id);
  }

  ring(): void {
    this.#waiters.wake(this.#waiters.clients);
  }

  close(): void {
    this.#waiters.close();
  }

  async #take(chunk: SumChunk, round: RoundRecord, session: SharesSession): Promise<SumAnswer> {
    const pending = await this.#ctx.updates.upload(pendingKey(chunk.round));
    const received = await receive(chunk, pending, () => pending.append(chunk.body, chunk.total));
    if (received < chunk.total) return { kind: 'partial', received };
    const { survivors } = await requireSession(this.#ctx.store, chunk.round);
    const asked = (survivors ?? []).map(({ member }) => member);
    const bytes = await pending.read();
    const judged = judgeShareSum(session, asked, bytes);
    if (sha256Hex(bytes) !== chunk.digest || judged.kind === 'refused' || !(await pending.commit(chunk.digest))) {
      await pending.discard();
      if (judged.kind === 'refused') throw protocolRefused(judged.code, judged.why);
      throw protocolRefused('SECAGG_MALFORMED', 'the bytes received do not have the digest that was announced');
    }
    const unopened = asked.filter((member) => !judged.members.includes(member));
    await this.#admit(round, session, { digest: chunk.digest, members: judged.members, unopened });
    return { kind: 'taken' };
  }

  async #admit(
    round: RoundRecord,
    session: SharesSession,
    sum: { readonly digest: Digest; readonly members: readonly number[]; readonly unopened: readonly number[] },
  ): Promise<void> {
    const { digest, members, unopened } = sum;
    const at = this.#ctx.clock.now();
    const admission = await this.#ctx.store.transaction('admit_sum', async (records): Promise<ProtocolAdmission> => {
      const message = encodeKeptSum({ digest, members });
      const admitted = await records.admitProtocolMessage(round.id, {
        step: 'unmask',
        member: AGGREGATOR_MEMBER,
        message,
      });
      if (admitted === 'accepted') await noteAccused(records, round.id, session, unopened, at);
      return admitted;
    });
    if (admission === 'closed' || admission === 'other') {
      await this.#ctx.updates.delete(digest);
      throw new CoordinatorError('PROTOCOL_STEP', `${round.id} takes no sum any more`);
    }
    if (admission === 'accepted') this.#tellAccused(round, session, unopened);
    this.#rounds.nudge(round.id);
  }

  #tellAccused({ id, task }: RoundRecord, session: SharesSession, members: readonly number[]): void {
    for (const client of clientsOf(session, members))
      this.#ctx.emit({
        kind: 'client-accused',
        at: this.#ctx.clock.now(),
        task,
        round: id,
        client,
        code: 'SECAGG_SHARE_WRONG',
      });
  }

  async #next(client: ClientRecord): Promise<AggregatorWork | null> {
    const running = await this.#ctx.store.listRunningRounds();
    for (const round of running.sort((a, b) => a.createdAt - b.createdAt)) {
      if (!isShared(round)) continue;
      const work = await this.#workIn(round, client);
      if (work !== null) return work;
    }
    return null;
  }

  async #workIn(round: RoundRecord, client: ClientRecord): Promise<AggregatorWork | null> {
    const { store } = this.#ctx;
    const step = stepIn(round);
    if (!isAggregatorStep(step)) return null;
    // Anybody who is enrolled may ask, at every turn of every round: whose round it is must not take the session to be read.
    const protection = (await store.findTask(round.task))?.task.protection;
    if (protection?.kind !== 'shares' || protection.aggregator !== client.id) return null;
    const { message, declined } = await spokenIn(store, round.id, step);
    if (message !== null || declined) return null;
    const found = await store.findSession(round.id);
    if (found === null) return null;
    if (step === 'advertise-keys')
      return { kind: 'key', round: round.id, session: found.session, roster: found.roster };
    const session = await this.#protocols.sharesSessionOf(store, round.id);
    const request = await requestOf(store, round.id, session, found.survivors ?? []);
    return request && { kind: 'sum', round: round.id, request };
  }

  async #ownRound(
    client: ClientRecord,
    id: RoundId,
  ): Promise<{ readonly round: RoundRecord; readonly session: SharesSession }> {
    const round = await this.#ctx.store.findRound(id);
    if (round === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${id}`);
    if (!isShared(round)) throw notNow(round, 'unmask');
    const session = await this.#protocols.sharesSessionOf(this.#ctx.store, id);
    if (session.aggregator.client !== client.id)
      throw protocolRefused('SECAGG_MEMBER', 'this client is not the aggregator of the round');
    return { round, session };
  }
}

function isShared({ state }: RoundRecord): boolean {
  return 'plan' in state && state.plan.protocol?.by === 'aggregator';
}

/** By the aggregator's word: it cannot be proved, because the one who asked could have changed the deposit. */
async function noteAccused(
  records: Records,
  id: RoundId,
  session: SharesSession,
  members: readonly number[],
  at: number,
): Promise<void> {
  for (const client of clientsOf(session, members))
    await records.appendRoundEvent(id, at, 'client-accused', { client, code: 'SECAGG_SHARE_WRONG' });
}

function clientsOf({ cohort }: SharesSession, members: readonly number[]) {
  return [...new Set(members)].flatMap((member) => cohort[member]?.client ?? []);
}

/**
 * One for the round, however many sums are begun: an aggregator has one answer. What is left of other bytes shows when the whole is judged, and
 * is dropped then.
 */
function pendingKey(round: RoundId): string {
  return `sum_${sha256Hex(utf8(round)).slice(0, 40)}`;
}
