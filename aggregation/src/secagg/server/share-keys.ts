/** Step 1 of the coordinator: collect what the clients deal, and hand each holder what is addressed to it. */
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeDealing, encodeDelivery } from '../wire/share-keys.ts';
import { admit, inOrder, requireEnough } from './admit.ts';
import type { Collecting, Sharing } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeDealing(state: Sharing, from: number, message: Uint8Array): Sharing {
  const listed = state.keys.map((keys) => keys.member);
  if (!listed.includes(from)) throw new Stop('SECAGG_MEMBER', `member ${from} advertised no keys`);
  const dealing = decodeDealing(contextOf(state.session), message);
  const holders = dealing.shares.map((share) => share.member);
  if (holders.join() !== listed.join()) {
    throw new Stop(
      'SECAGG_LENGTH',
      `member ${from} deals ${holders.length} shares that are not one for each of ${listed.length}`,
    );
  }
  return { ...state, dealings: admit(state.dealings, from, dealing) };
}

/** @throws Stop `SECAGG_COHORT_SMALL` */
export function closeSharing(state: Sharing): Collecting {
  requireEnough(state.session, state.dealings.size, 'dealt shares');
  return { ...state, phase: 'collecting', inputs: new Map() };
}

/** The shares that all dealers hold for one member. */
export function deliveryTo(state: Collecting, holder: number): Uint8Array<ArrayBuffer> {
  const shares = inOrder(state.dealings).map((dealing) => {
    const share = dealing.shares.find(({ member }) => member === holder)!;
    return { ...share, member: dealing.member };
  });
  return encodeDelivery(contextOf(state.session), shares);
}
