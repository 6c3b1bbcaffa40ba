/** Step 1 of a key holder: whether it takes part in a session, its key for this session alone, and a commitment to the public share of it. */
import { commitToShare, commonReference, dealKey, DOMAINS, equalBytes, exchangeKeyFromSecret } from '@carapace/crypto';
import type { Bgv, RandomSource, SigningKey } from '@carapace/crypto';
import type { ClientId } from '../../ids.ts';
import type { RosterKeys, RosterTrust } from '../../secagg/roster.ts';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import { judgeCost, judgeShares } from '../../shares/floor.ts';
import type { AggregatorFloor } from '../../shares/floor.ts';
import { commitmentText } from '../derivation.ts';
import { readSealSession } from '../floor.ts';
import { sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { encodeCommitment } from '../wire/commitment.ts';
import type { CommittedHolder } from './state.ts';

export interface HolderStanding {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  readonly floor: AggregatorFloor;
  /** Milliseconds since the epoch, by its own clock. */
  readonly now: number;
}

export type HolderOutcome<T> = ({ readonly kind: 'done' } & T) | ({ readonly kind: 'refused' } & Refused);

/** A session that this holder is willing to hold a key for: SEAL is to be opened with its parameters (`openSealRing`). */
export function joinAsHolder(
  invitation: { readonly session: Uint8Array; readonly roster: Uint8Array },
  standing: HolderStanding,
): HolderOutcome<{ readonly session: SealSession; readonly number: number; readonly trust: RosterTrust }> {
  try {
    const session = readSealSession(invitation.session);
    const trust = judgeShares(session, invitation.roster, standing.rosterKeys, standing.floor);
    judgeCost(session, standing.floor, standing.now);
    const place = session.holders.findIndex(({ client }) => client === standing.client);
    const listed = session.holders[place]?.identity;
    if (listed === undefined || !equalBytes(listed, standing.identity.publicKey))
      throw new Stop('SECAGG_MEMBER', 'the session does not name this key holder under its own key');
    return { kind: 'done', session, number: place + 1, trust };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** A key of this call alone. */
export function commitKey(
  bgv: Bgv,
  { session, number }: { readonly session: SealSession; readonly number: number },
  identity: SigningKey,
  random: RandomSource,
): CommittedHolder {
  const context = sealContextOf(session);
  const { publicShare, shares } = dealKey(bgv, commonReference(bgv, context), random);
  const secret = random.bytes(32);
  const sealingKey = exchangeKeyFromSecret(secret).publicKey;
  const unsigned = { commitment: commitToShare(context, number, publicShare), sealingKey };
  const signature = identity.sign(DOMAINS.sealHolder, commitmentText(context, number, unsigned));
  const outbox = encodeCommitment(context, { ...unsigned, signature });
  return { kind: 'committed', session, number, secret, publicShare, shares, outbox };
}
