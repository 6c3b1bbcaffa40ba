/**
 * Keys as they are kept and sent: the words of SEAL's objects, which are in transformed (NTT) form, without its headers. A secret key
 * is one polynomial over all primes of a key, a public key two: -(a s + t e) and a.
 */
import type { PublicKey, SecretKey } from 'node-seal';
import { concatBytes } from '../bytes.ts';
import { CryptoError } from '../errors.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES, PLAINTEXT_HEADER_BYTES } from './bytes-of.ts';
import { refusing, scoped } from './library.ts';
import type { SealScope } from './library.ts';
import type { Scheme } from './scheme.ts';

export interface SealKeyPair {
  readonly secretKey: Uint8Array<ArrayBuffer>;
  readonly publicKey: Uint8Array<ArrayBuffer>;
}

export function generateSealKey(scheme: Scheme): SealKeyPair {
  return scoped((scope) => {
    const generator = scope.keep(new scheme.seal.KeyGenerator(scheme.context));
    return {
      secretKey: bytesOf(scheme.seal, scope.keep(generator.secretKey())).slice(PLAINTEXT_HEADER_BYTES),
      publicKey: bytesOf(scheme.seal, scope.keep(generator.createPublicKey())).slice(CIPHERTEXT_HEADER_BYTES),
    };
  });
}

/** Of one polynomial over the primes of a key. */
export function keyBytes({ keyPrimes, parameters }: Scheme): number {
  return 8 * keyPrimes.length * parameters.profile.dimension;
}

/** SEAL looks at every residue. @throws CryptoError `SEAL_KEY` */
export function loadSecretKey(scheme: Scheme, scope: SealScope, words: Uint8Array): SecretKey {
  checkLength('a secret key', words, keyBytes(scheme));
  const key = scope.keep(new scheme.seal.SecretKey());
  const bytes = concatBytes(scheme.headers.secretKey, words);
  refusing('SEAL_KEY', 'no secret key', () => key.loadFromArray(scheme.context, bytes));
  bytes.fill(0);
  return key;
}

/** A key whose second half is 0 would encrypt nothing. @throws CryptoError `SEAL_KEY` */
export function loadPublicKey(scheme: Scheme, scope: SealScope, words: Uint8Array): PublicKey {
  checkLength('a public key', words, 2 * keyBytes(scheme));
  if (isZero(words.subarray(keyBytes(scheme)))) throw new CryptoError('SEAL_KEY', 'a public key that hides nothing');
  const key = scope.keep(new scheme.seal.PublicKey());
  const bytes = concatBytes(scheme.headers.publicKey, words);
  refusing('SEAL_KEY', 'no public key', () => key.loadFromArray(scheme.context, bytes));
  return key;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function checkLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new CryptoError('SEAL_KEY', `${what} of ${bytes.length} bytes, not ${length}`);
}
