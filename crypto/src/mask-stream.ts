/**
 * Masks: the AES-128-CTR key stream (FIPS 197, NIST SP 800-38A) read as little-endian 64-bit words, so every word of
 * Z_2^64 is equally likely and nothing is reduced or rejected. A seed is `key || initial counter block`, 32 bytes,
 * and serves one stream: key and counter block both come out of the key derivation.
 */
import { createCipheriv } from 'node:crypto';
import type { Cipheriv } from 'node:crypto';
import { CryptoError } from './errors.ts';
import { combineWords, PART_BYTES } from './words/words.ts';

const ZERO = new Uint8Array(PART_BYTES);

export const MASK_SEED_BYTES = 32;

/** Words between two rests: about ten milliseconds of work. */
const REST_WORDS = 2 ** 20;

/** words := words + mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function addMask(words: BigUint64Array, seed: Uint8Array): void {
  combine(words, seed, 'add');
}

/** words := words - mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function subtractMask(words: BigUint64Array, seed: Uint8Array): void {
  combine(words, seed, 'subtract');
}

/** {@link addMask} in steps, with a rest after each, so that a long vector keeps nobody waiting. @throws CryptoError `KEY_MALFORMED` */
export function* addMaskInParts(words: BigUint64Array, seed: Uint8Array): Generator<undefined, void> {
  const stream = streamOf(seed);
  for (let at = 0; at < words.length; at += REST_WORDS) {
    combineStream(words.subarray(at, at + REST_WORDS), stream, 'add');
    yield;
  }
}

function combine(words: BigUint64Array, seed: Uint8Array, operation: 'add' | 'subtract'): void {
  combineStream(words, streamOf(seed), operation);
}

function streamOf(seed: Uint8Array): Cipheriv {
  if (seed.length !== MASK_SEED_BYTES) throw new CryptoError('KEY_MALFORMED', 'a mask seed has 32 bytes');
  return createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16));
}

function combineStream(words: BigUint64Array, cipher: Cipheriv, operation: 'add' | 'subtract'): void {
  combineWords(words, operation, words.byteLength, (_, part) => part.set(cipher.update(ZERO.subarray(0, part.length))));
}
