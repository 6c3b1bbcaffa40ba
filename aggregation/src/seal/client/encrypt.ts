/** A client's one message in seal mode: its lanes, encrypted under the committee's key and signed. To be journalled before it is sent: a second call encrypts anew. */
import { DOMAINS, encryptUnderPublicKey, sha256 } from '@carapace/crypto';
import type { Bgv, SigningKey } from '@carapace/crypto';
import { checkLanes } from '../../secagg/quantiser.ts';
import { contributionText } from '../derivation.ts';
import { sealContextOf, sealLanesOf } from '../session.ts';
import { encodeSealInput } from '../wire/input.ts';
import type { SealPart } from './join.ts';

/** @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE`, CryptoError `SEAL_KEY` */
export function encryptInput(
  bgv: Bgv,
  { session, member }: SealPart,
  publicKey: Uint8Array,
  lanes: Uint32Array,
  identity: SigningKey,
): Uint8Array<ArrayBuffer> {
  checkLanes(lanes, sealLanesOf(session));
  const context = sealContextOf(session);
  const { body, mask } = encryptUnderPublicKey(bgv, publicKey, lanes);
  const unsigned = { member, bodyDigest: sha256(body), maskDigest: sha256(mask) };
  const text = contributionText(context, sha256(publicKey), unsigned);
  const signature = identity.sign(DOMAINS.sealContribution, text);
  return encodeSealInput(context, { contribution: { ...unsigned, signature }, body, mask });
}
