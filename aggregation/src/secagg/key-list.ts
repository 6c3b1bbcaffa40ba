/** What both roles ask of the keys of step 0. */
import { DOMAINS, parseExchangePublicKey, toHex, verify } from '@carapace/crypto';
import { advertisedText } from './derivation.ts';
import type { Session } from './session.ts';
import { Stop } from './stop.ts';
import type { AdvertisedKeys } from './wire/advertise-keys.ts';

/** @throws Stop, CryptoError `KEY_MALFORMED` */
export function checkAdvertisedKeys(session: Session, context: Uint8Array, keys: AdvertisedKeys): void {
  const member = session.cohort[keys.member];
  if (member === undefined) throw new Stop('SECAGG_MEMBER', `no member ${keys.member} in the cohort`);
  parseExchangePublicKey(keys.sealingKey);
  parseExchangePublicKey(keys.maskKey);
  if (!verify(member.identity, DOMAINS.secaggKeys, advertisedText(context, keys), keys.signature)) {
    throw new Stop('SECAGG_SIGNATURE', `the keys of ${member.client} are not signed by it`);
  }
}

/** No key twice, of whichever kind: two clients with one key would share their masks. @throws Stop `SECAGG_KEY` */
export function checkDistinctKeys(list: readonly AdvertisedKeys[]): void {
  const keys = new Set(list.flatMap(({ sealingKey, maskKey }) => [toHex(sealingKey), toHex(maskKey)]));
  if (keys.size < 2 * list.length) throw new Stop('SECAGG_KEY', 'a key stands twice in the list');
}
