/**
 * The protocols of secure aggregation that run here. Records are the truth: the session, every message as it came, and the
 * round's own step. What the state machine of `aggregation` makes of them is computed from these, and kept in memory only
 * so that it is not computed again for every message; another process computes the same.
 */
import {
  audienceOf,
  decodeSession,
  encodeSession,
  judgeMaskedInput,
  maskedInputBytes,
  messageFor,
  openSession,
  secaggServerStep,
} from '@carapace/aggregation';
import type { Accusation, ClientId, RoundId, SecaggRefusal, ServerEffect, ServerState } from '@carapace/aggregation';
import type { MessageStep, ProtocolStep, RoundEvent, RoundState } from '../../domain/round.ts';
import type { ClientRecord, OpenOrder, ProtocolMessage, Records, RoundRecord } from '../../ports.ts';
import type { Context } from '../context.ts';
import { notNow, protocolRefused, requireSession, roundOver, stepIn } from '../round-protocol.ts';
import type { InputJudge, RoundProtocol } from '../round-protocol.ts';

/** Share of a step's time in which the others are waited for although enough have spoken. */
const LINGER = 0.2;

type Phase = ServerState['phase'];
const ORDER: readonly ProtocolStep[] = [
  'advertise-keys',
  'share-keys',
  'masked-input',
  'consistency',
  'unmask',
  'opening',
];
const STEP_OF: Readonly<Record<Phase, ProtocolStep | 'failed' | null>> = {
  advertising: 'advertise-keys',
  sharing: 'share-keys',
  collecting: 'masked-input',
  consistency: 'consistency',
  unmasking: 'unmask',
  opening: 'opening',
  completed: null,
  abandoned: 'failed',
};

export class SecaggProtocols implements RoundProtocol {
  readonly #ctx: Context;
  readonly #states = new Map<RoundId, ServerState>();
  /** Of a round whose step was closed with too little: what its closing says. */
  readonly #accused = new Map<RoundId, Caught>();
  /** Replays from the records that are under way: after a start every waiting client asks at once. */
  readonly #replays = new Map<RoundId, Promise<Taken>>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  /** The event that the round machine asks for: where the protocol stands, its step closed when its time is over. */
  async observe(records: Records, round: RoundRecord, now: number): Promise<RoundEvent> {
    const reached = await this.#reach(records, round);
    const open = stepOf(reached) === stepIn(round);
    const over = open && isOver(reached, round.state, now, await awaited(records, round));
    const { state, effects } = over ? secaggServerStep(reached, { kind: 'close' }) : { state: reached, effects: [] };
    if (state.phase === 'abandoned') this.#accused.set(round.id, { round, state: reached, effects });
    return { kind: 'protocol', now, at: stepOf(state) ?? 'failed', present: presentIn(state) };
  }

  /**
   * A message of one member, judged and durable when this resolves.
   * @throws CoordinatorError `PROTOCOL_REFUSED`, `PROTOCOL_STEP`
   */
  async receive(round: RoundRecord, client: ClientRecord, step: MessageStep, message: Uint8Array): Promise<void> {
    if (stepIn(round) !== step) throw notNow(round, step);
    const { store } = this.#ctx;
    const before = await this.#reach(store, round);
    const member = memberOf(before, client.id);
    if (stepOf(before) !== step) throw notNow(round, step);
    const { state, refusal, accusations } = apply(before, { step, member, message });
    if (refusal !== null) throw protocolRefused(refusal.code, refusal.why);
    const admission = await store.admitProtocolMessage(round.id, { step, member, message });
    if (admission === 'other')
      throw protocolRefused('SECAGG_DUPLICATE', 'another message of this step was sent before');
    if (admission === 'closed') throw notNow(round, step);
    if (admission === 'again') return;
    for (const accusation of accusations) this.#tellAccused(round, before, accusation.member, accusation.code);
    const now = this.#states.get(round.id);
    this.#states.set(
      round.id,
      now === before || now === undefined ? state : apply(now, { step, member, message }).state,
    );
  }

  /** What the member should read in this step of the round, or null when the round is not yet in it. @throws CoordinatorError `ROUND_OVER` */
  async messageFor(round: RoundRecord, client: ClientRecord, step: ProtocolStep): Promise<Uint8Array | null> {
    const at = stepIn(round);
    if (at === null) throw roundOver(round);
    const state = await this.#reach(this.#ctx.store, round);
    const member = memberOf(state, client.id);
    if (ORDER.indexOf(at) < ORDER.indexOf(step)) return null;
    if (at !== step) throw roundOver(round);
    // Everybody has spoken, and the record is about to follow: this step is over in a moment.
    if (stepOf(state) !== step) return null;
    const message = messageFor(state, member);
    if (message === undefined) throw roundOver(round);
    return message;
  }

  async judgeInput(round: RoundRecord, client: ClientRecord): Promise<InputJudge> {
    const state = await this.#reach(this.#ctx.store, round);
    const member = memberOf(state, client.id);
    return {
      bytes: 'session' in state ? maskedInputBytes(state.session) : 0,
      judge: (message) => {
        const refused = judgeMaskedInput(state, member, message);
        return refused === undefined ? { kind: 'admitted', deposit: null } : { kind: 'refused', code: refused.code };
      },
    };
  }

  /** What to add up and which masks to take off; after a garbled sum by the keys of those who left, or null: there is none. */
  async openOrder(round: RoundRecord, garbled: boolean): Promise<OpenOrder | null> {
    const reached = await this.#reach(this.#ctx.store, round);
    const { effects } = secaggServerStep(reached, { kind: garbled ? 'garbled' : 'close' });
    const order = effects.find((effect) => effect.kind === 'open');
    for (const effect of effects) {
      if (effect.kind !== 'accuse') continue;
      this.#tellAccused(round, reached, effect.member, effect.code);
    }
    if (order === undefined || reached.phase !== 'opening') return null;
    const inputs = order.inputs.map((member) => reached.inputs.get(member)!);
    return { kind: 'masks', session: encodeSession(reached.session), inputs, masks: order.masks };
  }

  /** After a round has ended: who was caught when it could not be saved is told now, when that is durable. */
  forget(id: RoundId): void {
    const caught = this.#accused.get(id);
    for (const effect of caught?.effects ?? []) {
      if (effect.kind === 'accuse') this.#tellAccused(caught!.round, caught!.state, effect.member, effect.code);
    }
    this.#accused.delete(id);
    this.#states.delete(id);
  }

  /** Other processes may have ended rounds that this one still remembers. */
  rememberOnly(running: ReadonlySet<RoundId>): void {
    for (const id of this.#states.keys()) if (!running.has(id)) this.#states.delete(id);
    for (const id of this.#accused.keys()) if (!running.has(id)) this.#accused.delete(id);
  }

  #tellAccused(round: RoundRecord, state: ServerState, member: number, code: SecaggRefusal): void {
    if (!('session' in state)) return;
    const client = state.session.cohort[member]!.client;
    this.#ctx.emit({
      kind: 'client-accused',
      at: this.#ctx.clock.now(),
      task: round.task,
      round: round.id,
      client,
      code,
    });
  }

  /** The state that the records amount to, up to the step that the round is in and the messages that came for it. */
  async #reach(records: Records, round: RoundRecord): Promise<ServerState> {
    const kept = this.#states.get(round.id);
    const first = await (kept === undefined ? this.#replay(records, round) : this.#catchUp(records, round, kept));
    // Of two messages that exclude each other (one key of two clients) both may have been admitted at once. Which of them counts must
    // not depend on who came first here: it is the one of the lower member, as it is in every process that starts from the records.
    const { state } = first.disputed && kept !== undefined ? await this.#replay(records, round) : first;
    this.#states.set(round.id, state);
    return state;
  }

  /** From the beginning; one at a time for all who ask, but for a transaction, which sees by its own eyes alone. */
  async #replay(records: Records, round: RoundRecord): Promise<Taken> {
    if (records !== this.#ctx.store) return this.#catchUp(records, round, await this.#opened(records, round.id));
    const known = this.#replays.get(round.id);
    // What it missed since it began is caught up with.
    if (known !== undefined) return this.#catchUp(records, round, (await known).state);
    const replay = this.#opened(records, round.id).then((opened) => this.#catchUp(records, round, opened));
    this.#replays.set(round.id, replay);
    return replay.finally(() => this.#replays.delete(round.id));
  }

  async #catchUp(records: Records, round: RoundRecord, from: ServerState): Promise<Taken> {
    let taken: Taken = { state: from, disputed: false };
    for (let step = stepOf(from); isOpenStep(step); step = stepOf(taken.state)) {
      const { state, disputed } = await this.#take(records, round, taken.state, step);
      taken = { state, disputed: disputed || taken.disputed };
      if (stepOf(state) !== step) continue;
      if (!isBehind(step, round)) break;
      taken = { ...taken, state: closed(state) };
    }
    return taken;
  }

  async #opened(records: Records, id: RoundId): Promise<ServerState> {
    return openSession(decodeSession((await requireSession(records, id)).session));
  }

  /** With what the records have of this step and the state has not. */
  async #take(
    records: Records,
    round: RoundRecord,
    from: ServerState,
    step: MessageStep | 'masked-input',
  ): Promise<Taken> {
    let taken: Taken = { state: from, disputed: false };
    if (step !== 'masked-input') {
      for (const message of await records.listProtocolMessages(round.id, step, spoken(from))) {
        const { state, refusal } = apply(taken.state, message);
        taken = { state, disputed: taken.disputed || refusal !== null };
      }
      return taken;
    }
    if (!isBehind(step, round)) return taken;
    for (const { member, digest } of (await requireSession(records, round.id)).survivors ?? [])
      taken = { ...taken, state: secaggServerStep(taken.state, { kind: 'stored', from: member, digest }).state };
    return taken;
  }
}

interface Caught {
  readonly round: RoundRecord;
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

interface Taken {
  readonly state: ServerState;
  /** Whether a message that was admitted does not fit the others. */
  readonly disputed: boolean;
}

/** A message that was judged before cannot be refused now, unless its step has closed: then it does not count. */
function apply(
  state: ServerState,
  { member, message, step }: ProtocolMessage,
): {
  readonly state: ServerState;
  readonly refusal: { readonly code: SecaggRefusal; readonly why: string } | null;
  readonly accusations: readonly Accusation[];
} {
  if (stepOf(state) !== step) return { state, refusal: null, accusations: [] };
  const outcome = secaggServerStep(state, { kind: 'message', from: member, message });
  const refusal = outcome.effects.find((effect) => effect.kind === 'refuse');
  // Who sent wrong shares is found with the order to open, and told with it.
  const isTold = outcome.effects.some((effect) => effect.kind === 'open');
  const accusations = outcome.effects.filter((effect) => effect.kind === 'accuse');
  const now = isTold ? accusations.filter(({ code }) => code !== 'SECAGG_SHARE_WRONG') : accusations;
  return { state: outcome.state, refusal: refusal ?? null, accusations: now };
}

function stepOf(state: ServerState): ProtocolStep | 'failed' | null {
  return STEP_OF[state.phase];
}

/** Whether the record has left this step behind. */
function isBehind(step: ProtocolStep, round: RoundRecord): boolean {
  const at = stepIn(round);
  return at !== null && ORDER.indexOf(step) < ORDER.indexOf(at);
}

function isOpenStep(step: ReturnType<typeof stepOf>): step is MessageStep | 'masked-input' {
  return step !== null && step !== 'failed' && step !== 'opening';
}

function closed(state: ServerState): ServerState {
  return secaggServerStep(state, { kind: 'close' }).state;
}

/**
 * A step is over at its deadline, or when nobody is left who may still speak. One that unmasks goes on earlier when enough have:
 * whoever is missing then has most likely left, and nothing is gained by its word but its own good name. Signatures on a sparse
 * graph are waited for: each client needs those of its own neighbours.
 */
function isOver(state: ServerState, round: RoundState, now: number, left: ReadonlySet<ClientId>): boolean {
  if (round.kind !== 'agreeing' && round.kind !== 'unmasking') return false;
  if (now >= round.deadline || !('session' in state)) return true;
  const { cohort, neighbours } = state.session;
  const heard = new Set(spoken(state));
  if (!cohort.some(({ client }, member) => left.has(client) && !heard.has(member))) return true;
  const lingers = round.kind === 'unmasking' && (neighbours === undefined || round.step === 'unmask');
  const lingered = now >= round.deadline - (1 - LINGER) * (round.plan.protocol?.stepMs ?? 0);
  return lingers && lingered && closed(state).phase !== 'abandoned';
}

/** Whose word may still come: who has not declined, was not revoked and not dismissed. */
async function awaited(records: Records, { id, state }: RoundRecord): Promise<ReadonlySet<ClientId>> {
  const status = state.kind === 'unmasking' ? 'reported' : 'selected';
  const participants = await records.listParticipants(id);
  return new Set(participants.filter((of) => of.status === status).map(({ client }) => client));
}

function presentIn(state: ServerState): ClientId[] {
  return 'session' in state ? audienceOf(state).map((member) => state.session.cohort[member]!.client) : [];
}

/** Who needs not be asked of the records again: their message is in the state. */
function spoken(state: ServerState): number[] {
  switch (state.phase) {
    case 'advertising':
      return [...state.advertised.keys()];
    case 'sharing':
      return [...state.dealings.keys()];
    case 'consistency':
      return [...state.signatures.keys()];
    case 'unmasking':
      return [...state.replies.keys()];
    default:
      return [];
  }
}

function memberOf(state: ServerState, client: ClientId): number {
  const member = 'session' in state ? state.session.cohort.findIndex((of) => of.client === client) : -1;
  if (member < 0) throw protocolRefused('SECAGG_MEMBER', 'this client is not of the cohort');
  return member;
}
