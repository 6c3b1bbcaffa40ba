/** What a client and a key holder require of a session in seal mode, whatever the coordinator proposes. */
import { toHex } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import type { RosterTrust } from '../secagg/roster.ts';
import { Stop } from '../secagg/stop.ts';
import type { AggregatorTrust, SharesFloor } from '../shares/floor.ts';
import { decodeSealSession } from './session.ts';
import type { SealSession } from './session.ts';

/** @throws Stop `SECAGG_POLICY`, AggregationError `MESSAGE_INVALID` */
export function readSealSession(bytes: Uint8Array): SealSession {
  try {
    return decodeSealSession(bytes);
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'SECAGG_PARAMETERS')
      throw new Stop('SECAGG_POLICY', error.message);
    throw error;
  }
}

/**
 * Whose word there is that the holders are nobody of the coordinator's. Of those that are pinned all in the session must be: a threshold
 * of invented ones would open whatever they like.
 * @param pinned null where none are
 * @throws Stop `SECAGG_POLICY`
 */
export function judgeHolders(
  { holders }: SealSession,
  pinned: readonly PublicKey[] | null,
  roster: RosterTrust,
  { acceptCoordinatorRoster }: SharesFloor,
): AggregatorTrust {
  if (pinned === null && roster === 'coordinator' && acceptCoordinatorRoster) return 'coordinator';
  if (pinned === null)
    throw new Stop('SECAGG_POLICY', 'no key holders are pinned, and the coordinator’s word is not taken');
  const known = new Set(pinned.map((key) => toHex(key)));
  const stranger = holders.find(({ identity }) => !known.has(toHex(identity)));
  if (stranger === undefined) return 'pinned';
  throw new Stop('SECAGG_POLICY', `${stranger.client} is not one of the key holders that this device has pinned`);
}
