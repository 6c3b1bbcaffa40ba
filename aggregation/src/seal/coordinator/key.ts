/**
 * The coordinator's part in the committee's key: it hands messages on, and looks at each, so that a holder that spoils the key is named
 * and left out before others build on it.
 */
import {
  checkPublicShare,
  commitToShare,
  DOMAINS,
  equalBytes,
  revealedPublicKey,
  sha256,
  verify,
} from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import { checkCommitment, checkedList, holderKey } from '../checked-list.ts';
import { dealText, keyText, listDigestOf } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { decodeCommitment, encodeHolderList } from '../wire/commitment.ts';
import { decodeDeal, encodeDelivery } from '../wire/deal.ts';
import { decodeConfirmation, encodeRoundKey } from '../wire/round-key.ts';

/** Messages by the numbers of the holders that sent them. */
export type ByHolder = ReadonlyMap<number, Uint8Array>;

/** Why a holder's commitment is not taken, or null. */
export function judgeCommitment(session: SealSession, number: number, message: Uint8Array): Refused | null {
  return refusalFrom(() => checkCommitment(session, number, decodeCommitment(sealContextOf(session), message)));
}

/** Who deals: those whose commitments came in time. @param commitments at least as many as the threshold */
export function holderList(session: SealSession, commitments: ByHolder): Uint8Array<ArrayBuffer> {
  const context = sealContextOf(session);
  const list = rising(commitments).map(([number, message]) => ({ number, ...decodeCommitment(context, message) }));
  return encodeHolderList(context, list);
}

/** Why a holder's deal is not taken, or null. Whether a sealed share opens its recipient alone can tell. */
export function judgeDeal(
  bgv: Bgv,
  session: SealSession,
  list: Uint8Array,
  number: number,
  message: Uint8Array,
): Refused | null {
  return refusalFrom(() => {
    const context = sealContextOf(session);
    const listed = checkedList(session, list);
    const { publicShare, packets } = decodeDeal(context, message);
    if (packets.map((packet) => packet.number).join() !== [...listed.keys()].join())
      throw new Stop('SECAGG_LENGTH', `key holder ${number} did not deal to all of the list`);
    checkRevealed(bgv, session, listed.get(number)?.commitment, { number, publicShare });
    for (const packet of packets) {
      const way = { dealer: number, recipient: packet.number };
      const text = dealText({ context, list: listDigestOf(list) }, way, { ...packet, publicShare });
      if (!verify(holderKey(session, number), DOMAINS.sealDeal, text, packet.signature))
        throw new Stop('SECAGG_SIGNATURE', `what key holder ${number} dealt to ${packet.number} is not signed by it`);
    }
  });
}

/** What was dealt to one holder. @param deals of those that are in the key, at least as many as the threshold */
export function delivery(session: SealSession, deals: ByHolder, to: number): Uint8Array<ArrayBuffer> {
  const context = sealContextOf(session);
  const delivered = rising(deals).map(([number, message]) => {
    const { publicShare, packets } = decodeDeal(context, message);
    const { sealedShare, signature } = packets.find((packet) => packet.number === to)!;
    return { number, publicShare, sealedShare, signature };
  });
  return encodeDelivery(context, delivered);
}

/** What the coordinator works out of the deals by itself. */
export interface AgreedKey {
  readonly list: Uint8Array;
  readonly dealers: readonly number[];
  readonly publicKey: Uint8Array;
}

/** @throws CryptoError `SEAL_KEY` */
export function agreedKey(bgv: Bgv, session: SealSession, list: Uint8Array, deals: ByHolder): AgreedKey {
  const context = sealContextOf(session);
  const listed = checkedList(session, list);
  const revealed = rising(deals).map(([number, message]) => ({
    number,
    commitment: listed.get(number)!.commitment,
    publicShare: decodeDeal(context, message).publicShare,
  }));
  return {
    list: listDigestOf(list),
    dealers: revealed.map(({ number }) => number),
    publicKey: revealedPublicKey(bgv, context, revealed),
  };
}

/** Why a holder's confirmation is not taken, or null. */
export function judgeConfirmation(
  session: SealSession,
  agreed: AgreedKey,
  number: number,
  message: Uint8Array,
): Refused | null {
  return refusalFrom(() => {
    const context = sealContextOf(session);
    const { dealers, keyDigest, signature } = decodeConfirmation(context, message);
    if (!agreed.dealers.includes(number)) throw new Stop('SECAGG_MEMBER', `key holder ${number} did not deal`);
    if (dealers.join() !== agreed.dealers.join() || !equalBytes(keyDigest, sha256(agreed.publicKey)))
      throw new Stop('SECAGG_KEY', `key holder ${number} has a share of another key`);
    if (
      !verify(holderKey(session, number), DOMAINS.sealKey, keyText(context, agreed.list, dealers, keyDigest), signature)
    )
      throw new Stop('SECAGG_SIGNATURE', `the key is not signed by key holder ${number}`);
  });
}

/** What clients get. @param confirmations at least as many as the threshold */
export function roundKey(
  session: SealSession,
  { list, dealers, publicKey }: AgreedKey,
  confirmations: ByHolder,
): Uint8Array<ArrayBuffer> {
  const context = sealContextOf(session);
  const half = publicKey.subarray(0, publicKey.length / 2);
  const confirmed = rising(confirmations).map(([number, message]) => ({
    number,
    signature: decodeConfirmation(context, message).signature,
  }));
  return encodeRoundKey(context, { list, dealers, half, confirmed });
}

function checkRevealed(
  bgv: Bgv,
  session: SealSession,
  commitment: Uint8Array | undefined,
  { number, publicShare }: { readonly number: number; readonly publicShare: Uint8Array },
): void {
  if (commitment === undefined) throw new Stop('SECAGG_MEMBER', `key holder ${number} dealt without a commitment`);
  checkPublicShare(bgv, publicShare);
  if (!equalBytes(commitToShare(sealContextOf(session), number, publicShare), commitment))
    throw new Stop('SECAGG_SHARE_WRONG', `key holder ${number} committed to another share of the key`);
}

function rising(messages: ByHolder): [number, Uint8Array][] {
  return [...messages].sort(([a], [b]) => a - b);
}

function refusalFrom(judge: () => unknown): Refused | null {
  try {
    judge();
    return null;
  } catch (error) {
    return refusalOf(error);
  }
}
