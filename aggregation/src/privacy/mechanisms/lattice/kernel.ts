/**
 * The kernel with a memory for vectors of one length. A workspace belongs to one operation, holds secrets while that lasts, and is
 * wiped after it; the last one is kept for the next vector of its length.
 */
import { instantiate } from '@carapace/crypto';
import type { Instance, KeyStream } from '@carapace/crypto';
import { KERNEL_WASM } from './kernel-wasm.ts';

interface KernelExports {
  hadamard(x: number, log: number): void;
  flip(x: number, signs: number, count: number, factor: number): void;
  round(to: number, x: number, coins: number, count: number): number;
  norms(to: number, from: number, count: number): void;
}

/** 2^26 numbers take 0.8 GiB; a memory has at most 4. */
export const LONGEST_VECTOR: number = 2 ** 26;

const PART = 16_384;
const NORMS = 1024;
const COINS = NORMS + 64;
const SIGNS = COINS + 4 * PART;

let spare: Workspace | undefined;

/** Runs the operation on a workspace for `length` numbers, 1 to 2^26, and wipes it. */
export function withWorkspace<T>(length: number, operation: (workspace: Workspace) => T): T {
  // Taken out while it is used, so that an operation within an operation gets another one.
  const workspace = spare?.length === length ? spare : new Workspace(length);
  spare = undefined;
  try {
    return operation(workspace);
  } finally {
    workspace.wipe();
    spare = workspace;
  }
}

export class Workspace {
  readonly length: number;
  readonly #exports: KernelExports;
  readonly #memory: ArrayBuffer;
  readonly #x: number;
  readonly #integers: number;
  readonly #end: number;

  constructor(length: number) {
    this.length = length;
    const whole = Math.ceil(length / 4) * 4;
    this.#x = SIGNS + Math.ceil(length / 64) * 8;
    this.#integers = this.#x + 8 * whole;
    this.#end = this.#integers + 4 * whole;
    const instance: Instance<KernelExports> = instantiate(KERNEL_WASM, this.#end);
    this.#exports = instance.exports;
    this.#memory = instance.memory;
  }

  /** The numbers, as a view on the memory. */
  get numbers(): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#memory, this.#x, this.length);
  }

  /** What {@link round} wrote, as a view on the memory. */
  get integers(): Int32Array<ArrayBuffer> {
    return new Int32Array(this.#memory, this.#integers, this.length);
  }

  /** The Hadamard transform of 2^log numbers from `at` on, not normalised. */
  hadamard(at: number, log: number): void {
    this.#exports.hadamard(this.#x + 8 * at, log);
  }

  /** Multiplies `count` numbers from `at` on by the factor and by signs from the stream. */
  flip(at: number, count: number, signs: KeyStream, factor: number): void {
    signs.fill(new Uint8Array(this.#memory, SIGNS, Math.ceil(count / 8)));
    this.#exports.flip(this.#x + 8 * at, SIGNS, count, factor);
  }

  /** Rounds all numbers up or down with coins from the stream. Whether all are finite and within 2^30. */
  round(coins: KeyStream): boolean {
    let within = true;
    for (let at = 0; at < this.length; at += PART) {
      const count = Math.ceil(Math.min(PART, this.length - at) / 4) * 4;
      coins.fill(new Uint8Array(this.#memory, COINS, 4 * count));
      const whole = this.#exports.round(this.#integers + 4 * at, this.#x + 8 * at, COINS, count);
      within = within && whole !== 0;
    }
    return within;
  }

  /** Exact sums of squares and of magnitudes of the integers. */
  norms(): { readonly l2Squared: bigint; readonly l1: bigint } {
    this.#exports.norms(NORMS, this.#integers, Math.ceil(this.length / 4) * 4);
    const [low, high, l1] = new BigUint64Array(this.#memory, NORMS, 3) as unknown as [bigint, bigint, bigint];
    return { l2Squared: (high << 32n) + low, l1 };
  }

  wipe(): void {
    new Uint8Array(this.#memory, NORMS, this.#end - NORMS).fill(0);
  }
}
