/** The end of a round at the coordinator: who opens, what each of them answers, and the sum. */
import { CryptoError, DOMAINS, equalBytes, openWithShares, sha256, verify } from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import { holderKey } from '../checked-list.ts';
import { openingText } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { encodeOpeningRequest } from '../wire/input.ts';
import type { OpeningRequest } from '../wire/input.ts';
import { decodeOpeningShare } from '../wire/opening-share.ts';
import type { OpeningShare } from '../wire/opening-share.ts';

/** @param request contributions in order of the members; the same for all of a quorum */
export function openingRequest(session: SealSession, request: OpeningRequest): Uint8Array<ArrayBuffer> {
  return encodeOpeningRequest(sealContextOf(session), request);
}

/** What a round is about to open. */
export interface ClosedSum {
  readonly body: Uint8Array;
  /** Of the sum of masks. */
  readonly maskDigest: Uint8Array;
  readonly request: Uint8Array;
}

/** Why a holder's answer is not taken, or null. */
export function judgeOpeningShare(
  bgv: Bgv,
  session: SealSession,
  sum: ClosedSum,
  number: number,
  message: Uint8Array,
): Refused | null {
  try {
    checkedShare(bgv, session, sum, number, message);
    return null;
  } catch (error) {
    return refusalOf(error);
  }
}

/**
 * The lane sums, or undefined when what comes out is no sum of lanes: a holder, or a client, did not what it said.
 * @param answers of the whole quorum
 * @throws Stop when one of them is no answer to this request
 */
export function openSealedSum(
  bgv: Bgv,
  session: SealSession,
  sum: ClosedSum,
  answers: ReadonlyMap<number, Uint8Array>,
): Uint32Array | undefined {
  const shares = [...answers].map(([number, message]) => checkedShare(bgv, session, sum, number, message).share);
  try {
    return openWithShares(bgv, sum.body, shares).values;
  } catch (error) {
    if (error instanceof CryptoError && (error.code === 'SEAL_NOISE' || error.code === 'SEAL_KEY')) return undefined;
    throw error;
  }
}

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
function checkedShare(
  { parameters, polynomialBytes }: Bgv,
  session: SealSession,
  { request, maskDigest }: ClosedSum,
  number: number,
  message: Uint8Array,
): OpeningShare {
  const context = sealContextOf(session);
  const answer = decodeOpeningShare(context, message);
  if (!verify(holderKey(session, number), DOMAINS.sealOpening, openingText(context, number, answer), answer.signature))
    throw new Stop('SECAGG_SIGNATURE', `the answer is not signed by key holder ${number}`);
  if (!equalBytes(answer.request, sha256(request))) throw new Stop('SECAGG_CONTEXT', 'an answer to another request');
  if (!equalBytes(answer.maskDigest, maskDigest))
    throw new Stop('SECAGG_SHARE_WRONG', `key holder ${number} came to another sum of masks`);
  const length = parameters.blocks * polynomialBytes;
  if (answer.share.length !== length)
    throw new Stop('SECAGG_LENGTH', `a share of ${answer.share.length} bytes, not ${length}`);
  return answer;
}
