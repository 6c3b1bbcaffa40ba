/** X25519 (RFC 7748) through node:crypto, on raw 32-byte keys that live for one round. */
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, equalBytes, toHex } from './bytes.ts';
import { CryptoError } from './errors.ts';
import { importPublicKey } from './import-key.ts';
import type { RandomSource } from './random.ts';

// What surrounds the 32 raw bytes in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410).
const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20]);
const SPKI = Uint8Array.from([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0]);
const ZERO = new Uint8Array(32);

/** The canonical points of low order: whoever agrees with one gets a secret that everybody knows. */
const LOW_ORDER = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

export type ExchangePublicKey = Uint8Array & { readonly __key: 'x25519-public' };

/** A private X25519 key; it does not print and leaves only through `exportSecret`. */
export interface ExchangeKey {
  readonly publicKey: ExchangePublicKey;
  /** The shared secret, 32 bytes, to be put through a key derivation. @throws CryptoError `KEY_MALFORMED` for a point of low order */
  agree(peer: ExchangePublicKey): Uint8Array<ArrayBuffer>;
  exportSecret(): Uint8Array<ArrayBuffer>;
}

export function generateExchangeKey(random: RandomSource): ExchangeKey {
  return exchangeKeyFromSecret(random.bytes(32));
}

/** @throws CryptoError `KEY_MALFORMED` */
export function exchangeKeyFromSecret(secret: Uint8Array): ExchangeKey {
  if (secret.length !== 32) throw malformed('an X25519 secret has 32 bytes');
  const kept = Uint8Array.from(secret);
  const key = createPrivateKey({ key: concatBytes(PKCS8, kept) as Buffer, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: Uint8Array.from(spki.subarray(SPKI.length)) as ExchangePublicKey,
    agree: (peer) => agree(key, peer),
    exportSecret: () => Uint8Array.from(kept),
  };
}

/**
 * The one way from bytes to a public key: 32 bytes, the canonical spelling of a coordinate, not of low order. RFC 7748 lets
 * a receiver take other spellings; refusing them makes "two clients sent one key" a comparison of bytes.
 * @throws CryptoError `KEY_MALFORMED`
 */
export function parseExchangePublicKey(bytes: Uint8Array): ExchangePublicKey {
  if (bytes.length !== 32) throw malformed('an X25519 public key has 32 bytes');
  if (!isCanonical(bytes)) throw malformed('the public key is not a coordinate below 2^255 - 19');
  if (LOW_ORDER.has(toHex(bytes))) throw malformed('the public key is a point of low order');
  return Uint8Array.from(bytes) as ExchangePublicKey;
}

function agree(key: KeyObject, peer: ExchangePublicKey): Uint8Array<ArrayBuffer> {
  let secret: Uint8Array;
  try {
    secret = diffieHellman({ privateKey: key, publicKey: importPublicKey(SPKI, peer) });
  } catch (cause) {
    throw new CryptoError('KEY_MALFORMED', 'the peer key is not a point that may be used', { cause });
  }
  if (equalBytes(secret, ZERO)) throw malformed('the peer key is a point of low order');
  return Uint8Array.from(secret);
}

/** Below 2^255 - 19, little-endian. */
function isCanonical(bytes: Uint8Array): boolean {
  if (bytes[31]! > 0x7f) return false;
  const top = bytes[31] === 0x7f && bytes.subarray(1, 31).every((byte) => byte === 0xff);
  return !top || bytes[0]! < 0xed;
}

function malformed(why: string): CryptoError {
  return new CryptoError('KEY_MALFORMED', why);
}
