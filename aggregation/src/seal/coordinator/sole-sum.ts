/** The sum that one holder opened, at the coordinator. */
import { DOMAINS, equalBytes, sha256, verify } from '@carapace/crypto';
import { laneCount } from '../../secagg/quantiser.ts';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Judged } from '../../shares/client.ts';
import { holderKey } from '../checked-list.ts';
import { soleSumText } from '../derivation.ts';
import { sealContextOf, sealLanesOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { decodeSoleSum } from '../wire/sole-holder.ts';

/** The lane sums, on the holder's word. @param request the message that it answers */
export function judgeSoleSum(session: SealSession, request: Uint8Array, message: Uint8Array): Judged<Uint32Array> {
  try {
    const context = sealContextOf(session);
    const answer = decodeSoleSum(context, message);
    if (!verify(holderKey(session, 1), DOMAINS.sealSoleSum, soleSumText(context, answer), answer.signature))
      throw new Stop('SECAGG_SIGNATURE', 'the sum is not signed by the key holder');
    if (!equalBytes(answer.request, sha256(request))) throw new Stop('SECAGG_CONTEXT', 'an answer to another request');
    const length = 4 * laneCount(sealLanesOf(session));
    if (answer.sums.length !== length)
      throw new Stop('SECAGG_LENGTH', `a sum of ${answer.sums.length} bytes, not ${length}`);
    return { kind: 'agreed', value: new Uint32Array(Uint8Array.from(answer.sums).buffer) };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}
