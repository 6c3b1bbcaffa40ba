/** Tests of draws against the law they should follow. Each names the rate of its false alarms; seeds are fixed, so that one would stay. */
import type { Rational } from '../../src/noise/rational.ts';
import { FRACTION_BITS } from '../../src/noise/weights.ts';

/** Normal quantile of a one-sided false alarm in 10^9. */
export const ALARM_DEVIATIONS = 6;

export interface ChiSquare {
  readonly statistic: number;
  readonly limit: number;
}

/** Pearson's statistic of the draws against the law of `weights`; cells of less than 20 expected draws are pooled at the ends. */
export function chiSquare(draws: Int32Array | Float64Array, weights: readonly bigint[]): ChiSquare {
  const relative = weights.map((weight) => Number(weight) / Number(weights[0]));
  const total = 2 * relative.reduce((sum, weight) => sum + weight, 0) - 1;
  const reach = relative.findLastIndex((weight) => (draws.length * weight) / total >= 20);
  const observed = new Float64Array(2 * reach + 3);
  for (const draw of draws) observed[Math.max(-reach - 1, Math.min(reach + 1, draw)) + reach + 1]!++;
  let statistic = 0;
  let inner = 0;
  for (let x = -reach; x <= reach; x++) {
    const expected = (draws.length * relative[Math.abs(x)]!) / total;
    inner += expected;
    statistic += (observed[x + reach + 1]! - expected) ** 2 / expected;
  }
  const outer = draws.length - inner;
  if (outer > 5) statistic += (observed[0]! + observed[2 * reach + 2]! - outer) ** 2 / outer;
  return { statistic, limit: chiSquareLimit(2 * reach + 1) };
}

/** Quantile of the false-alarm rate, by Wilson and Hilferty (1931). */
export function chiSquareLimit(freedom: number): number {
  return freedom * (1 - 2 / (9 * freedom) + ALARM_DEVIATIONS * Math.sqrt(2 / (9 * freedom))) ** 3;
}

export interface Moments {
  /** By how many of their own standard deviations the sample moments lie off; within {@link ALARM_DEVIATIONS} for true draws. */
  readonly mean: number;
  readonly second: number;
  readonly fourth: number;
}

/** First, second and fourth moment against those of the weights. */
export function momentDeviations(draws: Int32Array | Float64Array, weights: readonly bigint[]): Moments {
  const moment = momentsOf(weights);
  const numbers = Float64Array.from(draws);
  const sample = (power: number): number => numbers.reduce((sum, x) => sum + x ** power, 0) / draws.length;
  const deviations = (power: number): number => {
    const expected = power === 1 ? 0 : moment(power);
    return (sample(power) - expected) / Math.sqrt((moment(2 * power) - expected ** 2) / draws.length);
  };
  return { mean: Math.abs(deviations(1)), second: Math.abs(deviations(2)), fourth: Math.abs(deviations(4)) };
}

function momentsOf(weights: readonly bigint[]): (power: number) => number {
  const relative = weights.map((weight) => Number(weight) / Number(weights[0]));
  const total = 2 * relative.reduce((sum, weight) => sum + weight, 0) - 1;
  return (power) => relative.reduce((sum, weight, k) => sum + (k === 0 ? 0 : (2 * weight * k ** power) / total), 0);
}

/** exp(-numerator/denominator) in the fixed point of the weights, by the plain series at twice the precision: slow, and by another way. */
export function expMinusReference({ numerator, denominator }: Rational): bigint {
  const bits = 2n * FRACTION_BITS + 256n;
  const argument = (numerator << bits) / denominator;
  let term = 1n << bits;
  let sum = term;
  // Of e^x, all terms positive; the reciprocal comes last.
  for (let i = 1n; term > 0n; i++) {
    term = (term * argument) / (i << bits);
    sum += term;
  }
  return (1n << (bits + FRACTION_BITS)) / sum;
}
