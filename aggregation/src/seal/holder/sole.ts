/**
 * One holder that has the key whole, apart from the coordinator: the same checks as a committee's members, and it sees the sum that it
 * opens. Whoever is with it reads every update that the coordinator hands over.
 */
import { CryptoError, DOMAINS, equalBytes, generateSealKey, openSum, sha256 } from '@carapace/crypto';
import type { Bgv, SigningKey } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import { soleKeyText, soleSumText } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { encodeSoleKey, encodeSoleSum } from '../wire/sole-holder.ts';
import type { HolderOutcome } from './commit.ts';
import type { SoleHolder } from './state.ts';
import type { TakenOpening } from './take-opening.ts';

/** A key of this call alone. */
export function makeSoleKey(bgv: Bgv, session: SealSession, identity: SigningKey): SoleHolder {
  const context = sealContextOf(session);
  const { publicKey, secretKey } = generateSealKey(bgv);
  const keyDigest = sha256(publicKey);
  const signature = identity.sign(DOMAINS.sealSoleKey, soleKeyText(context, keyDigest));
  const outbox = encodeSoleKey(context, { publicKey, signature });
  return { kind: 'sole', session, number: 1, secretKey, keyDigest, opened: null, outbox };
}

/** Nothing of a sum that is none is told, not even how far it is from one. @param mask the sum of all masks of the request */
export function openSole(
  bgv: Bgv,
  { state, request, digest }: TakenOpening<SoleHolder>,
  { body, mask }: { readonly body: Uint8Array; readonly mask: Uint8Array },
  identity: SigningKey,
): HolderOutcome<{ readonly answer: Uint8Array }> {
  try {
    if (!equalBytes(sha256(body), request.bodyDigest))
      throw new Stop('SECAGG_SHARE_WRONG', 'the bodies are not those of the request');
    const context = sealContextOf(state.session);
    const sums = bytesOf(openedSum(bgv, state.secretKey, { body, mask }));
    const signature = identity.sign(DOMAINS.sealSoleSum, soleSumText(context, { request: digest, sums }));
    return { kind: 'done', answer: encodeSoleSum(context, { request: digest, sums, signature }) };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

function openedSum(bgv: Bgv, secretKey: Uint8Array, sum: Parameters<typeof openSum>[2]): Uint32Array {
  try {
    const { values } = openSum(bgv, secretKey, sum);
    if (values !== undefined) return values;
  } catch (error) {
    if (!(error instanceof CryptoError) || error.code !== 'SEAL_NOISE') throw error;
  }
  throw new Stop('SECAGG_LANE', 'what opens is no sum of inputs of this session');
}

function bytesOf(sums: Uint32Array): Uint8Array {
  return new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength);
}
