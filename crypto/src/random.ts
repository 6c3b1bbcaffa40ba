/** Randomness is an argument. `systemRandom` is the operating system's; a seeded source for tests is in `testing/`. */
import { randomFillSync } from 'node:crypto';
import { CryptoError } from './errors.ts';

export interface RandomSource {
  /** `length` fresh bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

export const systemRandom: RandomSource = {
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

/** A uniform integer in [0, bound), by rejection, so without bias. `bound` is at most 2^32. @throws CryptoError `RANDOM_RANGE` */
export function uniformInteger(random: RandomSource, bound: number): number {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
    throw new CryptoError('RANDOM_RANGE', `bound ${bound} is not an integer in [1, 2^32]`);
  }
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const word = random.bytes(4);
    const value = new DataView(word.buffer, word.byteOffset).getUint32(0, true);
    if (value < limit) return value % bound;
  }
}

/** `count` distinct elements of `items` in random order: the head of a Fisher-Yates shuffle. */
export function sample<T>(random: RandomSource, items: readonly T[], count: number): T[] {
  const pool = [...items];
  const taken = Math.max(0, Math.min(count, pool.length));
  for (let i = 0; i < taken; i++) {
    const j = i + uniformInteger(random, pool.length - i);
    [pool[i], pool[j]] = [pool[j] as T, pool[i] as T];
  }
  return pool.slice(0, taken);
}
