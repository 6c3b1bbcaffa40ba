/**
 * Exact coins: Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2.
 * Integers only; the time of a toss depends on its outcome, so a single toss must not be observable.
 */
import type { RandomWords } from './random-words.ts';

/** True with probability exp(-numerator/denominator), exactly. `numerator >= 0`, `denominator > 0`. */
export function bernoulliExp(words: RandomWords, numerator: bigint, denominator: bigint): boolean {
  let left = numerator;
  while (left > denominator) {
    if (!bernoulliExpSmall(words, 1n, 1n)) return false;
    left -= denominator;
  }
  return bernoulliExpSmall(words, left, denominator);
}

/** The alternating series of exp(-x) for x <= 1, as the parity of the first failure. */
function bernoulliExpSmall(words: RandomWords, numerator: bigint, denominator: bigint): boolean {
  for (let k = 1n; ; k++) {
    if (words.below(denominator * k) >= numerator) return (k & 1n) === 1n;
  }
}
