/** Step 3 of the coordinator: collect signatures on the set of survivors, and show them to all. */
import { DOMAINS, verify } from '@carapace/crypto';
import { bindingOf, survivorsText } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeSurvivorSignature, encodeSignatures } from '../wire/consistency.ts';
import { admit, inOrder, membersOf } from './admit.ts';
import type { Confirming, Unmasking } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeSignature(state: Confirming, from: number, message: Uint8Array): Confirming {
  const { session, survivors } = state;
  const context = contextOf(session);
  if (!survivors.includes(from)) throw new Stop('SECAGG_MEMBER', `member ${from} is not in the sum`);
  const signed = decodeSurvivorSignature(context, message);
  const signatures = admit(state.signatures, from, signed);
  const text = survivorsText(bindingOf(context, state.keys), membersOf(state.dealings), survivors);
  if (!verify(session.cohort[from]!.identity, DOMAINS.secaggSurvivors, text, signed.signature)) {
    throw new Stop('SECAGG_SIGNATURE', `member ${from} did not sign this set of survivors`);
  }
  return { ...state, signatures };
}

/** The signatures of those that one member shares with. */
export function signaturesFor({ session, keys, signatures }: Unmasking, member: number): Uint8Array<ArrayBuffer> {
  const peers = new Set(graphOf(session, keys).peers(member));
  return encodeSignatures(
    contextOf(session),
    signatures.filter((signed) => peers.has(signed.member)),
  );
}

/** @throws Stop `SECAGG_COHORT_SMALL` */
export function closeConsistency(state: Confirming): Unmasking {
  const { threshold } = state.session;
  if (state.signatures.size < threshold) {
    throw new Stop(
      'SECAGG_COHORT_SMALL',
      `${state.signatures.size} clients confirm the survivors, ${threshold} needed`,
    );
  }
  return { ...state, phase: 'unmasking', signatures: inOrder(state.signatures), replies: new Map() };
}
