/** What a client and the aggregator require of a session in shares mode, whatever the coordinator proposes. */
import { equalBytes } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { DEFAULT_FLOOR, judgeRoster } from '../secagg/floor.ts';
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

/** What an aggregator requires beside: what a session may cost it. */
export interface AggregatorFloor extends SharesFloor {
  /** The longest update vector that it adds up. */
  readonly maxValues: number;
  /** How far ahead of its own clock a session may end, milliseconds: it may have to keep the secret as long. */
  readonly maxAheadMs: number;
}

const DAY_MS = 24 * 3_600_000;

/** How long after its deadline a round is remembered: clocks differ. */
export const AGGREGATION_KEPT_MS: number = DAY_MS;

/** No task can ask for longer than 35 days. */
export const DEFAULT_AGGREGATOR_FLOOR: AggregatorFloor = {
  ...DEFAULT_FLOOR,
  maxValues: 500_000_000,
  maxAheadMs: 60 * DAY_MS,
};

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
  session: Pick<SharesSession, 'roster' | 'cohort' | 'minimumSurvivors'>,
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
 * What a session may cost an aggregator, and that it is not over: of one that is, nothing is remembered any more.
 * @throws Stop `SECAGG_POLICY`
 */
export function judgeCost(
  { values, deadline }: Pick<SharesSession, 'values' | 'deadline'>,
  floor: AggregatorFloor,
  now: number,
): void {
  if (values > floor.maxValues)
    throw new Stop('SECAGG_POLICY', `${values} values, at most ${floor.maxValues} are added up here`);
  if (deadline > now + floor.maxAheadMs)
    throw new Stop('SECAGG_POLICY', `a deadline ${deadline - now} ms ahead, at most ${floor.maxAheadMs} allowed`);
  if (deadline + AGGREGATION_KEPT_MS < now) throw new Stop('SECAGG_POLICY', 'the session has ended long ago');
}

/**
 * @param pinned null where none is
 * @param roster whose word the client has for the others: whoever does not take the coordinator's for them does not for the aggregator either
 * @throws Stop `SECAGG_POLICY` for another than the pinned one
 */
export function judgeAggregator(
  session: SharesSession,
  pinned: PublicKey | null,
  roster: RosterTrust,
  { acceptCoordinatorRoster }: SharesFloor,
): AggregatorTrust {
  if (pinned === null && roster === 'coordinator' && acceptCoordinatorRoster) return 'coordinator';
  if (pinned === null)
    throw new Stop('SECAGG_POLICY', 'no aggregator is pinned, and the coordinator’s word is not taken');
  if (equalBytes(session.aggregator.identity, pinned)) return 'pinned';
  throw new Stop('SECAGG_POLICY', `${session.aggregator.client} is not the aggregator that this device has pinned`);
}
