/**
 * Masks: the AES-128-CTR key stream (FIPS 197, NIST SP 800-38A) read as little-endian 64-bit words, so every word of
 * Z_2^64 is equally likely and nothing is reduced or rejected. A seed is `key || initial counter block`, 32 bytes,
 * and serves one stream: key and counter block both come out of the key derivation.
 */
import { createCipheriv } from 'node:crypto';
import { CryptoError } from './errors.ts';
import { importSecret } from './import-key.ts';
import { PART_BYTES } from './words/kernel.ts';
import { eachPart } from './words/words.ts';

const ZERO = new Uint8Array(PART_BYTES);

export const MASK_SEED_BYTES = 32;

/** Ciphers that are kept open at once. */
const MOST_OPEN = 64;

/** A seed and the sign with which its mask stands in a sum. */
export interface SignedSeed {
  readonly seed: Uint8Array;
  readonly sign: 1 | -1;
}

/** words := words + the masks with their signs, modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function addMasks(words: BigUint64Array, masks: readonly SignedSeed[]): void {
  // A mask longer than a part keeps its cipher open until it has been through all parts.
  for (let from = 0; from < masks.length; from += MOST_OPEN) {
    const streams = masks.slice(from, from + MOST_OPEN).map(openStream);
    eachPart(words, (part) => {
      const zeros = ZERO.subarray(0, part.length);
      for (const { next, operation } of streams) part.combine(operation, next(zeros));
    });
  }
}

/** Words between two rests: about ten milliseconds of work. */
const REST_WORDS = 2 ** 20;

/** words := words + mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function addMask(words: BigUint64Array, seed: Uint8Array): void {
  addMasks(words, [{ seed, sign: 1 }]);
}

/** words := words - mask(seed), modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function subtractMask(words: BigUint64Array, seed: Uint8Array): void {
  addMasks(words, [{ seed, sign: -1 }]);
}

/** words := words - the masks with their signs, modulo 2^64. @throws CryptoError `KEY_MALFORMED` */
export function removeMasks(words: BigUint64Array, masks: readonly SignedSeed[]): void {
  addMasks(
    words,
    masks.map(({ seed, sign }) => ({ seed, sign: sign > 0 ? -1 : 1 })),
  );
}

/** The next bytes of the stream, as many as there are zeros. */
interface MaskStream {
  readonly operation: 'add' | 'subtract';
  readonly next: (zeros: Uint8Array) => Uint8Array;
}

function openStream({ seed, sign }: SignedSeed): MaskStream {
  if (seed.length !== MASK_SEED_BYTES) throw new CryptoError('KEY_MALFORMED', 'a mask seed has 32 bytes');
  const cipher = createCipheriv('aes-128-ctr', importSecret(seed.subarray(0, 16)), seed.subarray(16));
  return { operation: sign > 0 ? 'add' : 'subtract', next: (zeros) => cipher.update(zeros) };
}

/** {@link addMask} in steps, with a rest after each, so that a long vector keeps nobody waiting. @throws CryptoError `KEY_MALFORMED` */
export function* addMaskInParts(words: BigUint64Array, seed: Uint8Array): Generator<undefined, void> {
  const { next, operation } = openStream({ seed, sign: 1 });
  for (let at = 0; at < words.length; at += REST_WORDS) {
    eachPart(words.subarray(at, at + REST_WORDS), (part) =>
      part.combine(operation, next(ZERO.subarray(0, part.length))),
    );
    yield;
  }
}
