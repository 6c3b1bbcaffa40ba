/**
 * Vectors over Z_2^64, added part by part in a kernel: engines turn loops over a BigUint64Array into fast code only as long as nothing
 * else has run through them, and are fifty times slower after.
 */
import { CryptoError } from '../errors.ts';
import { FROM, PART_BYTES, TO, wordKernel } from './kernel.ts';

/** words := words + bytes, read as little-endian words. @throws CryptoError `ENCODE_RANGE` when the lengths differ */
export function addToWords(words: BigUint64Array, bytes: Uint8Array): void {
  if (bytes.length !== words.byteLength) {
    throw new CryptoError('ENCODE_RANGE', `${bytes.length} bytes for words of ${words.byteLength}`);
  }
  eachPart(words, (part) => part.combine('add', bytes.subarray(part.at, part.at + part.length)));
}

/** Some of the words while they are in the kernel, to which bytes as long as they are can be added. */
export interface WordPart {
  /** In bytes, as the length. */
  readonly at: number;
  readonly length: number;
  combine(operation: 'add' | 'subtract', bytes: Uint8Array): void;
}

/** Takes all words through the kernel, part by part in rising order. */
export function eachPart(words: BigUint64Array, visit: (part: WordPart) => void): void {
  const { exports, memory } = wordKernel();
  for (let at = 0; at < words.byteLength; at += PART_BYTES) {
    const length = Math.min(PART_BYTES, words.byteLength - at);
    const target = new Uint8Array(words.buffer, words.byteOffset + at, length);
    const part = new Uint8Array(memory, TO, length);
    const operand = new Uint8Array(memory, FROM, length);
    part.set(target);
    visit({
      at,
      length,
      combine: (operation, bytes) => {
        operand.set(bytes);
        exports[operation](TO, FROM, Math.ceil(length / 16));
      },
    });
    target.set(part);
  }
}
