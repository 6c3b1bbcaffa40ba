/**
 * SEAL's own serialisation, uncompressed, as far as it is read and written here: a header that the parameters fix, then words of
 * 64 bits. What travels is the words alone; headers are put before them from a template, so that no peer chooses one.
 */
import type { ComprModeType } from 'node-seal';
import type { Seal } from './library.ts';

/** SEAL's header 16, parms_id 32, form 1, polynomials, N and primes 24, scale 8, correction 8, header 16, count 8. */
export const CIPHERTEXT_HEADER_BYTES = 113;
/** SEAL's header 16, parms_id 32, count 8, scale 8, header 16, count 8: secret keys are such plaintexts. */
export const PLAINTEXT_HEADER_BYTES = 88;
/** At the end of a seeded ciphertext in place of the second polynomial: a header of 16, the kind of generator 1, the seed. */
export const SEED_BYTES = 64;
export const SEED_HEADER_BYTES = 17;

const IS_NTT_AT = 48;

interface Saved {
  saveToArray(mode: ComprModeType): unknown;
}

/** Into SEAL's memory: to be copied from before anything else is asked of SEAL. */
export function viewOf(seal: Seal, object: Saved): Uint8Array {
  return object.saveToArray(seal.ComprModeType.none) as Uint8Array;
}

export function bytesOf(seal: Seal, object: Saved): Uint8Array<ArrayBuffer> {
  return new Uint8Array(viewOf(seal, object));
}

export function markForm(ciphertext: Uint8Array, form: 'coefficients' | 'ntt'): void {
  ciphertext[IS_NTT_AT] = form === 'ntt' ? 1 : 0;
}

export function wordsOf(bytes: Uint8Array): BigUint64Array<ArrayBuffer> {
  return new BigUint64Array(new Uint8Array(bytes).buffer);
}

export function bytesOfWords(words: BigUint64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength).slice();
}
