/** Between steps 1 and 2: who dealt shares, and whether what arrived is good. */
import { equalBytes } from '@carapace/crypto';
import { bindingOf } from '../derivation.ts';
import { contextOf, leastMembers } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeDealing, decodeDelivery } from '../wire/share-keys.ts';
import type { DealtShares } from '../wire/share-keys.ts';
import { openDelivery } from './held-shares.ts';
import type { Keyed, Shared } from './state.ts';

/**
 * A bad share of one dealer does not end the round, or any client could end every round; too many do.
 * @throws Stop, AggregationError `MESSAGE_INVALID`
 */
export function receiveShares(state: Shared, message: Uint8Array): { state: Keyed; suspects: number[] } {
  const { session, member, secrets, keys } = state;
  const context = contextOf(session);
  const shares = decodeDelivery(context, message);
  checkDealers(state, context, shares);
  const held = openDelivery(state, bindingOf(context, keys), shares);
  if (held.size < leastMembers(session)) {
    throw new Stop('SECAGG_SHARE_WRONG', `${held.size} of ${shares.length} shares are good, too few`);
  }
  const dealers = shares.map((dealt) => dealt.member);
  const { mask, self } = secrets;
  return {
    state: { phase: 'keyed', session, member, secrets: { mask, self }, keys, dealers, held },
    suspects: dealers.filter((dealer) => !held.has(dealer)),
  };
}

function checkDealers(state: Shared, context: Uint8Array, shares: readonly DealtShares[]): void {
  const listed = new Set(state.keys.map((advertised) => advertised.member));
  if (shares.some((dealt) => !listed.has(dealt.member))) {
    throw new Stop('SECAGG_MEMBER', 'shares of a client that advertised no keys');
  }
  if (shares.length < leastMembers(state.session)) {
    throw new Stop(
      'SECAGG_COHORT_SMALL',
      `${shares.length} clients dealt shares, ${leastMembers(state.session)} needed`,
    );
  }
  const own = (dealt: DealtShares): boolean => dealt.member === state.member;
  const sent = decodeDealing(context, state.outbox).shares.find(own)!;
  const returned = shares.find(own);
  if (returned === undefined || !equalBytes(returned.box, sent.box)) {
    throw new Stop('SECAGG_SHARE_WRONG', 'the share that this client dealt to itself did not come back');
  }
}
