/**
 * The coordinator's half of secure aggregation: `step(state, event) -> { state, effects }`, no I/O, no clock. A message
 * that is refused changes nothing. A step closes when everybody has spoken, or when the shell says that time is up; with
 * fewer than the session wants the round is abandoned, and what was collected stays masked.
 */
import type { SecaggRefusal } from '../../errors.ts';
import type { Digest } from '../../ids.ts';
import { checkSession, contextOf } from '../session.ts';
import type { Session } from '../session.ts';
import { refusalOf } from '../stop.ts';
import type { Refused } from '../stop.ts';
import type { SignedSeed } from '../vector-mask.ts';
import { encodeKeyList } from '../wire/advertise-keys.ts';
import { encodeSurvivors } from '../wire/consistency.ts';
import type { Accusation } from './accusation.ts';
import { membersOf } from './admit.ts';
import { closeAdvertising, takeKeys } from './advertise-keys.ts';
import { closeConsistency, signaturesFor, takeSignature } from './consistency.ts';
import { Unrecoverable } from './disclosed-shares.ts';
import { checkInput, closeCollecting, noteInput, takeInput } from './masked-input.ts';
import { recoverMasks, wrongShares } from './recover.ts';
import { closeSharing, deliveryTo, takeDealing } from './share-keys.ts';
import type { Opening, ServerState } from './state.ts';
import { takeReply } from './unmask.ts';

export type ServerEvent =
  /** From a client whose identity the transport has checked. */
  | { readonly kind: 'message'; readonly from: number; readonly message: Uint8Array }
  /** A masked input that was judged by a `message` before, and is durable under this digest. */
  | { readonly kind: 'stored'; readonly from: number; readonly digest: Digest }
  /** Time for this step is up. */
  | { readonly kind: 'close' }
  /** The sum was opened and decoded. */
  | { readonly kind: 'opened' }
  /** The sum was opened and is no sum of lanes. */
  | { readonly kind: 'garbled' }
  | { readonly kind: 'abandon'; readonly why: string };

export type ServerEffect =
  /** Each of them finds its message with `messageFor`. */
  | { readonly kind: 'deliver'; readonly to: readonly number[] }
  /** To be durable before the client is answered. */
  | { readonly kind: 'store'; readonly member: number; readonly payload: Uint8Array }
  | { readonly kind: 'refuse'; readonly member: number; readonly code: SecaggRefusal; readonly why: string }
  | ({ readonly kind: 'accuse' } & Accusation)
  /** Add up these members' payloads, take these masks off; then say `opened` or `garbled`. */
  | { readonly kind: 'open'; readonly inputs: readonly number[]; readonly masks: readonly SignedSeed[] }
  | { readonly kind: 'abandoned'; readonly code: SecaggRefusal | 'ABANDONED'; readonly why: string };

export interface ServerOutcome {
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

/** @throws AggregationError `SECAGG_PARAMETERS` */
export function openSession(session: Session): ServerState {
  checkSession(session);
  return { phase: 'advertising', session, advertised: new Map() };
}

export function serverStep(state: ServerState, event: ServerEvent): ServerOutcome {
  switch (event.kind) {
    case 'message':
      return receive(state, event.from, () => take(state, event.from, event.message));
    case 'stored':
      return receive(state, event.from, () => store(state, event.from, event.digest));
    case 'close':
      return close(state);
    case 'opened':
      return state.phase === 'opening'
        ? { state: { phase: 'completed', survivors: state.survivors }, effects: [] }
        : unchanged(state);
    case 'garbled':
      return state.phase === 'opening' ? openAgain(state) : unchanged(state);
    case 'abandon':
      return isOver(state) ? unchanged(state) : abandon('ABANDONED', event.why, []);
  }
}

/**
 * Why a masked input would be refused now, or undefined: for a shell that keeps inputs itself, by a digest of its own, and says `stored` for those that
 * are durable.
 */
export function judgeInput(state: ServerState, from: number, message: Uint8Array): Refused | undefined {
  if (state.phase !== 'collecting') return { code: 'SECAGG_ORDER', why: `it is ${state.phase}` };
  try {
    checkInput(state, from, message);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

/** What a member should have received in the present step: to be answered whenever it asks. */
export function messageFor(state: ServerState, member: number): Uint8Array<ArrayBuffer> | undefined {
  if (!audienceOf(state).includes(member)) return undefined;
  switch (state.phase) {
    case 'sharing':
      return encodeKeyList(contextOf(state.session), state.keys);
    case 'collecting':
      return deliveryTo(state, member);
    case 'consistency':
      return encodeSurvivors(contextOf(state.session), state.survivors);
    case 'unmasking':
      return signaturesFor(state, member);
    default:
      return undefined;
  }
}

/** Who is waited for, and has a message to answer. */
export function audienceOf(state: ServerState): readonly number[] {
  switch (state.phase) {
    case 'advertising':
      return state.session.cohort.map((_, member) => member);
    case 'sharing':
      return state.keys.map((keys) => keys.member);
    case 'collecting':
      return membersOf(state.dealings);
    case 'consistency':
    case 'unmasking':
      return state.survivors;
    default:
      return [];
  }
}

function receive(state: ServerState, from: number, act: () => ServerOutcome): ServerOutcome {
  try {
    const taken = act();
    return isFull(taken.state) ? after(taken.effects, close(taken.state)) : taken;
  } catch (error) {
    return { state, effects: [{ kind: 'refuse', member: from, ...refusalOf(error) }] };
  }
}

function take(state: ServerState, from: number, message: Uint8Array): ServerOutcome {
  switch (state.phase) {
    case 'advertising':
      return unchanged(takeKeys(state, from, message));
    case 'sharing':
      return unchanged(takeDealing(state, from, message));
    case 'collecting': {
      const { state: next, payload } = takeInput(state, from, message);
      return { state: next, effects: payload ? [{ kind: 'store', member: from, payload }] : [] };
    }
    case 'consistency':
      return unchanged(takeSignature(state, from, message));
    case 'unmasking': {
      const { state: next, accusations } = takeReply(state, from, message);
      return { state: next, effects: accusations.map((accusation) => ({ kind: 'accuse', ...accusation })) };
    }
    case 'opening':
    case 'completed':
    case 'abandoned':
      return { state, effects: [{ kind: 'refuse', member: from, code: 'SECAGG_ORDER', why: `it is ${state.phase}` }] };
  }
}

function store(state: ServerState, from: number, digest: Digest): ServerOutcome {
  if (state.phase !== 'collecting') {
    return { state, effects: [{ kind: 'refuse', member: from, code: 'SECAGG_ORDER', why: `it is ${state.phase}` }] };
  }
  return unchanged(noteInput(state, from, digest));
}

function isFull(state: ServerState): boolean {
  const waited = audienceOf(state).length;
  switch (state.phase) {
    case 'advertising':
      return state.advertised.size === waited;
    case 'sharing':
      return state.dealings.size === waited;
    case 'collecting':
      return state.inputs.size === waited;
    case 'consistency':
      return state.signatures.size === waited;
    case 'unmasking':
      return state.replies.size === waited;
    default:
      return false;
  }
}

function close(state: ServerState): ServerOutcome {
  try {
    return closePhase(state);
  } catch (error) {
    const accused = error instanceof Unrecoverable ? [...sendersOfWrongShares(state), error.accused] : [];
    const { code, why } = refusalOf(error);
    return abandon(code, why, accused);
  }
}

/** Nothing was recovered, so nothing was told of them yet; when the seeds are derived it was, with the first order to open. */
function sendersOfWrongShares(state: ServerState): Accusation[] {
  const isFirst = state.phase === 'unmasking' || (state.phase === 'opening' && !state.derived);
  return isFirst ? wrongShares(state) : [];
}

function closePhase(state: ServerState): ServerOutcome {
  switch (state.phase) {
    case 'advertising':
      return delivering(closeAdvertising(state));
    case 'sharing':
      return delivering(closeSharing(state));
    case 'collecting':
      return delivering(closeCollecting(state));
    case 'consistency':
      return delivering(closeConsistency(state));
    case 'unmasking':
      return open({ ...state, phase: 'opening', derived: false });
    case 'opening':
      // The shell lost its order to open, or asks again.
      return open(state);
    case 'completed':
    case 'abandoned':
      return unchanged(state);
  }
}

function open(state: Opening): ServerOutcome {
  const { masks, accusations } = recoverMasks(state, state.derived);
  const accuse = accusations.map((accusation): ServerEffect => ({ kind: 'accuse', ...accusation }));
  return { state, effects: [...accuse, { kind: 'open', inputs: state.survivors, masks }] };
}

/** Somebody's pair seed may have been wrong: derive all of them. If none was, somebody's input was. */
function openAgain(state: Opening): ServerOutcome {
  const garbled = abandon('SECAGG_LANE', 'the opened sum is no sum of lanes', []);
  if (state.derived) return garbled;
  const again = close({ ...state, derived: true });
  return again.effects.some((effect) => effect.kind === 'accuse') ? again : garbled;
}

function delivering(state: ServerState): ServerOutcome {
  return { state, effects: [{ kind: 'deliver', to: audienceOf(state) }] };
}

function abandon(code: SecaggRefusal | 'ABANDONED', why: string, accused: readonly Accusation[]): ServerOutcome {
  const accuse = accused.map((accusation): ServerEffect => ({ kind: 'accuse', ...accusation }));
  return { state: { phase: 'abandoned', code, why }, effects: [...accuse, { kind: 'abandoned', code, why }] };
}

function isOver(state: ServerState): boolean {
  return state.phase === 'completed' || state.phase === 'abandoned';
}

function unchanged(state: ServerState): ServerOutcome {
  return { state, effects: [] };
}

function after(effects: readonly ServerEffect[], outcome: ServerOutcome): ServerOutcome {
  return { state: outcome.state, effects: [...effects, ...outcome.effects] };
}
