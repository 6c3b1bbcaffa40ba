/**
 * Masks: the AES-128-CTR key stream (FIPS 197, NIST SP 800-38A) read as little-endian 64-bit words, so every word of
 * Z_2^64 is equally likely and nothing is reduced or rejected. A seed is `key || initial counter block`, 32 bytes,
 * and serves one stream: key and counter block both come out of the key derivation.
 */
import { createCipheriv } from 'node:crypto';
import { CryptoError } from './errors.ts';

// 64 KiB stays in the second-level cache; one update over megabytes runs at a fifth of the speed.
const CHUNK_WORDS = 8192;
const ZERO = new Uint8Array(8 * CHUNK_WORDS);

export const MASK_SEED_BYTES = 32;

/** words := words + mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function addMask(words: BigUint64Array, seed: Uint8Array): void {
  eachChunk(words, seed, (part, mask) => {
    for (let i = 0; i < part.length; i++) part[i] = BigInt.asUintN(64, part[i]! + mask[i]!);
  });
}

/** words := words - mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function subtractMask(words: BigUint64Array, seed: Uint8Array): void {
  eachChunk(words, seed, (part, mask) => {
    for (let i = 0; i < part.length; i++) part[i] = BigInt.asUintN(64, part[i]! - mask[i]!);
  });
}

function eachChunk(
  words: BigUint64Array,
  seed: Uint8Array,
  combine: (part: BigUint64Array, mask: BigUint64Array) => void,
): void {
  if (seed.length !== MASK_SEED_BYTES) throw new CryptoError('KEY_MALFORMED', 'a mask seed has 32 bytes');
  const cipher = createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16));
  for (let at = 0; at < words.length; at += CHUNK_WORDS) {
    const part = words.subarray(at, at + CHUNK_WORDS);
    combine(part, toWords(cipher.update(ZERO.subarray(0, 8 * part.length))));
  }
}

/** Little-endian, as every machine that Node 24 runs on. A view where the bytes are aligned, a copy where not. */
function toWords(bytes: Uint8Array): BigUint64Array {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes);
  return new BigUint64Array(aligned.buffer, aligned.byteOffset, aligned.length / 8);
}
