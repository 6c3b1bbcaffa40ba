/** Every key and signed text of seal mode in one place, all bound to the context. */
import { deriveKey, DOMAINS, sha256, Writer } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey } from '@carapace/crypto';
import type { Commitment } from './wire/commitment.ts';
import type { Contribution } from './wire/input.ts';
import { writeContributions } from './wire/input.ts';
import { writeNumbers } from './wire/numbers.ts';
import type { OpeningShare } from './wire/opening-share.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** From whom to whom, by their numbers. */
export interface Way {
  readonly dealer: number;
  readonly recipient: number;
}

/** What a holder signs of its commitment. */
export function commitmentText(
  context: Uint8Array,
  number: number,
  { commitment, sealingKey }: Omit<Commitment, 'signature'>,
): Bytes {
  return new Writer().bytes(context).u8(number).bytes(commitment).bytes(sealingKey).finish();
}

/** Of the list that all dealers must have had. */
export function listDigestOf(list: Uint8Array): Bytes {
  return sha256(list);
}

/** What a dealer signs for one recipient. */
export function dealText(
  { context, list }: { readonly context: Uint8Array; readonly list: Uint8Array },
  { dealer, recipient }: Way,
  dealt: { readonly publicShare: Uint8Array; readonly sealedShare: Uint8Array },
): Bytes {
  const head = new Writer().bytes(context).bytes(list).u8(dealer).u8(recipient);
  return head.bytes(sha256(dealt.publicShare)).bytes(sha256(dealt.sealedShare)).finish();
}

/** Both public keys and both numbers are in it beside the secret: a box is of one dealer to one recipient. */
export function dealKeyOf(
  context: Uint8Array,
  own: ExchangeKey,
  peer: ExchangePublicKey,
  way: Way & { readonly dealerKey: Uint8Array; readonly recipientKey: Uint8Array },
): Bytes {
  const info = new Writer().u8(way.dealer).u8(way.recipient).bytes(way.dealerKey).bytes(way.recipientKey).finish();
  return deriveKey(own.agree(peer), DOMAINS.sealDealing, context, info);
}

/** What a sealed share is bound to beside its key. */
export function dealAssociated(context: Uint8Array, list: Uint8Array, { dealer, recipient }: Way): Bytes {
  return new Writer().bytes(context).bytes(list).u8(dealer).u8(recipient).finish();
}

/** What a holder signs of the key that it has a share of. */
export function keyText(
  context: Uint8Array,
  list: Uint8Array,
  dealers: readonly number[],
  keyDigest: Uint8Array,
): Bytes {
  return writeNumbers(new Writer().bytes(context).bytes(list), dealers).bytes(keyDigest).finish();
}

/** What a client signs of its input: with the key's digest, so that a holder opens nothing that was made under another key. */
export function contributionText(
  context: Uint8Array,
  keyDigest: Uint8Array,
  { member, bodyDigest, maskDigest }: Omit<Contribution, 'signature'>,
): Bytes {
  return new Writer().bytes(context).bytes(keyDigest).u16(member).bytes(bodyDigest).bytes(maskDigest).finish();
}

/** Names a set of inputs: a holder helps to open one in a session. */
export function contributorsDigestOf(contributions: readonly Contribution[]): Bytes {
  return sha256(writeContributions(new Writer().text(DOMAINS.sealContributors), contributions).finish());
}

/** What a holder signs of its share of an opening. */
export function openingText(
  context: Uint8Array,
  number: number,
  { request, maskDigest, share }: Omit<OpeningShare, 'signature'>,
): Bytes {
  return new Writer().bytes(context).u8(number).bytes(request).bytes(maskDigest).bytes(sha256(share)).finish();
}

/** What a holder that has the key whole signs of it. */
export function soleKeyText(context: Uint8Array, keyDigest: Uint8Array): Bytes {
  return new Writer().bytes(context).bytes(keyDigest).finish();
}

/** What such a holder signs of a sum. */
export function soleSumText(
  context: Uint8Array,
  { request, sums }: { readonly request: Uint8Array; readonly sums: Uint8Array },
): Bytes {
  return new Writer().bytes(context).bytes(request).bytes(sha256(sums)).finish();
}
