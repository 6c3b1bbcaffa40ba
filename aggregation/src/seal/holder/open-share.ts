/**
 * Step 4 of a committee's member, its second half: its share of the opening of one sum of masks.
 *
 * Each contributor is taken to have encrypted honestly. One that has not and is with the coordinator can choose its mask so that the answers
 * tell the round's key: against that there is no proof here.
 */
import { DOMAINS, openingShare, sha256 } from '@carapace/crypto';
import type { Bgv, SigningKey } from '@carapace/crypto';
import { openingText } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import { encodeOpeningShare } from '../wire/opening-share.ts';
import type { TakenOpening } from './take-opening.ts';
import type { KeyedHolder } from './state.ts';

/** The answer, block after block. @param mask the sum of all masks of the request */
export function* openShare(
  bgv: Bgv,
  { state, request, digest }: TakenOpening<KeyedHolder>,
  mask: Uint8Array,
  identity: SigningKey,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  const { session, number, keyShare } = state;
  const context = sealContextOf(session);
  const share = yield* openingShare(bgv, keyShare, { number, quorum: request.quorum }, mask);
  const unsigned = { request: digest, maskDigest: sha256(mask), share };
  const signature = identity.sign(DOMAINS.sealOpening, openingText(context, number, unsigned));
  return encodeOpeningShare(context, { ...unsigned, signature });
}
