/**
 * Inversion sampling of a symmetric integer distribution from a table of its cumulative probabilities, exact to 2^-128: the first
 * 32 bits decide all but one draw in about 2^32 / entries, and the other 96 are drawn only when those tie.
 *
 * Limit: the search takes longer for larger magnitudes, so the time of a single draw tells about its value. Draw whole vectors,
 * and let nobody time less than one.
 */
import type { RandomWords } from './random-words.ts';

const GUIDE_BITS = 12;

export class CumulativeTable {
  /** Column j holds bits 32j to 32j+31, from the top, of P(|x| <= k) x 2^128. */
  readonly #columns: readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  /** Where the search starts, by the top 12 bits. */
  readonly #guide: Uint32Array;

  /** @param weights of |x| = 0, 1, ... relative to each other; those of x and -x are equal */
  constructor(weights: readonly bigint[]) {
    const size = weights.length;
    const columns = [0, 1, 2, 3].map(() => new Uint32Array(size)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    const total = weights.reduce((sum, weight) => sum + 2n * weight, -weights[0]!);
    let sum = 0n;
    for (let k = 0; k < size; k++) {
      sum += k === 0 ? weights[0]! : 2n * weights[k]!;
      const cumulative = k === size - 1 ? (1n << 128n) - 1n : (sum << 128n) / total;
      columns.forEach((column, j) => (column[k] = Number((cumulative >> BigInt(96 - 32 * j)) & 0xffff_ffffn)));
    }
    this.#columns = columns;
    this.#guide = guideOf(columns[0]);
  }

  get entries(): number {
    return this.#columns[0].length;
  }

  /** Bound on the total-variation distance of one draw from the ideal: each entry is rounded by less than 2^-128. */
  get totalVariation(): number {
    return (this.entries + 1) * 2 ** -128;
  }

  /** Adds one independent draw to each element. */
  addTo(values: Int32Array, words: RandomWords): void {
    const [first] = this.#columns;
    const guide = this.#guide;
    const last = first.length - 1;
    for (let i = 0; i < values.length; i++) {
      const word = words.next();
      let magnitude = guide[word >>> (32 - GUIDE_BITS)]!;
      while (magnitude < last && first[magnitude]! < word) magnitude++;
      if (first[magnitude] === word) magnitude = this.#settle(magnitude, word, words);
      // The sign of 0 is a draw as well: a zero that takes no bit would shift every sign after it, but not the law.
      values[i]! += words.bit() === 1 ? magnitude : -magnitude;
    }
  }

  /** Decides a tie of the first 32 bits: the first entry whose cumulative probability is above all 128 bits. */
  #settle(from: number, word: number, words: RandomWords): number {
    const [first, second, third, fourth] = this.#columns;
    const [b, c, d] = [words.next(), words.next(), words.next()];
    const last = first.length - 1;
    let magnitude = from;
    const isBelow = (k: number): boolean =>
      first[k] === word &&
      (second[k]! < b || (second[k] === b && (third[k]! < c || (third[k] === c && fourth[k]! <= d))));
    while (magnitude < last && isBelow(magnitude)) magnitude++;
    return magnitude;
  }
}

/** For every 12-bit prefix, the first entry that a word with it can fall on. */
function guideOf(first: Uint32Array): Uint32Array {
  const guide = new Uint32Array(1 << GUIDE_BITS);
  let k = 0;
  for (let prefix = 0; prefix < guide.length; prefix++) {
    while (k < first.length - 1 && first[k]! < (prefix << (32 - GUIDE_BITS)) >>> 0) k++;
    guide[prefix] = k;
  }
  return guide;
}
