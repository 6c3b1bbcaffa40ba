/** The protocols of all rounds behind one door: which of them a round has, its plan says. */
import { decodeSession, decodeSharesSession, isSharesSession } from '@carapace/aggregation';
import type { ClientId, Digest, Member, RoundId, SharesSession } from '@carapace/aggregation';
import type { MessageStep, ProtocolStep, RoundEvent } from '../domain/round.ts';
import type { ClientRecord, OpenOrder, Records, RoundRecord, SessionRecord } from '../ports.ts';
import type { Context } from './context.ts';
import { requireSession } from './round-protocol.ts';
import type { InputJudge, RoundProtocol } from './round-protocol.ts';
import { SecaggProtocols } from './secagg/secagg-protocols.ts';
import { sumOf } from './shares/share-sums.ts';
import { SharesProtocols } from './shares/shares-protocols.ts';

export class Protocols implements RoundProtocol {
  readonly #ctx: Context;
  readonly #secagg: RoundProtocol;
  readonly #shares: SharesProtocols;
  /** Every client of a cohort asks for its invitation, and a session of thousands takes milliseconds to read. */
  readonly #cohorts = new Map<RoundId, ReadonlySet<ClientId>>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
    this.#secagg = new SecaggProtocols(ctx);
    this.#shares = new SharesProtocols(ctx);
  }

  async sessionOf(round: RoundRecord): Promise<SessionRecord> {
    return requireSession(this.#ctx.store, round.id);
  }

  /** Whether this client is of the cohort of the session. */
  isInvited({ id }: RoundRecord, { session }: SessionRecord, client: ClientId): boolean {
    const cohort = this.#cohorts.get(id) ?? new Set(cohortOf(session).map((member) => member.client));
    this.#cohorts.set(id, cohort);
    return cohort.has(client);
  }

  /** Of a round with a second aggregator. */
  sharesSessionOf(records: Records, id: RoundId): Promise<SharesSession> {
    return this.#shares.sessionOf(records, id);
  }

  observe(records: Records, round: RoundRecord, now: number): Promise<RoundEvent> {
    return this.#of(round).observe(records, round, now);
  }

  receive(round: RoundRecord, client: ClientRecord, step: MessageStep, message: Uint8Array): Promise<void> {
    return this.#of(round).receive(round, client, step, message);
  }

  messageFor(round: RoundRecord, client: ClientRecord, step: ProtocolStep): Promise<Uint8Array | null> {
    return this.#of(round).messageFor(round, client, step);
  }

  judgeInput(round: RoundRecord, client: ClientRecord): Promise<InputJudge> {
    return this.#of(round).judgeInput(round, client);
  }

  openOrder(round: RoundRecord, garbled: boolean): Promise<OpenOrder | null> {
    return this.#of(round).openOrder(round, garbled);
  }

  /** The members whose updates were admitted: the survivors. */
  async fixSurvivors(records: Records, id: RoundId): Promise<void> {
    const cohort = cohortOf((await requireSession(records, id)).session);
    const memberOfClient = new Map(cohort.map(({ client }, member) => [client, member]));
    const updates = await records.listAcceptedUpdates(id);
    const survivors = updates.map(({ client, digest }) => ({ member: memberOfClient.get(client)!, digest }));
    await records.fixSurvivors(id, survivors);
  }

  /** What the protocol keeps beside the updates, to be deleted with them. */
  async blobsOf(id: RoundId): Promise<readonly Digest[]> {
    const sum = await sumOf(this.#ctx.store, id);
    return sum === null ? [] : [sum.digest];
  }

  forget(id: RoundId): void {
    this.#cohorts.delete(id);
    this.#secagg.forget(id);
    this.#shares.forget(id);
  }

  rememberOnly(running: ReadonlySet<RoundId>): void {
    for (const id of this.#cohorts.keys()) if (!running.has(id)) this.#cohorts.delete(id);
    this.#secagg.rememberOnly(running);
    this.#shares.rememberOnly(running);
  }

  /** An ended round has no plan any more; what is asked of it is over with either protocol. */
  #of({ state }: RoundRecord): RoundProtocol {
    return 'plan' in state && state.plan.protocol?.by === 'aggregator' ? this.#shares : this.#secagg;
  }
}

/** Of a session of either protocol. */
function cohortOf(session: Uint8Array): readonly Member[] {
  return isSharesSession(session) ? decodeSharesSession(session).cohort : decodeSession(session).cohort;
}
