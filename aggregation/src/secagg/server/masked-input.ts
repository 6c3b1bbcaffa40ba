/** Step 2 of the coordinator: take masked inputs. Their bytes go to the shell, their digests stay. */
import { sha256Hex } from '@carapace/crypto';
import { parseDigest } from '../../ids.ts';
import type { Digest } from '../../ids.ts';
import { contextOf, maskOf } from '../session.ts';
import { Stop } from '../stop.ts';
import type { VectorMask } from '../vector-mask.ts';
import { decodeMaskedInput } from '../wire/masked-input.ts';
import { membersOf, requireEnough } from './admit.ts';
import type { Collecting, Confirming } from './state.ts';

/** The payload is undefined when the same input was there already. @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeInput(
  state: Collecting,
  from: number,
  message: Uint8Array,
): { state: Collecting; payload: Uint8Array | undefined } {
  const payload = checkInput(state, from, message);
  const digest = parseDigest(sha256Hex(payload));
  const before = state.inputs.get(from);
  if (before === digest) return { state, payload: undefined };
  if (before !== undefined) throw new Stop('SECAGG_DUPLICATE', `member ${from} already sent another input`);
  return { state: { ...state, inputs: new Map(state.inputs).set(from, digest) }, payload };
}

/** What {@link takeInput} requires of an input by itself; its payload. @throws Stop, AggregationError `MESSAGE_INVALID` */
export function checkInput(state: Collecting, from: number, message: Uint8Array): Uint8Array {
  if (!state.dealings.has(from)) throw new Stop('SECAGG_MEMBER', `member ${from} dealt no shares`);
  const { member, payload } = decodeMaskedInput(contextOf(state.session), message);
  if (member !== from) throw new Stop('SECAGG_MEMBER', `member ${from} speaks for member ${member}`);
  checkPayload(maskOf(state.session), from, payload);
  return payload;
}

/** The shell has judged an input as {@link takeInput} does, and keeps it. @throws Stop `SECAGG_MEMBER` */
export function noteInput(state: Collecting, from: number, digest: Digest): Collecting {
  if (!state.dealings.has(from)) throw new Stop('SECAGG_MEMBER', `member ${from} dealt no shares`);
  return { ...state, inputs: new Map(state.inputs).set(from, digest) };
}

function checkPayload(mask: VectorMask, from: number, payload: Uint8Array): void {
  if (payload.length !== mask.payloadBytes) {
    throw new Stop('SECAGG_LENGTH', `member ${from} sends ${payload.length} masked bytes, not ${mask.payloadBytes}`);
  }
  if (!mask.accepts(payload)) throw new Stop('SECAGG_MALFORMED', `member ${from} sends bytes that no mask writes`);
}

/** Whoever comes later has dropped out. @throws Stop `SECAGG_COHORT_SMALL` */
export function closeCollecting(state: Collecting): Confirming {
  requireEnough(state.session, state.inputs.size, 'sent an input');
  return { ...state, phase: 'consistency', survivors: membersOf(state.inputs), signatures: new Map() };
}
