/** HKDF-SHA-256 (RFC 5869) through node:crypto. */
import { hkdfSync } from 'node:crypto';
import { concatBytes, utf8 } from './bytes.ts';
import type { Domain } from './domains.ts';
import { importSecret } from './import-key.ts';

export function hkdfSha256(
  secret: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hkdfSync('sha256', importSecret(secret), salt, info, length));
}

/**
 * A 32-byte key for one purpose: salt is the context (everything both sides must agree on), info is
 * `domain || 0x00 || detail`. A change in any of the four gives an unrelated key.
 */
export function deriveKey(
  secret: Uint8Array,
  domain: Domain,
  context: Uint8Array,
  detail: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  return hkdfSha256(secret, context, concatBytes(utf8(domain), Uint8Array.of(0), detail), 32);
}
