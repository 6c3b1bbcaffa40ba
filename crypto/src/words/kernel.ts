/** The one instance of the kernel of words, and the two regions of its memory that it works between. */
import { instantiate } from '../wasm.ts';
import type { Instance } from '../wasm.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';

/** The exports of `assembly/kernel.ts`; `to` and `from` are addresses. */
export interface WordKernel {
  add(to: number, from: number, pairs: number): void;
  subtract(to: number, from: number, pairs: number): void;
  pack(to: number, from: number, count: number, perWord: number, laneBits: number): void;
  unpack(to: number, from: number, count: number, perWord: number, laneBits: number): number;
}

// Two parts of 64 KiB stay in the second-level cache.
export const PART_BYTES = 65_536;
export const TO = 1024;
export const FROM: number = TO + PART_BYTES;

let kernel: Instance<WordKernel> | undefined;

export function wordKernel(): Instance<WordKernel> {
  return (kernel ??= instantiate<WordKernel>(KERNEL_WASM, FROM + PART_BYTES));
}
