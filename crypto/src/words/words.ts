/**
 * Vectors over Z_2^64, added part by part in a kernel: engines turn loops over a BigUint64Array into fast code only as long as nothing
 * else has run through them, and are fifty times slower after.
 */
import { CryptoError } from '../errors.ts';
import { instantiate } from '../wasm.ts';
import type { Instance } from '../wasm.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';

interface KernelExports {
  add(to: number, from: number, count: number): void;
  subtract(to: number, from: number, count: number): void;
}

// Two parts of 64 KiB stay in the second-level cache.
export const PART_BYTES = 65_536;
const TO = 1024;
const FROM = TO + PART_BYTES;

let kernel: Instance<KernelExports> | undefined;

/** words := words + bytes, read as little-endian words. @throws CryptoError `ENCODE_RANGE` when the lengths differ */
export function addToWords(words: BigUint64Array, bytes: Uint8Array): void {
  combineWords(words, 'add', bytes.length, (at, part) => part.set(bytes.subarray(at, at + part.length)));
}

/**
 * words := words +- the bytes that `fill` gives, part by part in rising order.
 * @throws CryptoError `ENCODE_RANGE` when there are not as many bytes as the words have
 */
export function combineWords(
  words: BigUint64Array,
  operation: keyof KernelExports,
  length: number,
  fill: (at: number, part: Uint8Array) => void,
): void {
  if (length !== words.byteLength) {
    throw new CryptoError('ENCODE_RANGE', `${length} bytes for words of ${words.byteLength}`);
  }
  kernel ??= instantiate<KernelExports>(KERNEL_WASM, FROM + PART_BYTES);
  const { exports, memory } = kernel;
  for (let at = 0; at < length; at += PART_BYTES) {
    const target = new Uint8Array(words.buffer, words.byteOffset + at, Math.min(PART_BYTES, length - at));
    const part = new Uint8Array(memory, TO, target.length);
    part.set(target);
    fill(at, new Uint8Array(memory, FROM, target.length));
    exports[operation](TO, FROM, Math.ceil(target.length / 16));
    target.set(part);
  }
}
