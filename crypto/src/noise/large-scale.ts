/**
 * Noise too wide for one table, as a sum of draws of small ones: a fine digit, and a coarse draw times a whole number k.
 *
 * Gaussian. The sum y of D_Z(s1^2) and k D_Z(s2^2) has weight exp(-y^2 / (2 V)) times the mass that a Gaussian of variance
 * w^2 = s1^2 k^2 s2^2 / V, V = s1^2 + k^2 s2^2, has on a shifted kZ (completing the square; Peikert, "An Efficient and Parallel
 * Gaussian Sampler for Lattices", 2010, theorem 3.1). By Poisson summation that mass differs from its mean by a factor within
 * 1 +- 2 exp(-2 pi^2 w^2 / k^2) (1 + ...), so that the sum is D_Z(V) up to that total variation. Here w^2 / k^2 >= 6: less than 2^-169.
 *
 * Laplace. A geometric variable has independent digits: the lowest, on 0, ..., k - 1, and the rest, again geometric. A discrete Laplace
 * variable is the difference of two geometric ones, so it is the difference of two digits and k times a discrete Laplace variable of
 * scale / k, exactly.
 */
import { CumulativeTable } from './cumulative-table.ts';
import { toNumber } from './rational.ts';
import type { Rational } from './rational.ts';
import type { Term } from './table-sum.ts';
import { digitDifferenceWeights, gaussianWeights, laplaceWeights } from './weights.ts';

/** Variance of the fine digit, and the square of k: their quotient is 8, and more than 7.7 of it is left when the whole is above 2^22. */
export const FINE_VARIANCE: number = 2 ** 17;
export const STEP = 128;
const COARSEST_VARIANCE = 2 ** 22;
const CONVOLUTION_COST = 2 ** -169;

/** Terms of the discrete Gaussian of a variance above 2^22. */
export function convolvedGaussian(variance: Rational): Term[] {
  const terms: Term[] = [];
  let rest = variance;
  let factor = 1;
  for (; toNumber(rest) > COARSEST_VARIANCE; factor *= STEP) {
    terms.push(term(factor, gaussianWeights({ numerator: BigInt(FINE_VARIANCE), denominator: 1n }), CONVOLUTION_COST));
    rest = {
      numerator: rest.numerator - BigInt(FINE_VARIANCE) * rest.denominator,
      denominator: rest.denominator * BigInt(STEP * STEP),
    };
  }
  return [...terms, term(factor, gaussianWeights(rest), 0)];
}

const DIGIT = 2048;
const COARSEST_SCALE = 256;

/** Terms of the discrete Laplace of a scale above 256. */
export function splitLaplace(scale: Rational): Term[] {
  const terms: Term[] = [];
  let rest = scale;
  let factor = 1;
  for (; toNumber(rest) > COARSEST_SCALE; factor *= DIGIT) {
    terms.push(term(factor, digitDifferenceWeights(rest, DIGIT), 0));
    rest = { numerator: rest.numerator, denominator: rest.denominator * BigInt(DIGIT) };
  }
  return [...terms, term(factor, laplaceWeights(rest), 0)];
}

function term(factor: number, weights: readonly bigint[], cost: number): Term {
  const table = new CumulativeTable(weights);
  return { factor, table, totalVariation: table.totalVariation + cost };
}
