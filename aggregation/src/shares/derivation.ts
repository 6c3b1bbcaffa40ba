/** Every key and signed text of shares mode in one place, all bound to the context. */
import { deriveKey, DOMAINS, sha256, Writer } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey } from '@carapace/crypto';
import { writeUnsigned } from './wire/share-input.ts';
import type { Deposit } from './wire/share-input.ts';

/** What the aggregator signs about its key for a round. */
export function aggregatorKeyText(context: Uint8Array, sealingKey: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Writer().bytes(context).bytes(sealingKey).finish();
}

/** What a client signs about its input. */
export function depositText(context: Uint8Array, deposit: Omit<Deposit, 'signature'>): Uint8Array<ArrayBuffer> {
  return writeUnsigned(new Writer().bytes(context), deposit).finish();
}

/** Both public keys are in it beside the secret (as in HPKE, RFC 9180 section 4.1): a box is of one sender to one receiver. */
export function depositKeyOf(
  context: Uint8Array,
  own: ExchangeKey,
  peer: ExchangePublicKey,
  keys: { readonly ephemeralKey: Uint8Array; readonly sealingKey: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const info = new Writer().bytes(keys.ephemeralKey).bytes(keys.sealingKey).finish();
  return deriveKey(own.agree(peer), DOMAINS.sharesSealing, context, info);
}

/**
 * Binds a deposit to the coordinator's share without telling anything about it to whoever has not the nonce (a commitment by hash, in
 * the random-oracle model): the aggregator knows the mask, and would recognise a right guess of the input by a digest of the share alone.
 */
export function payloadDigestOf(nonce: Uint8Array, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(new Writer().text(DOMAINS.sharesPayload).bytes(nonce).blob(payload).finish());
}

/** What a sealed seed is bound to beside its key. */
export function depositAssociated(
  context: Uint8Array,
  member: number,
  payloadDigest: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return new Writer().bytes(context).u16(member).bytes(payloadDigest).finish();
}

/** Seed of the key stream that is the aggregator's share: of this session alone, whatever the client drew. */
export function shareSeedOf(context: Uint8Array, seed: Uint8Array, member: number): Uint8Array<ArrayBuffer> {
  return deriveKey(seed, DOMAINS.sharesMask, context, new Writer().u16(member).finish());
}
