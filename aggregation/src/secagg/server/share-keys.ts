/** Step 1 of the coordinator: collect what the clients deal, and hand each holder what is addressed to it. */
import { graphOf } from '../graph.ts';
import { contextOf, isSparse } from '../session.ts';
import { Stop } from '../stop.ts';
import { dealtTo, decodeDealing, encodeDelivery, encodeSparseDelivery } from '../wire/share-keys.ts';
import { admit, membersOf, requireEnough } from './admit.ts';
import type { Collecting, Sharing } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeDealing(state: Sharing, from: number, message: Uint8Array): Sharing {
  if (!state.keys.some((keys) => keys.member === from)) {
    throw new Stop('SECAGG_MEMBER', `member ${from} advertised no keys`);
  }
  const peers = graphOf(state.session, state.keys).peers(from);
  const dealing = decodeDealing(contextOf(state.session), message);
  const holders = dealing.shares.map((share) => share.member);
  if (holders.join() !== peers.join()) {
    throw new Stop(
      'SECAGG_LENGTH',
      `member ${from} deals ${holders.length} shares that are not one for each of ${peers.length}`,
    );
  }
  return { ...state, dealings: admit(state.dealings, from, dealing) };
}

/** @throws Stop `SECAGG_COHORT_SMALL` */
export function closeSharing(state: Sharing): Collecting {
  requireEnough(state.session, state.dealings.size, 'dealt shares');
  return { ...state, phase: 'collecting', inputs: new Map() };
}

/** The shares that its peers dealt to one member. */
export function deliveryTo({ session, keys, dealings }: Collecting, holder: number): Uint8Array<ArrayBuffer> {
  const shares = graphOf(session, keys)
    .peers(holder)
    .flatMap((dealer) => {
      const dealing = dealings.get(dealer);
      const share = dealing && dealtTo(dealing, holder);
      return share === undefined ? [] : [{ ...share, member: dealer }];
    });
  const context = contextOf(session);
  if (!isSparse(session)) return encodeDelivery(context, shares);
  return encodeSparseDelivery(context, { dealers: membersOf(dealings), shares });
}
