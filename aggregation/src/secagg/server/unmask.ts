/**
 * Step 4 of the coordinator: take what the survivors disclose, name who discloses too little. Whether a share is the one that was dealt
 * shows when the secrets are recovered (`disclosed-shares.ts`).
 */
import { graphOf } from '../graph.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeUnmaskReply, disclosuresIn } from '../wire/unmask.ts';
import type { UnmaskReply } from '../wire/unmask.ts';
import type { Accusation } from './accusation.ts';
import { admit } from './admit.ts';
import type { Unmasking } from './state.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeReply(
  state: Unmasking,
  from: number,
  message: Uint8Array,
): { state: Unmasking; accusations: Accusation[] } {
  if (standingOf(state)[from] !== STANDING.survivor)
    throw new Stop('SECAGG_MEMBER', `member ${from} is not in the sum`);
  const reply = decodeUnmaskReply(contextOf(state.session), message);
  const replies = admit(state.replies, from, reply);
  if (replies === state.replies) return { state, accusations: [] };
  return { state: { ...state, replies }, accusations: missingIn(state, reply) };
}

/**
 * Only what an honest client could say is admitted: of a survivor its self-mask share, of a dropped client the rest. Who of its peers dealt, and
 * is not spoken of, or without a share, is missing. Peers and disclosures rise. @throws Stop
 */
function missingIn(state: Unmasking, reply: UnmaskReply): Accusation[] {
  const standing = standingOf(state);
  const peers = graphOf(state.session, state.keys).peers(reply.member);
  const disclosed = disclosuresIn(reply);
  const missing: number[] = [];
  let at = 0;
  for (const peer of peers) {
    const isHere = disclosed.members[at] === peer;
    if (isHere && standing[peer] !== STANDING[disclosed.kindAt(at)]) break;
    if (standing[peer] !== ABSENT && (!isHere || disclosed.shareAt(at) < 0)) missing.push(peer);
    if (isHere) at++;
  }
  if (at < disclosed.members.length) {
    throw new Stop(
      'SECAGG_MEMBER',
      `member ${reply.member} discloses about member ${disclosed.members[at]} what it must not`,
    );
  }
  return missing.map((subject) => ({ member: reply.member, code: 'SECAGG_SHARE_MISSING', subject }));
}

/** Of one that dealt nothing. */
const ABSENT = 0;
const STANDING = { dropped: 1, survivor: 2 } as const;

/** What became of each member of the cohort; every reply of a session asks for it. */
const standings = new WeakMap<Unmasking['survivors'], Uint8Array>();

function standingOf({ session, dealings, survivors }: Unmasking): Uint8Array {
  const known = standings.get(survivors);
  if (known !== undefined) return known;
  const standing = new Uint8Array(session.cohort.length).fill(ABSENT);
  for (const member of dealings.keys()) standing[member] = STANDING.dropped;
  for (const member of survivors) standing[member] = STANDING.survivor;
  standings.set(survivors, standing);
  return standing;
}
