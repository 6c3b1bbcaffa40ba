/**
 * This client's part in secure aggregation: the shell around the state machine of `aggregation`. What it holds is journalled
 * before a word of it is sent, so that after a crash the same bytes are sent again and no secret is made twice.
 */
import {
  contextOf,
  decodeClientState,
  decodeSession,
  encodeClientState,
  joinSession,
  lanesOf,
  privacyOf,
  quantise,
  secaggClientStep,
  vectorLength,
  workDigest,
} from '@carapace/aggregation';
import type {
  Assignment,
  ClientEffect,
  ClientEvent as SecaggClientEvent,
  ClientOutcome,
  ClientState,
  Digest,
  Layout,
  RoundId,
  Session,
} from '@carapace/aggregation';
import type { MessageStep, ReadStep } from './coordinator-calls.ts';
import { ClientError } from './errors.ts';
import type { RandomSource } from '@carapace/crypto';
import { awaitMessage, floorOf, noteRoster, rosterKeysOf } from './hiding.ts';
import type { Hiding, HidingMeans } from './hiding.ts';
import { ownNoise } from './own-noise.ts';
import type { OwnNoise } from './own-noise.ts';
import { ProblemError } from './transport/problem-error.ts';

type Keyed = Extract<ClientState, { phase: 'keyed' }>;
type Masked = Extract<ClientState, { phase: 'masked' }>;

export class SecureAggregation {
  readonly #means: HidingMeans;

  constructor(means: HidingMeans) {
    this.#means = means;
  }

  /**
   * Agrees with the cohort of a round on the masks (steps 0 and 1); goes on where a crash left it, up to the masked input.
   * @throws ClientError `PROTECTION_REFUSED` when the session asks for less than this device requires, or somebody lies
   */
  async agree(assignment: Assignment, layout: Layout, signal: AbortSignal): Promise<Hiding> {
    const state = await this.#agreed(assignment, layout, signal);
    const { session } = state;
    const { minimumSurvivors, quantiser, cohort } = session;
    const noise =
      state.phase === 'masked'
        ? null
        : await ownNoise(this.#means, assignment, layout, { clients: cohort.length, minimumSurvivors, quantiser });
    return {
      ready: state.phase === 'masked' ? state.outbox : null,
      masked: true,
      hide: (delta, examples) => this.#mask(state, noise, delta, examples),
    };
  }

  async #agreed(assignment: Assignment, layout: Layout, signal: AbortSignal): Promise<Keyed | Masked> {
    const { round } = assignment;
    let state = (await this.#kept(round)) ?? (await this.#join(assignment, layout));
    await this.#checkSame(state, assignment, layout);
    for (;;) {
      switch (state.phase) {
        case 'advertised':
          state = await this.#exchange(round, state, 'advertise-keys', 'share-keys', 'key-list', signal);
          break;
        case 'shared':
          state = await this.#exchange(round, state, 'share-keys', 'masked-input', 'share-delivery', signal);
          break;
        case 'keyed':
        case 'masked':
          return state;
        default:
          throw new ClientError('PROTECTION_REFUSED', `this client has no further part in ${round}`);
      }
    }
  }

  /** The update under its masks, journalled: the bytes to upload. */
  async #mask(
    state: Keyed | Masked,
    noise: OwnNoise | null,
    delta: Float32Array,
    examples: number,
  ): Promise<Uint8Array> {
    if (state.phase === 'masked') return state.outbox;
    const { session } = state;
    const lanes =
      noise === null
        ? quantised(session, delta, examples, this.#means.random)
        : await noise.lanes(delta, contextOf(session), lanesOf(session));
    const masked = await this.#step(session.round, state, { kind: 'input', lanes });
    if (masked.phase !== 'masked') throw new Error('an input that was taken is masked');
    return masked.outbox;
  }

  /** The round that waits for this client to confirm and unmask its sum, if one does. */
  async unfinished(): Promise<RoundId | null> {
    const kept = await this.#means.state.protocol();
    if (kept === null) return null;
    const { phase } = decodeClientState(kept.state);
    const waits = phase === 'consistent' || phase === 'finished' || (phase === 'masked' && kept.admitted);
    return waits ? kept.round : null;
  }

  /** A masked input that was made and, to this journal's knowledge, not admitted. */
  async unsent(): Promise<{ readonly round: RoundId; readonly bytes: Uint8Array } | null> {
    const kept = await this.#means.state.protocol();
    if (kept === null || kept.admitted) return null;
    const state = decodeClientState(kept.state);
    return state.phase === 'masked' ? { round: kept.round, bytes: state.outbox } : null;
  }

  async noteAdmitted(round: RoundId): Promise<void> {
    const kept = await this.#means.state.protocol();
    if (kept?.round === round) await this.#means.state.keepProtocol({ ...kept, admitted: true });
  }

  /** Steps 3 and 4: confirms who is in the sum and helps to take the masks off it; then nothing of the round is left here. */
  async unmask(round: RoundId, signal: AbortSignal): Promise<void> {
    try {
      const survivors = await this.#confirmAndUnmask(round, signal);
      if (survivors > 0) this.#means.onEvent({ kind: 'unmasked', round, survivors });
    } catch (error) {
      if (!isOver(error)) throw error;
      this.#means.onEvent({ kind: 'left-out', round, reason: error.message });
    }
    await this.#means.state.dropProtocol();
  }

  async #confirmAndUnmask(round: RoundId, signal: AbortSignal): Promise<number> {
    let survivors = 0;
    let state = await this.#kept(round);
    while (state !== null) {
      switch (state.phase) {
        case 'masked':
          state = await this.#step(round, state, {
            kind: 'survivors',
            message: await this.#read(round, 'consistency', signal),
          });
          break;
        case 'consistent':
          survivors = state.survivors.length;
          state = await this.#exchange(round, state, 'consistency', 'unmask', 'signatures', signal);
          break;
        case 'finished':
          await this.#send(round, 'unmask', state.outbox);
          return survivors;
        default:
          return 0;
      }
    }
    return 0;
  }

  async #join(assignment: Assignment, layout: Layout): Promise<ClientState> {
    const { state, membership, calls, call, floor, random } = this.#means;
    const invitation = await call(() => calls.invitation(assignment.round));
    if (decodeSession(invitation.session).round !== assignment.round)
      throw new ClientError('PROTECTION_REFUSED', 'the session is of another round than the assignment');
    const outcome = joinSession(
      invitation,
      {
        client: membership.client,
        identity: state.key,
        rosterKeys: rosterKeysOf(membership),
        floor: await floorOf(floor, state, membership),
        model: assignment.model.weights,
        work: workOf(assignment, layout),
        values: valuesIn(assignment, layout),
      },
      random,
    );
    const refused = outcome.effects.some((effect) => effect.kind === 'abort');
    if (!refused) await noteRoster(state, membership, invitation.roster);
    await this.#keep(assignment.round, outcome);
    return outcome.state;
  }

  /** Who resumes a session is given the same work again, or goes no further: its masks are for that work alone. */
  async #checkSame(state: ClientState, assignment: Assignment, layout: Layout): Promise<void> {
    if (!('session' in state)) return;
    const { model, work, values } = state.session;
    const same =
      model === assignment.model.weights &&
      work === workOf(assignment, layout) &&
      values === valuesIn(assignment, layout);
    if (same) return;
    await this.#means.state.dropProtocol();
    throw new ClientError(
      'PROTECTION_REFUSED',
      'SECAGG_MODEL: the round is about other work than the session that was agreed on',
    );
  }

  /** Says what the state wants said, reads what the next step begins with. */
  async #exchange(
    round: RoundId,
    state: Extract<ClientState, { outbox: Uint8Array }>,
    said: MessageStep,
    read: ReadStep,
    kind: Exclude<SecaggClientEvent['kind'], 'input' | 'abandon'>,
    signal: AbortSignal,
  ): Promise<ClientState> {
    await this.#send(round, said, state.outbox);
    return this.#step(round, state, { kind, message: await this.#read(round, read, signal) });
  }

  async #step(round: RoundId, state: ClientState, event: SecaggClientEvent): Promise<ClientState> {
    const { random, state: directory } = this.#means;
    const outcome = secaggClientStep(state, event, { identity: directory.key, random });
    await this.#keep(round, outcome);
    return outcome.state;
  }

  /** On disk before anyone is told. @throws ClientError `PROTECTION_REFUSED` when this client goes no further */
  async #keep(round: RoundId, { state, effects }: ClientOutcome): Promise<void> {
    const admitted = state.phase === 'consistent' || state.phase === 'finished';
    await this.#means.state.keepProtocol({ round, admitted, state: encodeClientState(state) });
    for (const effect of effects) this.#tell(round, state, effect);
    const end = effects.find((effect) => effect.kind === 'abort' || effect.kind === 'ignore');
    if (end !== undefined) throw new ClientError('PROTECTION_REFUSED', `${end.code}: ${end.why}`);
  }

  #tell(round: RoundId, state: ClientState, effect: ClientEffect): void {
    const { onEvent } = this.#means;
    if (effect.kind === 'trust' && 'session' in state) {
      const { cohort, threshold, mode } = state.session;
      onEvent({ kind: 'invited', round, cohort: cohort.length, threshold, mode, trust: effect.trust });
    }
    if (effect.kind === 'suspect')
      onEvent({
        kind: 'note',
        message: `${round}: member ${effect.member} of the cohort dealt a bad share (${effect.code})`,
      });
  }

  async #send(round: RoundId, step: MessageStep, message: Uint8Array): Promise<void> {
    try {
      await this.#means.call(() => this.#means.calls.sendProtocolMessage(round, step, message));
    } catch (error) {
      // The step has closed, with this message or without it: what the next one begins with will tell.
      if (!(error instanceof ProblemError) || error.code !== 'PROTOCOL_STEP') throw error;
    }
  }

  #read(round: RoundId, step: ReadStep, signal: AbortSignal): Promise<Uint8Array> {
    return awaitMessage(this.#means, round, step, signal);
  }

  async #kept(round: RoundId): Promise<ClientState | null> {
    const kept = await this.#means.state.protocol();
    return kept?.round === round ? decodeClientState(kept.state) : null;
  }
}

function quantised(session: Session, delta: Float32Array, examples: number, random: RandomSource): Uint32Array {
  const weight = Math.min(examples, session.quantiser.maxWeight);
  return quantise(delta, weight, session.quantiser, lanesOf(session), random);
}

export function workOf({ model, training, protection }: Assignment, layout: Layout): Digest {
  return workDigest({ layout: layout.digest, topology: model.topology, training, protection });
}

/** Of the vector that a client hides: those of its update, and its clip bit where the clip moves. */
export function valuesIn({ protection }: Assignment, layout: Layout): number {
  return vectorLength(privacyOf(protection), layout.size);
}

/** The round goes on without this client, or ended: nothing is left to do for it. */
function isOver(error: unknown): error is ProblemError | ClientError {
  if (error instanceof ClientError) return error.code === 'PROTECTION_REFUSED';
  return error instanceof ProblemError;
}
