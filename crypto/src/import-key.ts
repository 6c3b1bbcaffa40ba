/**
 * Keys on their way into node:crypto. Node 24 looks whether what it is given is a key of its own, and for bytes that look throws inside and
 * costs more than a short operation itself: a public key as text, or a secret one as a key, spares it.
 */
import { createPublicKey, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** @param prefix what surrounds the raw bytes in SubjectPublicKeyInfo (RFC 8410) */
export function importPublicKey(prefix: Uint8Array, raw: Uint8Array): KeyObject {
  const base64 = btoa(String.fromCharCode(...prefix, ...raw));
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
}

export function importSecret(secret: Uint8Array): KeyObject {
  return createSecretKey(secret);
}
