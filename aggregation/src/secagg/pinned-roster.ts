/** A roster as a party that has pinned keys opens it: one that is not signed by them stops the party, in the terms of the protocol. */
import { AggregationError } from '../errors.ts';
import { openRoster } from './roster.ts';
import type { RosterKeys } from './roster.ts';
import { Stop } from './stop.ts';

/** @throws Stop `SECAGG_ROSTER`, AggregationError `MESSAGE_INVALID` */
export function openPinnedRoster(bytes: Uint8Array, keys: RosterKeys): ReturnType<typeof openRoster> {
  try {
    return openRoster(bytes, keys);
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'SIGNATURE_INVALID') {
      throw new Stop('SECAGG_ROSTER', error.message);
    }
    throw error;
  }
}
