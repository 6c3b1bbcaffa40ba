/** What a client requires of a session before it takes part, whatever the coordinator proposes. */
import type { Roster, RosterTrust } from './roster.ts';
import type { Session } from './session.ts';
import type { Refused } from './stop.ts';
import { MASK_MODES } from './vector-mask.ts';
import type { MaskMode } from './vector-mask.ts';

export interface ClientFloor {
  readonly minimumCohort: number;
  readonly minimumSurvivors: number;
  /** Share of the cohort whose collusion with the coordinator the threshold must withstand. */
  readonly minimumColludingShare: number;
  readonly modes: readonly MaskMode[];
  /** Whether the coordinator's own word for the other clients is enough. */
  readonly acceptCoordinatorRoster: boolean;
  /** Highest serial seen so far. */
  readonly rosterSerial: number;
}

/** Three to hide among, and an authority where there is one: what holds when the operator of the device says nothing. */
export const DEFAULT_FLOOR: ClientFloor = {
  minimumCohort: 3,
  minimumSurvivors: 3,
  minimumColludingShare: 0,
  modes: MASK_MODES,
  acceptCoordinatorRoster: true,
  rosterSerial: 0,
};

/** Why this session is refused, or undefined. */
export function judgeSession(
  session: Session,
  roster: Roster,
  trust: RosterTrust,
  floor: ClientFloor,
): Refused | undefined {
  return judgeRoster(session, roster, trust, floor) ?? judgeParameters(session, floor);
}

/** What the roster part of the floor asks, of any session with a cohort. */
export function judgeRoster(
  session: Pick<Session, 'roster' | 'cohort'>,
  roster: Roster,
  trust: RosterTrust,
  floor: Pick<ClientFloor, 'acceptCoordinatorRoster' | 'rosterSerial'>,
): Refused | undefined {
  const refused = (why: string): Refused => ({ code: 'SECAGG_ROSTER', why });
  if (trust === 'coordinator' && !floor.acceptCoordinatorRoster) return refused('no authority vouches for the clients');
  if (roster.serial < floor.rosterSerial) return refused(`edition ${roster.serial}, after ${floor.rosterSerial}`);
  if (session.roster !== roster.digest) return refused('the session names another roster');
  const identities = new Map(roster.members.map((member) => [member.client, member.identity.join()]));
  const stranger = session.cohort.find((member) => identities.get(member.client) !== member.identity.join());
  return stranger === undefined ? undefined : refused(`${stranger.client} is not enrolled under that key`);
}

function judgeParameters(session: Session, floor: ClientFloor): Refused | undefined {
  const refused = (why: string): Refused => ({ code: 'SECAGG_POLICY', why });
  const clients = session.cohort.length;
  if (clients < floor.minimumCohort) return refused(`a cohort of ${clients}, at least ${floor.minimumCohort} wanted`);
  if (session.minimumSurvivors < floor.minimumSurvivors) {
    return refused(`a sum of ${session.minimumSurvivors} would do, at least ${floor.minimumSurvivors} wanted`);
  }
  if (session.colluding < floor.minimumColludingShare * clients) {
    return refused(`${session.colluding} of ${clients} may collude, a share of ${floor.minimumColludingShare} wanted`);
  }
  return floor.modes.includes(session.mode) ? undefined : refused(`mask mode ${session.mode}`);
}
