/** A client in seal mode, before it trains: whether it takes part, and the committee's key once it is known to be nobody's alone. */
import { commonReference, concatBytes, DOMAINS, equalBytes, sha256, verify } from '@carapace/crypto';
import type { Bgv, PublicKey, SigningKey } from '@carapace/crypto';
import type { ClientId, Digest } from '../../ids.ts';
import type { RosterKeys } from '../../secagg/roster.ts';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import type { Judged } from '../../shares/client.ts';
import { judgeShares } from '../../shares/floor.ts';
import type { SharesFloor, SharesTrust } from '../../shares/floor.ts';
import { holderKey } from '../checked-list.ts';
import { keyText } from '../derivation.ts';
import { judgeHolders, readSealSession } from '../floor.ts';
import { sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { decodeRoundKey } from '../wire/round-key.ts';

/** What the client knows by itself; the model's digests are of the bytes it received, not of what it was told. */
export interface SealStanding {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  /** Identities of the key holders that are pinned, or null where none are. */
  readonly holders: readonly PublicKey[] | null;
  readonly floor: SharesFloor;
  readonly model: Digest;
  readonly work: Digest;
  readonly values: number;
}

/** A session that this client agreed to. */
export interface SealPart {
  readonly session: SealSession;
  readonly member: number;
  readonly trust: { readonly roster: SharesTrust['roster']; readonly holders: SharesTrust['aggregator'] };
}

/** Whether this client takes part: the session is about its work, with its cohort, its key holders and no less than its floor. */
export function joinSeal(
  invitation: { readonly session: Uint8Array; readonly roster: Uint8Array },
  standing: SealStanding,
): Judged<SealPart> {
  return judged(() => {
    const session = readSealSession(invitation.session);
    const roster = judgeShares(session, invitation.roster, standing.rosterKeys, standing.floor);
    const holders = judgeHolders(session, standing.holders, roster, standing.floor);
    const { model, work, values } = session;
    if (model !== standing.model || work !== standing.work || values !== standing.values)
      throw new Stop('SECAGG_MODEL', 'the session is about another model than the one received');
    return { session, member: ownMember(session, standing), trust: { roster, holders } };
  });
}

/**
 * The public key that at least `threshold` holders signed as theirs: one of them at least is honest, has its own key in it, and knows that
 * nobody chose a share after it saw others.
 */
export function openRoundKey(bgv: Bgv, session: SealSession, message: Uint8Array): Judged<Uint8Array> {
  return judged(() => {
    const context = sealContextOf(session);
    const { list, dealers, half, confirmed } = decodeRoundKey(context, message);
    const key = concatBytes(half, commonReference(bgv, context));
    const text = keyText(context, list, dealers, sha256(key));
    for (const { number, signature } of confirmed) {
      if (!dealers.includes(number)) throw new Stop('SECAGG_MEMBER', `key holder ${number} did not deal`);
      if (!verify(holderKey(session, number), DOMAINS.sealKey, text, signature))
        throw new Stop('SECAGG_SIGNATURE', `the key is not signed by key holder ${number}`);
    }
    if (confirmed.length < session.threshold)
      throw new Stop('SECAGG_KEY', `${confirmed.length} holders signed the key, at least ${session.threshold} wanted`);
    return key;
  });
}

/** A refusal as a value; what is no fault of the peer is thrown on. */
function judged<T>(judge: () => T): Judged<T> {
  try {
    return { kind: 'agreed', value: judge() };
  } catch (error) {
    const refused: Refused = refusalOf(error);
    return { kind: 'refused', ...refused };
  }
}

function ownMember(session: SealSession, { client, identity }: SealStanding): number {
  const member = session.cohort.findIndex((of) => of.client === client);
  const listed = session.cohort[member]?.identity;
  if (listed === undefined || !equalBytes(listed, identity.publicKey))
    throw new Stop('SECAGG_MEMBER', 'this client is not in the cohort under its own key');
  return member;
}
