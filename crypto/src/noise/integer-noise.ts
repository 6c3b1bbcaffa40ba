/**
 * Noise on integers, exact to a total-variation distance that is told: discrete Gaussian and discrete Laplace (Canonne, Kamath and
 * Steinke 2020) and Skellam, the difference of two Poisson variables (Agarwal, Kairouz and Liu 2021), which is closed under sums.
 * No float and no rounding stands between the random bytes and the result (Mironov 2012 tells why that matters).
 */
import { CryptoError } from '../errors.ts';
import type { RandomSource } from '../random.ts';
import { CumulativeTable } from './cumulative-table.ts';
import { convolvedGaussian, splitLaplace } from './large-scale.ts';
import { RandomWords } from './random-words.ts';
import { toNumber } from './rational.ts';
import type { Rational } from './rational.ts';
import { rejectDiscreteGaussian, rejectDiscreteLaplace } from './rejection.ts';
import { addTerms } from './table-sum.ts';
import type { Term } from './table-sum.ts';
import { gaussianWeights, laplaceWeights, skellamWeights } from './weights.ts';

export interface IntegerNoise {
  readonly kind: 'discrete-gaussian' | 'discrete-laplace' | 'skellam';
  /** The parameter: the variance that was asked for, or the scale of a discrete Laplace. */
  readonly parameter: Rational;
  /**
   * Bound on the total-variation distance of one draw from the ideal one. It is paid out of delta, once per coordinate: a mechanism
   * that is (epsilon, delta) with ideal noise is (epsilon, delta + (1 + e^epsilon) d totalVariation) with this.
   */
  readonly totalVariation: number;
  /**
   * Adds an independent draw to each element: in 32 bits modulo 2^32, in binary64 exactly as long as sums stay within 2^53, which is
   * the caller's to know. No draw is above 2^53.
   */
  addTo(values: Int32Array | Float64Array, random: RandomSource): void;
}

/** Table: one to a few lookups a draw. Rejection: slower by two orders, but at no distance from the ideal; the reference. */
export type Sampler = 'table' | 'rejection';

/** Largest variance of one table: 33,000 entries, built in 0.1 s. */
const TABLE_VARIANCE = 2 ** 22;
/** Scale of the largest Laplace table: 34,000 entries. */
const TABLE_LAPLACE = 256;
/** Above, 64 deviations no longer fit 53 bits. */
const MAX_VARIANCE = 2 ** 92;
const MAX_LAPLACE = 2 ** 44;
/** Parts that sum up to the Skellam noise of the largest variance: 1,024 lookups a draw. */
const MAX_SKELLAM = 2 ** 32;
/** Smallest variance: below it the noise is 0 with a probability that leaves nothing to hide in. */
const MIN_VARIANCE = 1e-3;

/** P(x) proportional to exp(-x^2 / (2 variance)). @throws CryptoError `NOISE_PARAMETER` */
export function discreteGaussian(variance: Rational, sampler: Sampler = 'table'): IntegerNoise {
  checkRange('variance', variance, MIN_VARIANCE, MAX_VARIANCE);
  if (sampler === 'rejection') {
    return byRejection('discrete-gaussian', variance, (words) => rejectDiscreteGaussian(words, variance));
  }
  if (toNumber(variance) > TABLE_VARIANCE) return bySum('discrete-gaussian', variance, convolvedGaussian(variance));
  return bySum('discrete-gaussian', variance, tableOf(gaussianWeights(variance)));
}

/** P(x) proportional to exp(-|x| / scale). @throws CryptoError `NOISE_PARAMETER` */
export function discreteLaplace(scale: Rational, sampler: Sampler = 'table'): IntegerNoise {
  checkRange('scale', scale, MIN_VARIANCE ** 0.5, MAX_LAPLACE);
  if (sampler === 'rejection') {
    return byRejection('discrete-laplace', scale, (words) => rejectDiscreteLaplace(words, scale));
  }
  if (toNumber(scale) > TABLE_LAPLACE) return bySum('discrete-laplace', scale, splitLaplace(scale));
  return bySum('discrete-laplace', scale, tableOf(laplaceWeights(scale)));
}

/** P(x) = exp(-variance) I_|x|(variance). A large variance is a sum of equal smaller ones. @throws CryptoError `NOISE_PARAMETER` */
export function skellam(variance: Rational): IntegerNoise {
  checkRange('variance', variance, MIN_VARIANCE, MAX_SKELLAM);
  const parts = Math.max(1, Math.ceil(toNumber(variance) / TABLE_VARIANCE));
  const part: Rational = { numerator: variance.numerator, denominator: variance.denominator * BigInt(parts) };
  const [term] = tableOf(skellamWeights(part)) as [Term];
  return bySum('skellam', variance, new Array<Term>(parts).fill(term));
}

function tableOf(weights: readonly bigint[]): Term[] {
  const table = new CumulativeTable(weights);
  return [{ factor: 1, table, totalVariation: table.totalVariation }];
}

function bySum(kind: IntegerNoise['kind'], parameter: Rational, terms: readonly Term[]): IntegerNoise {
  return {
    kind,
    parameter,
    totalVariation: terms.reduce((sum, term) => sum + term.totalVariation, 0),
    addTo: (values, random) => addTerms(values, terms, new RandomWords(random)),
  };
}

function byRejection(
  kind: IntegerNoise['kind'],
  parameter: Rational,
  draw: (words: RandomWords) => bigint,
): IntegerNoise {
  return {
    kind,
    parameter,
    // Only a draw beyond 2^53 is not taken as it comes, which is 64 deviations or 512 scales away.
    totalVariation: 2 ** -700,
    addTo: (values, random) => {
      const words = new RandomWords(random);
      for (let i = 0; i < values.length; i++) values[i]! += Number(BigInt.asIntN(54, draw(words)));
    },
  };
}

function checkRange(name: string, value: Rational, low: number, high: number): void {
  const number = value.denominator > 0n ? toNumber(value) : Number.NaN;
  if (!(number >= low && number <= high)) {
    throw new CryptoError('NOISE_PARAMETER', `${name} ${number} is not within ${low} and ${high} integer units`);
  }
}
