import type { RandomSource } from '../../src/random.ts';

/** A source that deals the given 32-bit words in order, then zeros. */
export function dealing(words: readonly number[]): RandomSource {
  let dealt = 0;
  return {
    bytes: (length) => {
      const block = Uint32Array.from({ length: length / 4 }, () => words[dealt++] ?? 0);
      return new Uint8Array(block.buffer);
    },
  };
}
