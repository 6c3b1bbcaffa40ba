/** Between steps 1 and 2: who dealt shares, and whether what arrived is good. */
import { equalBytes } from '@carapace/crypto';
import { bindingOf } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import { contextOf, isSparse, leastMembers } from '../session.ts';
import type { Session } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeDealing, decodeDelivery, decodeSparseDelivery } from '../wire/share-keys.ts';
import type { DealtShares, SparseDelivery } from '../wire/share-keys.ts';
import { openDelivery } from './held-shares.ts';
import type { Keyed, Shared } from './state.ts';

/**
 * A bad share of one dealer does not end the round, or any client could end every round; too many do.
 * @throws Stop, AggregationError `MESSAGE_INVALID`
 */
export function receiveShares(state: Shared, message: Uint8Array): { state: Keyed; suspects: number[] } {
  const { session, member, secrets, keys } = state;
  const context = contextOf(session);
  const { dealers, shares } = readDelivery(state, context, message);
  checkDealers(state, context, dealers, shares);
  const held = openDelivery(state, bindingOf(context, keys), shares);
  if (held.size < leastHeld(session)) {
    throw new Stop('SECAGG_SHARE_WRONG', `${held.size} of ${shares.length} shares are good, too few`);
  }
  const { mask, self } = secrets;
  return {
    state: { phase: 'keyed', session, member, secrets: { mask, self }, keys, dealers, held },
    suspects: shares.map((dealt) => dealt.member).filter((dealer) => !held.has(dealer)),
  };
}

/** On a sparse graph everybody is told who dealt shares, and has those of its neighbours. */
function readDelivery(state: Shared, context: Uint8Array, message: Uint8Array): SparseDelivery {
  if (isSparse(state.session)) return decodeSparseDelivery(context, message);
  const shares = decodeDelivery(context, message);
  return { dealers: shares.map((dealt) => dealt.member), shares };
}

/** Enough to recover a secret in the worst case; on the complete graph there is nobody else to wait for. */
function leastHeld(session: Session): number {
  return isSparse(session) ? session.threshold : leastMembers(session);
}

function checkDealers(
  state: Shared,
  context: Uint8Array,
  dealers: readonly number[],
  shares: readonly DealtShares[],
): void {
  const listed = new Set(state.keys.map((advertised) => advertised.member));
  if (dealers.some((dealer) => !listed.has(dealer))) {
    throw new Stop('SECAGG_MEMBER', 'shares of a client that advertised no keys');
  }
  if (dealers.length < leastMembers(state.session)) {
    throw new Stop(
      'SECAGG_COHORT_SMALL',
      `${dealers.length} clients dealt shares, ${leastMembers(state.session)} needed`,
    );
  }
  const peers = new Set(graphOf(state.session, state.keys).peers(state.member));
  if (shares.map((dealt) => dealt.member).join() !== dealers.filter((dealer) => peers.has(dealer)).join()) {
    throw new Stop('SECAGG_MEMBER', 'the shares are not those of the neighbours that dealt any');
  }
  const own = (dealt: DealtShares): boolean => dealt.member === state.member;
  const sent = decodeDealing(context, state.outbox).shares.find(own)!;
  const returned = shares.find(own);
  if (returned === undefined || !equalBytes(returned.box, sent.box)) {
    throw new Stop('SECAGG_SHARE_WRONG', 'the share that this client dealt to itself did not come back');
  }
}
