/**
 * Discrete Laplace and discrete Gaussian by rejection: Canonne, Kamath and Steinke (2020), algorithms 2 and 3. Exact for every
 * rational parameter, without a table: the reference of the table sampler, and what serves scales too large for a table.
 */
import { bernoulliExp } from './bernoulli.ts';
import type { RandomWords } from './random-words.ts';
import type { Rational } from './rational.ts';

/** An integer x with probability proportional to exp(-|x| / scale). */
export function rejectDiscreteLaplace(words: RandomWords, { numerator: t, denominator: s }: Rational): bigint {
  for (;;) {
    const remainder = words.below(t);
    if (!bernoulliExp(words, remainder, t)) continue;
    let quotient = 0n;
    while (bernoulliExp(words, 1n, 1n)) quotient += 1n;
    const magnitude = (remainder + t * quotient) / s;
    const negative = words.bit() === 1;
    if (negative && magnitude === 0n) continue;
    return negative ? -magnitude : magnitude;
  }
}

/** An integer x with probability proportional to exp(-x^2 / (2 variance)). */
export function rejectDiscreteGaussian(words: RandomWords, { numerator: n, denominator: d }: Rational): bigint {
  const t = squareRoot(n / d) + 1n;
  const scale: Rational = { numerator: t, denominator: 1n };
  for (;;) {
    const candidate = rejectDiscreteLaplace(words, scale);
    const magnitude = candidate < 0n ? -candidate : candidate;
    // exp(-(|y| - variance/t)^2 / (2 variance)) with variance = n/d, brought to one fraction.
    const offset = magnitude * t * d - n;
    if (bernoulliExp(words, offset * offset, 2n * n * d * t * t)) return candidate;
  }
}

/** Largest integer whose square is at most `value`. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
