/**
 * Step 4 of the client: hand back what takes the masks off the sum. Whether a client survived is read off the set that was
 * signed in step 3, never off a request, so that no client can be asked for both secrets of another. It is done once:
 * the state that follows holds nothing but the answer.
 */
import { DOMAINS, exchangeKeyFromSecret, verify } from '@carapace/crypto';
import { bindingOf, pairSeedOf, survivorsText } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeSignatures } from '../wire/consistency.ts';
import { encodeUnmaskReply } from '../wire/unmask.ts';
import type { Disclosure } from '../wire/unmask.ts';
import { maskKeyOf } from './held-shares.ts';
import type { Consistent, Finished } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function unmask(state: Consistent, message: Uint8Array): Finished {
  const context = contextOf(state.session);
  const binding = bindingOf(context, state.keys);
  checkSignatures(state, context, binding, message);
  const disclosures = disclose(state, binding);
  return { phase: 'finished', outbox: encodeUnmaskReply(context, { member: state.member, disclosures }) };
}

/** Those of `members` that this client shares with, itself among them. */
function peersOf({ session, keys, member }: Consistent, members: readonly number[]): number[] {
  const peers = new Set(graphOf(session, keys).peers(member));
  return members.filter((other) => peers.has(other));
}

/** At least t survivors that this client shares with must have signed the very set that this client signed; one bad signature among them is one too many. */
function checkSignatures(state: Consistent, context: Uint8Array, binding: Uint8Array, message: Uint8Array): void {
  const { session, survivors, dealers } = state;
  const signers = new Set(peersOf(state, survivors));
  const signatures = decodeSignatures(context, message);
  if (signatures.length < session.threshold) {
    throw new Stop(
      'SECAGG_COHORT_SMALL',
      `${signatures.length} clients confirm the survivors, ${session.threshold} needed`,
    );
  }
  const text = survivorsText(binding, dealers, survivors);
  for (const { member, signature } of signatures) {
    if (!signers.has(member))
      throw new Stop('SECAGG_MEMBER', `member ${member} confirms, but is no survivor beside it`);
    if (!verify(session.cohort[member]!.identity, DOMAINS.secaggSurvivors, text, signature)) {
      throw new Stop('SECAGG_SIGNATURE', `member ${member} did not confirm these survivors`);
    }
  }
}

function disclose(state: Consistent, binding: Uint8Array): Disclosure[] {
  const { member: own, keys, dealers, held, secrets } = state;
  const survivors = new Set(state.survivors);
  const maskKey = exchangeKeyFromSecret(secrets.mask);
  return peersOf(state, dealers).flatMap((member): Disclosure[] => {
    const good = held.get(member);
    if (survivors.has(member)) return good ? [{ kind: 'survivor', member, selfShare: good.selfShare }] : [];
    const pairSeed = pairSeedOf(binding, maskKey, maskKeyOf(keys, member), own, member);
    return [{ kind: 'dropped', member, pairSeed, ...(good && { keyShare: good.keyShare }) }];
  });
}
