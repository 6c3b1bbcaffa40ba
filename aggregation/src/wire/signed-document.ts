/** A JSON text with an Ed25519 signature over exactly its bytes, so that no canonical form of JSON is needed. */
import { CryptoError, fingerprint, fromBase64url, toBase64url, utf8, verify } from '@carapace/crypto';
import type { Domain, PublicKey, SigningKey } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';

export interface SignedDocument {
  readonly payload: string;
  /** base64url, 64 bytes, over `domain || 0x00 || payload`. */
  readonly signature: string;
  /** Fingerprint of the signing key. */
  readonly key: string;
}

export function signDocument(key: SigningKey, domain: Domain, value: unknown): SignedDocument {
  const payload = JSON.stringify(value);
  return { payload, signature: toBase64url(key.sign(domain, utf8(payload))), key: fingerprint(key.publicKey) };
}

/** The parsed payload, once the signature holds. @throws AggregationError `SIGNATURE_INVALID` */
export function openDocument(publicKey: PublicKey, domain: Domain, document: SignedDocument): unknown {
  if (!isSignedBy(publicKey, domain, document))
    throw new AggregationError('SIGNATURE_INVALID', `a ${domain} document is not signed by the pinned key`);
  return JSON.parse(document.payload) as unknown;
}

function isSignedBy(publicKey: PublicKey, domain: Domain, { payload, signature, key }: SignedDocument): boolean {
  // UTF-8 spells half a surrogate pair as U+FFFD: a text with one would pass for the text that was signed.
  if (key !== fingerprint(publicKey) || !payload.isWellFormed()) return false;
  try {
    return verify(publicKey, domain, utf8(payload), fromBase64url(signature));
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}
