/** The list that fixes who deals a round's key, looked at by everybody who uses it. */
import { DOMAINS, verify } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { Stop } from '../secagg/stop.ts';
import { commitmentText } from './derivation.ts';
import { sealContextOf } from './session.ts';
import type { SealSession } from './session.ts';
import { decodeHolderList } from './wire/commitment.ts';
import type { Commitment, ListedCommitment } from './wire/commitment.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function checkedList(session: SealSession, message: Uint8Array): ReadonlyMap<number, ListedCommitment> {
  const list = decodeHolderList(sealContextOf(session), message);
  for (const listed of list) checkCommitment(session, listed.number, listed);
  if (list.length < session.threshold)
    throw new Stop('SECAGG_COHORT_SMALL', `${list.length} key holders, at least ${session.threshold} wanted`);
  return new Map(list.map((listed) => [listed.number, listed]));
}

/** @throws Stop */
export function checkCommitment(session: SealSession, number: number, commitment: Commitment): void {
  const text = commitmentText(sealContextOf(session), number, commitment);
  if (!verify(holderKey(session, number), DOMAINS.sealHolder, text, commitment.signature))
    throw new Stop('SECAGG_SIGNATURE', `the commitment of key holder ${number} is not signed by it`);
}

/** @throws Stop `SECAGG_MEMBER` */
export function holderKey(session: SealSession, number: number): PublicKey {
  const holder = session.holders[number - 1];
  if (holder === undefined) throw new Stop('SECAGG_MEMBER', `no key holder ${number} among ${session.holders.length}`);
  return holder.identity;
}
