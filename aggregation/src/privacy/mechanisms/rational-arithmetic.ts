/** Products and quotients of parameters, exact: a variance is the multiplier squared times an integer over an integer. */
import { rationalOf, reduced } from '@carapace/crypto';
import type { Rational } from '@carapace/crypto';

export function product(...factors: readonly (Rational | bigint | number)[]): Rational {
  let [numerator, denominator] = [1n, 1n];
  for (const factor of factors) {
    const ratio = typeof factor === 'object' ? factor : integer(factor);
    numerator *= ratio.numerator;
    denominator *= ratio.denominator;
  }
  return reduced(numerator, denominator);
}

export function inverse({ numerator, denominator }: Rational): Rational {
  return reduced(denominator, numerator);
}

export function difference(a: Rational, b: Rational): Rational {
  return reduced(a.numerator * b.denominator - b.numerator * a.denominator, a.denominator * b.denominator);
}

export function sum(a: Rational, b: Rational): Rational {
  return reduced(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export function isAtLeast(a: Rational, b: Rational): boolean {
  return a.numerator * b.denominator >= b.numerator * a.denominator;
}

function integer(value: bigint | number): Rational {
  return typeof value === 'bigint' ? { numerator: value, denominator: 1n } : rationalOf(value);
}
