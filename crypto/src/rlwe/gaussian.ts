/**
 * The discrete Gaussian on the integers: P(x) proportional to exp(-x^2 / 2 sigma^2), sampled by inversion of a cumulative table
 * (Peikert 2010) that is compared in full for every sample.
 *
 * A sample takes 64 random bits: 63 choose its size, one its sign. Thresholds are the exact cumulative probabilities rounded to
 * multiples of 2^-63, and sizes whose tail rounds to nothing are cut: all that is lost beyond `bound` is below 2^-64. Rounding and cut
 * together put a sample within a statistical distance of (bound + 1) * 2^-64 of the exact distribution, below 2^-58 here.
 */

export interface Gaussian {
  /** 2 sigma^2, a multiple of 1/2. */
  readonly twiceVariance: number;
  /** The largest size that is ever drawn. */
  readonly bound: number;
  /** Entry k is 2^63 P(|x| <= k). */
  readonly thresholds: BigUint64Array;
}

const PRECISION = 192n;
const ONE = 1n << PRECISION;
const FULL = 1n << 63n;

export function discreteGaussian(twiceVariance: number): Gaussian {
  const weights = weightsOf(twiceVariance);
  const total = weights.reduce((sum, weight) => sum + weight, 0n);
  const thresholds: bigint[] = [];
  let cumulative = 0n;
  for (const weight of weights) {
    cumulative += weight;
    const threshold = (FULL * cumulative * 2n + total) / (2n * total);
    if (threshold >= FULL) break;
    thresholds.push(threshold);
  }
  return { twiceVariance, bound: thresholds.length, thresholds: BigUint64Array.from(thresholds) };
}

/** exp(-k^2 / 2 sigma^2), twice for k > 0, for k = 0, 1, ... until it vanishes at 192 bits. */
function weightsOf(twiceVariance: number): bigint[] {
  const ratio = exponential(twiceVariance);
  const squared = (ratio * ratio) >> PRECISION;
  const weights = [ONE];
  let weight = ONE;
  // k^2 - (k-1)^2 = 2k - 1: each weight is the one before it times the next odd power of the ratio.
  for (let step = ratio; ; step = (step * squared) >> PRECISION) {
    weight = (weight * step) >> PRECISION;
    if (weight === 0n) return weights;
    weights.push(2n * weight);
  }
}

/** exp(-1 / twiceVariance) by its series. */
function exponential(twiceVariance: number): bigint {
  const halves = BigInt(2 * twiceVariance);
  let sum = 0n;
  let term = ONE;
  for (let i = 1n; term !== 0n; i++) {
    sum += term;
    term = (-term * 2n) / (halves * i);
  }
  return sum;
}
