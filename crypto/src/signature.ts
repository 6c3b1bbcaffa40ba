/** Ed25519 (RFC 8032) through node:crypto, on raw 32-byte keys. Every signature names its domain. */
import { createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, toBase64url, utf8 } from './bytes.ts';
import type { Domain } from './domains.ts';
import { CryptoError } from './errors.ts';
import { sha256 } from './hash.ts';
import { importPublicKey } from './import-key.ts';
import type { RandomSource } from './random.ts';

// DER prefixes of RFC 8410: what surrounds the 32 raw bytes in PKCS #8 and in SubjectPublicKeyInfo.
const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);
const SPKI = Uint8Array.from([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]);

/** The points of small order (and their non-canonical spellings): a key that verifies what nobody signed. */
const SMALL_ORDER = new Set(
  [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].flatMap((hex) => [hex, hex.slice(0, 62) + (Number.parseInt(hex.slice(62), 16) | 0x80).toString(16)]),
);

export type PublicKey = Uint8Array & { readonly __key: 'ed25519-public' };

/** Signs within a domain; the private key does not print and cannot be read back except through `seed`. */
export interface SigningKey {
  readonly publicKey: PublicKey;
  /** Signature over `domain || 0x00 || message`. */
  sign(domain: Domain, message: Uint8Array): Uint8Array<ArrayBuffer>;
  /** Signature over exactly `message`: for formats that carry a label of their own, such as RFC 9421. */
  signRaw(message: Uint8Array): Uint8Array<ArrayBuffer>;
  /** The 32-byte private seed, to be written to a file that only its owner reads. */
  exportSeed(): Uint8Array<ArrayBuffer>;
}

export function generateSigningKey(random: RandomSource): SigningKey {
  return signingKeyFromSeed(random.bytes(32));
}

/** @throws CryptoError `KEY_MALFORMED` */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== 32) throw new CryptoError('KEY_MALFORMED', 'an Ed25519 seed has 32 bytes');
  const kept = Uint8Array.from(seed);
  const key = createPrivateKey({ key: toNodeBuffer(concatBytes(PKCS8, kept)), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const publicKey = Uint8Array.from(spki.subarray(SPKI.length)) as PublicKey;
  const signRaw = (message: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(nodeSign(null, message, key));
  return {
    publicKey,
    signRaw,
    sign: (domain, message) => signRaw(labelled(domain, message)),
    exportSeed: () => Uint8Array.from(kept),
  };
}

/** The one way from bytes to a public key: 32 bytes, not of small order. @throws CryptoError `KEY_MALFORMED` */
export function parsePublicKey(bytes: Uint8Array): PublicKey {
  if (bytes.length !== 32) throw new CryptoError('KEY_MALFORMED', 'an Ed25519 public key has 32 bytes');
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (SMALL_ORDER.has(hex)) throw new CryptoError('KEY_MALFORMED', 'the public key is a point of small order');
  return Uint8Array.from(bytes) as PublicKey;
}

export function verify(publicKey: PublicKey, domain: Domain, message: Uint8Array, signature: Uint8Array): boolean {
  return verifyRaw(publicKey, labelled(domain, message), signature);
}

export function verifyRaw(publicKey: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  return nodeVerify(null, message, nodePublicKey(publicKey), signature);
}

/** Names a key: base64url of the SHA-256 of its 32 bytes. */
export function fingerprint(publicKey: PublicKey): string {
  return toBase64url(sha256(publicKey));
}

/** Importing a key takes a third of the time of a verification, and most keys verify more than once. */
const imported = new WeakMap<PublicKey, KeyObject>();

function nodePublicKey(publicKey: PublicKey): KeyObject {
  const known = imported.get(publicKey);
  if (known !== undefined) return known;
  const key = importPublicKey(SPKI, publicKey);
  imported.set(publicKey, key);
  return key;
}

function labelled(domain: Domain, message: Uint8Array): Uint8Array<ArrayBuffer> {
  return concatBytes(utf8(domain), Uint8Array.of(0), message);
}

// node:crypto's DER import is typed for Buffer alone; a Uint8Array is what it needs at run time.
function toNodeBuffer(bytes: Uint8Array): Buffer {
  return bytes as Buffer;
}
