/** What a client and the aggregator require of a session in shares mode, whatever the coordinator proposes. */
import { equalBytes } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { judgeRoster } from '../secagg/floor.ts';
import type { ClientFloor } from '../secagg/floor.ts';
import { openPinnedRoster } from '../secagg/pinned-roster.ts';
import type { RosterKeys, RosterTrust } from '../secagg/roster.ts';
import { Stop } from '../secagg/stop.ts';
import { decodeSharesSession } from './session.ts';
import type { SharesSession } from './session.ts';

export type SharesFloor = Pick<
  ClientFloor,
  'minimumCohort' | 'minimumSurvivors' | 'acceptCoordinatorRoster' | 'rosterSerial'
>;

/** Whose word a client has that the aggregator is nobody of the coordinator's. */
export type AggregatorTrust =
  /** It was pinned on the device. */
  | 'pinned'
  /** The coordinator named it: it could be the coordinator itself, and is trusted not to be. */
  | 'coordinator';

export interface SharesTrust {
  readonly roster: RosterTrust;
  readonly aggregator: AggregatorTrust;
}

/** @throws Stop `SECAGG_POLICY`, AggregationError `MESSAGE_INVALID` */
export function readSharesSession(bytes: Uint8Array): SharesSession {
  try {
    return decodeSharesSession(bytes);
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'SECAGG_PARAMETERS')
      throw new Stop('SECAGG_POLICY', error.message);
    throw error;
  }
}

/** @throws Stop `SECAGG_ROSTER` or `SECAGG_POLICY`, AggregationError `MESSAGE_INVALID` */
export function judgeShares(
  session: SharesSession,
  rosterBytes: Uint8Array,
  keys: RosterKeys,
  floor: SharesFloor,
): RosterTrust {
  const { roster, trust } = openPinnedRoster(rosterBytes, keys);
  const refused = judgeRoster(session, roster, trust, floor);
  if (refused !== undefined) throw new Stop(refused.code, refused.why);
  if (session.cohort.length < floor.minimumCohort)
    throw new Stop('SECAGG_POLICY', `a cohort of ${session.cohort.length}, at least ${floor.minimumCohort} wanted`);
  if (session.minimumSurvivors < floor.minimumSurvivors)
    throw new Stop(
      'SECAGG_POLICY',
      `a sum of ${session.minimumSurvivors} would do, at least ${floor.minimumSurvivors} wanted`,
    );
  return trust;
}

/**
 * @param pinned null where none is. Whoever does not take the coordinator's word for the clients does not for the aggregator either.
 * @throws Stop `SECAGG_POLICY` for another than the pinned one
 */
export function judgeAggregator(
  session: SharesSession,
  pinned: PublicKey | null,
  { acceptCoordinatorRoster }: SharesFloor,
): AggregatorTrust {
  if (pinned === null && acceptCoordinatorRoster) return 'coordinator';
  if (pinned === null)
    throw new Stop('SECAGG_POLICY', 'no aggregator is pinned, and the coordinator’s word is not taken');
  if (equalBytes(session.aggregator.identity, pinned)) return 'pinned';
  throw new Stop('SECAGG_POLICY', `${session.aggregator.client} is not the aggregator that this device has pinned`);
}
