/** Step 3 of the client: sign the set of survivors that it was shown, so that nobody can be shown another. */
import { DOMAINS } from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import { bindingOf, survivorsText } from '../derivation.ts';
import { contextOf, leastMembers } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeSurvivors, encodeSurvivorSignature } from '../wire/consistency.ts';
import type { Consistent, Masked } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function signSurvivors(state: Masked, message: Uint8Array, identity: SigningKey): Consistent {
  const { session, member, keys, dealers } = state;
  const context = contextOf(session);
  const survivors = decodeSurvivors(context, message);
  if (survivors.some((survivor) => !dealers.includes(survivor))) {
    throw new Stop('SECAGG_MEMBER', 'a survivor that dealt no shares');
  }
  if (!survivors.includes(member)) throw new Stop('SECAGG_MEMBER', 'this client sent its input and is not in the sum');
  if (survivors.length < leastMembers(session)) {
    throw new Stop('SECAGG_COHORT_SMALL', `${survivors.length} survivors, ${leastMembers(session)} needed`);
  }
  const text = survivorsText(bindingOf(context, keys), dealers, survivors);
  const signature = identity.sign(DOMAINS.secaggSurvivors, text);
  return { ...state, phase: 'consistent', survivors, outbox: encodeSurvivorSignature(context, { member, signature }) };
}
