/** The key of one holder, as clients and coordinator look at it. */
import { DOMAINS, sha256, verify } from '@carapace/crypto';
import { refusalOf, Stop } from '../secagg/stop.ts';
import type { Judged } from '../shares/client.ts';
import { holderKey } from './checked-list.ts';
import { soleKeyText } from './derivation.ts';
import { sealContextOf } from './session.ts';
import type { SealSession } from './session.ts';
import { decodeSoleKey } from './wire/sole-holder.ts';

export function openSoleKey(session: SealSession, message: Uint8Array): Judged<Uint8Array> {
  try {
    const context = sealContextOf(session);
    const { publicKey, signature } = decodeSoleKey(context, message);
    if (session.arrangement !== 'holder')
      throw new Stop('SECAGG_KEY', 'the key of one holder, in place of a committee’s');
    const text = soleKeyText(context, sha256(publicKey));
    if (!verify(holderKey(session, 1), DOMAINS.sealSoleKey, text, signature))
      throw new Stop('SECAGG_SIGNATURE', 'the key is not signed by the key holder');
    return { kind: 'agreed', value: publicKey };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}
