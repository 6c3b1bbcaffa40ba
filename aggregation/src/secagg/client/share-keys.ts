/** Step 1 of the client: check everybody's keys, then deal shares of the mask key and of the self-mask seed to all. */
import { concatBytes, equalBytes, exchangeKeyFromSecret, seal, splitSecret } from '@carapace/crypto';
import type { ExchangePublicKey, RandomSource } from '@carapace/crypto';
import { bindingOf, commitmentTo, sealedText, sealingKeyOf } from '../derivation.ts';
import { graphOf, shareCoordinate } from '../graph.ts';
import { checkAdvertisedKeys, checkDistinctKeys } from '../key-list.ts';
import { contextOf, leastMembers } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeAdvertisedKeys, decodeKeyList } from '../wire/advertise-keys.ts';
import type { AdvertisedKeys } from '../wire/advertise-keys.ts';
import { encodeDealing } from '../wire/share-keys.ts';
import type { DealtShares } from '../wire/share-keys.ts';
import type { Advertised, Shared } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID`, CryptoError `KEY_MALFORMED` */
export function shareKeys(state: Advertised, message: Uint8Array, random: RandomSource): Shared {
  const { session, member, secrets } = state;
  const context = contextOf(session);
  const keys = decodeKeyList(context, message);
  checkKeyList(state, context, keys);
  const binding = bindingOf(context, keys);
  const outbox = encodeDealing(context, {
    member,
    seedCommitment: commitmentTo('self-secret', binding, member, member, secrets.self),
    shares: dealShares(state, keys, binding, random),
  });
  return { phase: 'shared', session, member, secrets, keys, outbox };
}

function checkKeyList(state: Advertised, context: Uint8Array, keys: readonly AdvertisedKeys[]): void {
  const { session, member } = state;
  if (keys.length < leastMembers(session)) {
    throw new Stop('SECAGG_COHORT_SMALL', `${keys.length} clients advertised keys, ${leastMembers(session)} needed`);
  }
  for (const advertised of keys) checkAdvertisedKeys(session, context, advertised);
  checkDistinctKeys(keys);
  const sent = decodeAdvertisedKeys(context, state.outbox);
  const listed = keys.find((advertised) => advertised.member === member);
  if (
    listed === undefined ||
    !equalBytes(listed.sealingKey, sent.sealingKey) ||
    !equalBytes(listed.maskKey, sent.maskKey)
  ) {
    throw new Stop('SECAGG_KEY', "the list does not have this client's own keys");
  }
}

/** One share of each secret for every neighbour and for this client: then any t of them recover it. */
function dealShares(
  state: Advertised,
  keys: readonly AdvertisedKeys[],
  binding: Uint8Array,
  random: RandomSource,
): DealtShares[] {
  const { session, member: dealer, secrets } = state;
  const own = exchangeKeyFromSecret(secrets.sealing);
  const holders = new Set(graphOf(session, keys).peers(dealer));
  const xs = Array.from(holders, (_, place) => shareCoordinate(place));
  const selfShares = splitSecret(secrets.self, session.threshold, xs, random);
  const keyShares = splitSecret(secrets.mask, session.threshold, xs, random);
  const held = keys.filter((advertised) => holders.has(advertised.member));
  return held.map(({ member, sealingKey }, place) => {
    const selfShare = selfShares[place]!;
    const keyShare = keyShares[place]!;
    const selfCommitment = commitmentTo('self-share', binding, dealer, member, selfShare);
    const keyCommitment = commitmentTo('key-share', binding, dealer, member, keyShare);
    const key = sealingKeyOf(binding, own, sealingKey as ExchangePublicKey, dealer, member);
    const associated = sealedText(binding, dealer, member, selfCommitment, keyCommitment);
    const box = seal(key, concatBytes(selfShare, keyShare), associated, random);
    return { member, selfCommitment, keyCommitment, box };
  });
}
