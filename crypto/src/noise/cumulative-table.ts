/**
 * Inversion sampling of a symmetric integer distribution from a table of its cumulative probabilities, exact to 2^-159. One random
 * word is one draw: 31 bits find the magnitude, one is the sign. They decide all but one draw in about 2^31 / entries; four more words
 * are drawn only when those 31 bits tie.
 *
 * Limit: which entries are read, and for how long, depends on the draw, so its time and its traces in the cache tell about its value.
 * Draw whole vectors, and let nobody watch less than one.
 */
import { BLOCK_WORDS } from './random-words.ts';
import type { RandomWords } from './random-words.ts';

const GUIDE_BITS = 14;
const PROBABILITY_BITS = 159n;
const CERTAIN = (1n << PROBABILITY_BITS) - 1n;
/** Entries have 16-bit numbers. */
const MOST_ENTRIES = 65_536;

export class CumulativeTable {
  /** The top 31 bits of P(|x| <= k) x 2^159; those of the last entry are all ones, which no word exceeds. */
  readonly #first: Uint32Array;
  /** The other 128 bits of each, in four words from the top. */
  readonly #rest: Uint32Array;
  /** Where the search starts, by the top bits of the word. */
  readonly #guide: Uint16Array;

  /** @param weights of |x| = 0, 1, ... relative to each other, at most 65,536; those of x and -x are equal */
  constructor(weights: readonly bigint[]) {
    if (weights.length < 1 || weights.length > MOST_ENTRIES)
      throw new RangeError(`a table of ${weights.length} entries`);
    const cumulative = cumulativeOf(weights);
    const bits = (value: bigint, above: bigint): number => Number((value >> above) & 0xffff_ffffn);
    this.#first = Uint32Array.from(cumulative, (value) => bits(value, 128n));
    this.#rest = Uint32Array.from(
      cumulative.flatMap((value) => [96n, 64n, 32n, 0n].map((above) => bits(value, above))),
    );
    this.#guide = guideOf(this.#first);
  }

  get entries(): number {
    return this.#first.length;
  }

  /** Bound on the total-variation distance of one draw from the ideal: each entry is rounded by less than 2^-159. */
  get totalVariation(): number {
    return (this.entries + 1) * 2 ** -159;
  }

  /** Overwrites each element with an independent draw. */
  draw(to: Int32Array, words: RandomWords): void {
    for (let at = 0; at < to.length; at += BLOCK_WORDS) this.#drawBlock(to.subarray(at, at + BLOCK_WORDS), words);
  }

  #drawBlock(to: Int32Array, words: RandomWords): void {
    const first = this.#first;
    const guide = this.#guide;
    const block = words.block(to.length);
    for (let i = 0; i < to.length; i++) {
      const word = block[i]!;
      const high = word >>> 1;
      let magnitude = guide[word >>> (32 - GUIDE_BITS)]!;
      while (first[magnitude]! < high) magnitude++;
      if (first[magnitude] === high) magnitude = this.#settle(magnitude, high, words);
      const sign = -(word & 1);
      to[i] = (magnitude ^ sign) - sign;
    }
    block.fill(0);
  }

  /** Decides a tie of the first 31 bits: the first entry whose cumulative probability is above all 159 bits. */
  #settle(from: number, high: number, words: RandomWords): number {
    const drawn = [words.next(), words.next(), words.next(), words.next()];
    const last = this.entries - 1;
    let magnitude = from;
    while (magnitude < last && this.#first[magnitude] === high && !this.#isAbove(magnitude, drawn)) magnitude++;
    return magnitude;
  }

  /** Whether the lower 128 bits of an entry are above those drawn. */
  #isAbove(entry: number, drawn: readonly number[]): boolean {
    for (let j = 0; j < 4; j++) {
      const bits = this.#rest[4 * entry + j]!;
      if (bits !== drawn[j]) return bits > drawn[j]!;
    }
    return false;
  }
}

/** P(|x| <= k) x 2^159, rounded down, but the last one rounded up: what is left beyond the table falls to its last entry. */
function cumulativeOf(weights: readonly bigint[]): bigint[] {
  const both = weights.map((weight, k) => (k === 0 ? weight : 2n * weight));
  const total = both.reduce((sum, weight) => sum + weight, 0n);
  let sum = 0n;
  return both.map((weight, k) => {
    sum += weight;
    return k === both.length - 1 ? CERTAIN : (sum << PROBABILITY_BITS) / total;
  });
}

/** For every prefix of a word, the first entry that a word with it can fall on. */
function guideOf(first: Uint32Array): Uint16Array {
  const guide = new Uint16Array(1 << GUIDE_BITS);
  let k = 0;
  for (let prefix = 0; prefix < guide.length; prefix++) {
    while (first[k]! < prefix * 2 ** (31 - GUIDE_BITS)) k++;
    guide[prefix] = k;
  }
  return guide;
}
