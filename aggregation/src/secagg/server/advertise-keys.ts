/** Step 0 of the coordinator: collect the keys, then show everybody the one list. */
import { checkAdvertisedKeys, checkDistinctKeys } from '../key-list.ts';
import { contextOf } from '../session.ts';
import { decodeAdvertisedKeys } from '../wire/advertise-keys.ts';
import { admit, inOrder, requireEnough } from './admit.ts';
import type { Advertising, Sharing } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID`, CryptoError `KEY_MALFORMED` */
export function takeKeys(state: Advertising, from: number, message: Uint8Array): Advertising {
  const context = contextOf(state.session);
  const keys = decodeAdvertisedKeys(context, message);
  const advertised = admit(state.advertised, from, keys);
  if (advertised === state.advertised) return state;
  checkAdvertisedKeys(state.session, context, keys);
  checkDistinctKeys([...advertised.values()]);
  return { ...state, advertised };
}

/** @throws Stop `SECAGG_COHORT_SMALL` */
export function closeAdvertising({ session, advertised }: Advertising): Sharing {
  requireEnough(session, advertised.size, 'advertised keys');
  return { phase: 'sharing', session, keys: inOrder(advertised), dealings: new Map() };
}
