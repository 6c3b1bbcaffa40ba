/** The shares that others dealt to this client, out of their boxes. */
import { exchangeKeyFromSecret, openSealed } from '@carapace/crypto';
import type { ExchangePublicKey } from '@carapace/crypto';
import { keepsCommitment, sealedText, sealingKeyOf } from '../derivation.ts';
import type { AdvertisedKeys } from '../wire/advertise-keys.ts';
import { SHARE_BYTES } from '../wire/share-keys.ts';
import type { DealtShares } from '../wire/share-keys.ts';
import type { HeldShares, Shared } from './state.ts';

/** By dealer; a dealer whose box does not open, or holds what it did not commit to, is absent. */
export function openDelivery(
  state: Shared,
  binding: Uint8Array,
  shares: readonly DealtShares[],
): Map<number, HeldShares> {
  const own = exchangeKeyFromSecret(state.secrets.sealing);
  const sealingKeys = new Map(state.keys.map(({ member, sealingKey }) => [member, sealingKey as ExchangePublicKey]));
  const held = new Map<number, HeldShares>();
  for (const dealt of shares) {
    const key = sealingKeyOf(binding, own, sealingKeys.get(dealt.member)!, dealt.member, state.member);
    const opened = openOne(dealt, key, binding, state.member);
    if (opened !== undefined) held.set(dealt.member, opened);
  }
  return held;
}

function openOne(dealt: DealtShares, key: Uint8Array, binding: Uint8Array, holder: number): HeldShares | undefined {
  const { member: dealer, selfCommitment, keyCommitment, box } = dealt;
  const content = openSealed(key, box, sealedText(binding, dealer, holder, selfCommitment, keyCommitment));
  if (content?.length !== 2 * SHARE_BYTES) return undefined;
  const selfShare = content.subarray(0, SHARE_BYTES);
  const keyShare = content.subarray(SHARE_BYTES);
  return keepsCommitment(selfCommitment, 'self-share', binding, dealer, holder, selfShare) &&
    keepsCommitment(keyCommitment, 'key-share', binding, dealer, holder, keyShare)
    ? { selfShare, keyShare }
    : undefined;
}

/** The public mask key of a member of the list. */
export function maskKeyOf(keys: readonly AdvertisedKeys[], member: number): ExchangePublicKey {
  return keys.find((advertised) => advertised.member === member)!.maskKey as ExchangePublicKey;
}
