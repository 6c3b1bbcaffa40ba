/**
 * Weights of symmetric integer noise, relative to the weight of 0, in fixed point with 384 fraction bits. An entry is wrong by less
 * than 2^-300 of the weight of 0 (each of at most 2^16 steps loses some units of 2^-384, and halving an argument at most 20 times
 * doubles its error as often). Weights below 2^-192 are cut off; together they are less than 2^-170. Both are far below the 2^-159 at
 * which the table rounds.
 */
import type { Rational } from './rational.ts';

export const FRACTION_BITS = 384n;
const ONE = 1n << FRACTION_BITS;
const NEGLIGIBLE = 1n << (FRACTION_BITS - 192n);

/** exp(-k^2 / (2 variance)) for k = 0, 1, ...: two multiplications each, by w(k+1)/w(k) = e^(-(2k+1)/(2 variance)). */
export function gaussianWeights({ numerator, denominator }: Rational): bigint[] {
  const squeeze = expMinus(denominator, numerator);
  let ratio = expMinus(denominator, 2n * numerator);
  const weights = [ONE];
  for (let weight = ratio; weight > NEGLIGIBLE; weight = (weight * ratio) >> FRACTION_BITS) {
    weights.push(weight);
    ratio = (ratio * squeeze) >> FRACTION_BITS;
  }
  return weights;
}

/** exp(-k / scale) for k = 0, 1, ... */
export function laplaceWeights({ numerator, denominator }: Rational): bigint[] {
  const ratio = expMinus(denominator, numerator);
  const weights = [ONE];
  for (let weight = ratio; weight > NEGLIGIBLE; weight = (weight * ratio) >> FRACTION_BITS) weights.push(weight);
  return weights;
}

/**
 * Weights of the difference of two variables on 0, ..., size - 1 with P(u) proportional to r^u, r = exp(-1 / scale):
 * the sum of r^(2u + k) over u < size - k, which is r^k (1 - r^(2 (size - k))) up to a factor.
 */
export function digitDifferenceWeights({ numerator, denominator }: Rational, size: number): bigint[] {
  const at = (exponent: number): bigint => expMinus(BigInt(exponent) * denominator, numerator);
  const ratio = at(1);
  const weights: bigint[] = [];
  let power = ONE;
  for (let k = 0; k < size; k++) {
    weights.push((power * (ONE - at(2 * (size - k)))) >> FRACTION_BITS);
    power = (power * ratio) >> FRACTION_BITS;
  }
  return weights;
}

/**
 * I_k(variance) / I_0(variance), the weights of Skellam noise, by the backward recurrence of the ratios
 * I_k / I_(k-1) = 1 / (2k/variance + I_(k+1) / I_k) (Abramowitz and Stegun 9.6.26; Miller's algorithm).
 */
export function skellamWeights({ numerator, denominator }: Rational): bigint[] {
  const deviation = Math.ceil(Math.sqrt(Number(numerator) / Number(denominator)));
  // Weights fall below 2^-192 within 17 deviations or 64 steps. The error of starting from 0 shrinks by the square of a ratio with
  // every step: from 24 deviations it is below 2^-300 there (a test compares with a start twice as far).
  const start = 24 * deviation + 256;
  const ratios = new Array<bigint>(start + 2).fill(0n);
  for (let k = start; k >= 1; k--) {
    const reciprocal = ((BigInt(2 * k) * denominator) << FRACTION_BITS) / numerator + ratios[k + 1]!;
    ratios[k] = (ONE << FRACTION_BITS) / reciprocal;
  }
  const weights = [ONE];
  for (let k = 1; k <= start; k++) {
    const weight = (weights[k - 1]! * ratios[k]!) >> FRACTION_BITS;
    if (weight <= NEGLIGIBLE) break;
    weights.push(weight);
  }
  return weights;
}

/** exp(-numerator/denominator): halve the argument until it is small, sum the series, square back. */
function expMinus(numerator: bigint, denominator: bigint): bigint {
  let argument = (numerator << FRACTION_BITS) / denominator;
  let halvings = 0;
  while (argument >> (FRACTION_BITS - 8n) > 0n) {
    argument >>= 1n;
    halvings += 1;
  }
  let term = ONE;
  let sum = ONE;
  for (let i = 1n; term !== 0n; i++) {
    term = -((term * argument) >> FRACTION_BITS) / i;
    sum += term;
  }
  for (; halvings > 0; halvings--) sum = (sum * sum) >> FRACTION_BITS;
  return sum;
}
