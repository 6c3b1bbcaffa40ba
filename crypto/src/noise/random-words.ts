/** Uniform words and integers for the samplers, taken from the source in blocks: one call for 4,096 words, not one per word. */
import type { RandomSource } from '../random.ts';

/** Words of one block: 16 KiB, a quarter of what browsers give in one call, and half of a first-level cache. */
export const BLOCK_WORDS = 4096;

export class RandomWords {
  readonly #random: RandomSource;
  #block = new Uint32Array(0);
  #taken = 0;
  #bits = 0;
  #bitsLeft = 0;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** `count` words, at most {@link BLOCK_WORDS}, that nothing else is made from. To be wiped by the caller. */
  block(count: number): Uint32Array<ArrayBuffer> {
    const bytes = this.#random.bytes(4 * count);
    // A source may hand out a part of a pool, at any address.
    return bytes.byteOffset % 4 === 0
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, count)
      : new Uint32Array(bytes.slice().buffer);
  }

  /** 32 uniform bits. */
  next(): number {
    if (this.#taken === this.#block.length) {
      this.#block.fill(0);
      this.#block = this.block(BLOCK_WORDS);
      this.#taken = 0;
    }
    return this.#block[this.#taken++]!;
  }

  bit(): number {
    if (this.#bitsLeft === 0) {
      this.#bits = this.next();
      this.#bitsLeft = 32;
    }
    const bit = this.#bits & 1;
    this.#bits >>>= 1;
    this.#bitsLeft -= 1;
    return bit;
  }

  /** A uniform integer in [0, bound), by rejection: exact, and on average less than two tries. `bound` is positive. */
  below(bound: bigint): bigint {
    const bits = (bound - 1n).toString(2).length;
    const words = Math.ceil(bits / 32);
    const drop = BigInt(words * 32 - bits);
    for (;;) {
      let value = 0n;
      for (let i = 0; i < words; i++) value = (value << 32n) | BigInt(this.next());
      value >>= drop;
      if (value < bound) return value;
    }
  }
}
