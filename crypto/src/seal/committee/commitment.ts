/**
 * Commit, then reveal: every member sends a hash of its share of the public key before anybody shows one. Who sees the others' shares
 * first could send b* - (sum of the others) for a b* of its own, and be the only one whose key the joint one is. A hash is bound to its
 * session and to the number of its member: it is of no use to another. That all parties saw the same hashes is the protocol's to establish.
 */
import { equalBytes, utf8 } from '../../bytes.ts';
import { DOMAINS } from '../../domains.ts';
import { CryptoError } from '../../errors.ts';
import { sha256 } from '../../hash.ts';
import type { Bgv } from '../bgv.ts';
import { checkPublicShare, committeeOf, commonReference, jointPublicKey } from './key.ts';

export const COMMITMENT_BYTES = 32;

/** @param context 32 bytes that all parties agree on and that name this key: the session, its members and its parameters */
export function commitToShare(context: Uint8Array, number: number, publicShare: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(3);
  new DataView(head.buffer).setUint16(1, number);
  return sha256(utf8(DOMAINS.sealCommitment), head, context, publicShare);
}

export interface Revealed {
  /** From 1. */
  readonly number: number;
  readonly commitment: Uint8Array;
  readonly publicShare: Uint8Array;
}

/**
 * The joint key of members whose shares are what they committed to.
 * @throws CryptoError `SEAL_KEY`, which names the member
 */
export function revealedPublicKey(
  bgv: Bgv,
  context: Uint8Array,
  revealed: readonly Revealed[],
): Uint8Array<ArrayBuffer> {
  const { members } = committeeOf(bgv);
  const seen = new Set<number>();
  for (const { number, commitment, publicShare } of revealed) {
    if (!Number.isInteger(number) || number < 1 || number > members || seen.has(number))
      throw new CryptoError('SEAL_KEY', `member ${number} is none of ${members}, or there twice`);
    seen.add(number);
    checkPublicShare(bgv, publicShare);
    if (!equalBytes(commitToShare(context, number, publicShare), commitment))
      throw new CryptoError('SEAL_KEY', `member ${number} committed to another share of the key`);
  }
  return jointPublicKey(
    bgv,
    commonReference(bgv, context),
    revealed.map(({ publicShare }) => publicShare),
  );
}
