/**
 * Noise on integers, exact to a total-variation distance that is told: discrete Gaussian and discrete Laplace (Canonne, Kamath and
 * Steinke 2020) and Skellam, the difference of two Poisson variables (Agarwal, Kairouz and Liu 2021), which is closed under sums.
 * No float and no rounding stands between the random bytes and the result (Mironov 2012 tells why that matters).
 */
import { CryptoError } from '../errors.ts';
import type { RandomSource } from '../random.ts';
import { CumulativeTable } from './cumulative-table.ts';
import { RandomWords } from './random-words.ts';
import { toNumber } from './rational.ts';
import type { Rational } from './rational.ts';
import { rejectDiscreteGaussian, rejectDiscreteLaplace } from './rejection.ts';
import { gaussianWeights, laplaceWeights, skellamWeights } from './weights.ts';

export interface IntegerNoise {
  readonly kind: 'discrete-gaussian' | 'discrete-laplace' | 'skellam';
  /** Bound on the total-variation distance of one draw from the ideal one. It is paid out of delta, once per coordinate. */
  readonly totalVariation: number;
  /** Adds an independent draw to each element. Sums must stay within 32 bits: that is the caller's to know. */
  addTo(values: Int32Array, random: RandomSource): void;
}

/** Largest variance that gets a table: 16,000 entries, built in less than a second. */
const TABLE_VARIANCE = 1e6;
/** Above, 32 deviations no longer fit 32 bits. */
const MAX_VARIANCE = 2 ** 52;
/** Smallest scale: below it the noise is 0 with a probability that leaves nothing to hide in. */
const MIN_VARIANCE = 1e-3;

/** P(x) proportional to exp(-x^2 / (2 variance)). @throws CryptoError `NOISE_PARAMETER` */
export function discreteGaussian(variance: Rational): IntegerNoise {
  checkRange('variance', variance, MIN_VARIANCE, MAX_VARIANCE);
  if (toNumber(variance) > TABLE_VARIANCE) {
    return byRejection('discrete-gaussian', (words) => rejectDiscreteGaussian(words, variance));
  }
  return byTable('discrete-gaussian', new CumulativeTable(gaussianWeights(variance)), 1);
}

/** P(x) proportional to exp(-|x| / scale). @throws CryptoError `NOISE_PARAMETER` */
export function discreteLaplace(scale: Rational): IntegerNoise {
  checkRange('scale', scale, MIN_VARIANCE ** 0.5, 2 ** 20);
  if (toNumber(scale) > 128) return byRejection('discrete-laplace', (words) => rejectDiscreteLaplace(words, scale));
  return byTable('discrete-laplace', new CumulativeTable(laplaceWeights(scale)), 1);
}

/** P(x) = exp(-variance) I_|x|(variance). A large variance is a sum of equal smaller ones. @throws CryptoError `NOISE_PARAMETER` */
export function skellam(variance: Rational): IntegerNoise {
  checkRange('variance', variance, MIN_VARIANCE, 2 ** 32);
  const parts = Math.max(1, Math.ceil(toNumber(variance) / TABLE_VARIANCE));
  const part: Rational = { numerator: variance.numerator, denominator: variance.denominator * BigInt(parts) };
  return byTable('skellam', new CumulativeTable(skellamWeights(part)), parts);
}

function byTable(kind: IntegerNoise['kind'], table: CumulativeTable, parts: number): IntegerNoise {
  return {
    kind,
    totalVariation: parts * table.totalVariation,
    addTo: (values, random) => {
      const words = new RandomWords(random);
      for (let part = 0; part < parts; part++) table.addTo(values, words);
    },
  };
}

function byRejection(kind: IntegerNoise['kind'], draw: (words: RandomWords) => bigint): IntegerNoise {
  return {
    kind,
    // Only a draw beyond 2^31, which is 32 deviations or 2,048 scales away, is not taken as it comes.
    totalVariation: 2 ** -128,
    addTo: (values, random) => {
      const words = new RandomWords(random);
      for (let i = 0; i < values.length; i++) values[i]! += Number(BigInt.asIntN(32, draw(words)));
    },
  };
}

function checkRange(name: string, value: Rational, low: number, high: number): void {
  const number = value.denominator > 0n ? toNumber(value) : Number.NaN;
  if (!(number >= low && number <= high)) {
    throw new CryptoError('NOISE_PARAMETER', `${name} ${number} is not within ${low} and ${high} integer units`);
  }
}
