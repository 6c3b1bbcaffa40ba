/** Draws of several tables, each with a factor of its own, added up. */
import type { CumulativeTable } from './cumulative-table.ts';
import { BLOCK_WORDS } from './random-words.ts';
import type { RandomWords } from './random-words.ts';

export interface Term {
  /** A whole number. The sum of the terms' factors times their largest draws is at most 2^53. */
  readonly factor: number;
  readonly table: CumulativeTable;
  /** Of this term in the sum: what the table rounds, and what stands between the sum and its ideal. */
  readonly totalVariation: number;
}

/** Adds to each element the sum of one independent draw of every term, times its factor. */
export function addTerms(values: Int32Array | Float64Array, terms: readonly Term[], words: RandomWords): void {
  const draws = new Int32Array(Math.min(BLOCK_WORDS, values.length));
  for (let at = 0; at < values.length; at += BLOCK_WORDS) {
    const part = values.subarray(at, at + BLOCK_WORDS);
    const drawn = draws.subarray(0, part.length);
    for (const { factor, table } of terms) {
      table.draw(drawn, words);
      if (part instanceof Int32Array) addToIntegers(part, drawn, factor);
      else addToNumbers(part, drawn, factor);
    }
  }
  draws.fill(0);
}

/** One function for each kind of array: engines compile a loop over one kind into better code. */
function addToIntegers(part: Int32Array, drawn: Int32Array, factor: number): void {
  // The product is exact in binary64, and so is the sum: storing it takes it modulo 2^32.
  if (factor === 1) for (let i = 0; i < part.length; i++) part[i] = (part[i]! + drawn[i]!) | 0;
  else for (let i = 0; i < part.length; i++) part[i]! += factor * drawn[i]!;
}

function addToNumbers(part: Float64Array, drawn: Int32Array, factor: number): void {
  for (let i = 0; i < part.length; i++) part[i]! += factor * drawn[i]!;
}
