/**
 * Rounds with a second aggregator. Records are the truth: the session, the aggregator's key, the deposits beside the updates, and
 * the aggregator's sum. Only decoded sessions are remembered here, because clients ask for them all the time.
 */
import {
  decodeDeposit,
  decodeSharesSession,
  encodeDeposit,
  judgeAggregatorKey,
  judgeShareInput,
  shareInputBytes,
  sumRequest,
} from '@carapace/aggregation';
import type { ClientId, RoundId, SharesSession } from '@carapace/aggregation';
import { equalBytes } from '@carapace/crypto';
import type { MessageStep, ProtocolStep, RoundEvent } from '../../domain/round.ts';
import type { ClientRecord, OpenOrder, Records, RoundRecord, Survivor } from '../../ports.ts';
import type { Context } from '../context.ts';
import { notNow, protocolRefused, requireSession, roundOver, stepIn } from '../round-protocol.ts';
import type { InputJudge, RoundProtocol } from '../round-protocol.ts';
import { AGGREGATOR_MEMBER, messageOf, spokenIn, sumOf } from './share-sums.ts';

export class SharesProtocols implements RoundProtocol {
  readonly #ctx: Context;
  readonly #sessions = new Map<RoundId, SharesSession>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  async observe(records: Records, round: RoundRecord, now: number): Promise<RoundEvent> {
    const { cohort } = await this.sessionOf(records, round.id);
    return { kind: 'protocol', now, at: await this.#at(records, round), present: cohort.map(({ client }) => client) };
  }

  /** The aggregator's key: the one message that it sends as such. */
  async receive(round: RoundRecord, client: ClientRecord, step: MessageStep, message: Uint8Array): Promise<void> {
    if (step !== 'advertise-keys' || stepIn(round) === null) throw notNow(round, step);
    const { store } = this.#ctx;
    const session = await this.sessionOf(store, round.id);
    if (session.aggregator.client !== client.id)
      throw protocolRefused('SECAGG_MEMBER', 'this client is not the aggregator of the round');
    const known = await messageOf(store, round.id, step);
    // Its answer was lost, and the round has gone on by it.
    if (known !== null && equalBytes(known, message)) return;
    if (stepIn(round) !== step) throw notNow(round, step);
    const refused = judgeAggregatorKey(session, message);
    if (refused !== null) throw protocolRefused(refused.code, refused.why);
    const admission = await store.admitProtocolMessage(round.id, { step, member: AGGREGATOR_MEMBER, message });
    if (admission === 'other') throw protocolRefused('SECAGG_DUPLICATE', 'another key was given for this round before');
    if (admission === 'closed') throw notNow(round, step);
  }

  /** Clients read one thing: the aggregator's key. */
  async messageFor(round: RoundRecord, client: ClientRecord, step: ProtocolStep): Promise<Uint8Array | null> {
    const at = stepIn(round);
    if (at === null || step !== 'masked-input') throw roundOver(round);
    memberOf(await this.sessionOf(this.#ctx.store, round.id), client.id);
    if (at === 'advertise-keys') return null;
    if (at !== step) throw roundOver(round);
    const key = await messageOf(this.#ctx.store, round.id, 'advertise-keys');
    if (key === null) throw roundOver(round);
    return key;
  }

  async judgeInput(round: RoundRecord, client: ClientRecord): Promise<InputJudge> {
    const session = await this.sessionOf(this.#ctx.store, round.id);
    const member = memberOf(session, client.id);
    return {
      bytes: shareInputBytes(session),
      judge: (message) => {
        const judged = judgeShareInput(session, member, message);
        return judged.kind === 'refused'
          ? { kind: 'refused', code: judged.code }
          : { kind: 'admitted', deposit: encodeDeposit(judged.deposit) };
      },
    };
  }

  /** A sum that is garbled stays so: the two shares of somebody do not belong together, and nobody can tell whose. */
  async openOrder(round: RoundRecord, garbled: boolean): Promise<OpenOrder | null> {
    const { store } = this.#ctx;
    const [{ session, survivors }, sum] = await Promise.all([requireSession(store, round.id), sumOf(store, round.id)]);
    if (garbled || sum === null) return null;
    const members = new Set(sum.members);
    const inputs = (survivors ?? []).filter(({ member }) => members.has(member));
    return { kind: 'shares', session, inputs, sum: sum.digest };
  }

  forget(id: RoundId): void {
    this.#sessions.delete(id);
  }

  rememberOnly(running: ReadonlySet<RoundId>): void {
    for (const id of this.#sessions.keys()) if (!running.has(id)) this.#sessions.delete(id);
  }

  async #at(records: Records, round: RoundRecord): Promise<ProtocolStep | 'failed'> {
    const step = round.state.kind === 'agreeing' ? 'advertise-keys' : 'unmask';
    const { message, declined } = await spokenIn(records, round.id, step);
    if (declined) return 'failed';
    if (message === null) return step;
    return step === 'advertise-keys' ? 'masked-input' : 'opening';
  }

  async sessionOf(records: Records, id: RoundId): Promise<SharesSession> {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const session = decodeSharesSession((await requireSession(records, id)).session);
    this.#sessions.set(id, session);
    return session;
  }
}

/** What the aggregator is asked to add up: the deposits of the survivors, the same bytes whenever it is made; null when the round is over. */
export async function requestOf(
  records: Records,
  id: RoundId,
  session: SharesSession,
  survivors: readonly Survivor[],
): Promise<Uint8Array | null> {
  const kept = await records.listDeposits(id);
  const deposits = survivors.flatMap(({ digest }) => kept.get(digest) ?? []);
  // They go with the session: it was there a moment ago.
  return deposits.length < survivors.length ? null : sumRequest(session, deposits.map(decodeDeposit));
}

function memberOf({ cohort }: SharesSession, client: ClientId): number {
  const member = cohort.findIndex((of) => of.client === client);
  if (member < 0) throw protocolRefused('SECAGG_MEMBER', 'this client is not of the cohort');
  return member;
}
