/** SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), through node:crypto. */
import { createHash, createHmac, hash as oneShot } from 'node:crypto';
import { importSecret } from './import-key.ts';

export function sha256(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  // In one call it takes half of the time for short texts, of which secure aggregation hashes many.
  if (parts.length === 1) return Uint8Array.from(oneShot('sha256', parts[0]!, 'buffer'));
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export function sha256Hex(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const mac = createHmac('sha256', importSecret(key));
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}
