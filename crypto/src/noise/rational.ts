/**
 * Parameters of noise are rational numbers written in decimal: every party reads the same one, and no rounding of a float stands
 * between the scale that was accounted for and the scale that is sampled.
 */
import { CryptoError } from '../errors.ts';

export interface Rational {
  readonly numerator: bigint;
  /** Positive. */
  readonly denominator: bigint;
}

const DECIMAL = /^(\d{1,40})(?:\.(\d{1,40}))?(?:e([+-]?\d{1,3}))?$/;

/** `'12'`, `'0.25'` or `'1.5e-3'`, exactly. @throws CryptoError `NOISE_PARAMETER` */
export function parseRational(text: string): Rational {
  const match = DECIMAL.exec(text);
  if (!match) throw new CryptoError('NOISE_PARAMETER', `"${text}" is not a decimal number such as 0.25 or 1.5e-3`);
  const [, whole = '0', fraction = '', exponent = '0'] = match;
  const shift = Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  return shift >= 0
    ? { numerator: digits * 10n ** BigInt(shift), denominator: 1n }
    : reduced(digits, 10n ** BigInt(-shift));
}

/** The exact value of a finite float64 that is not negative: every one is an integer times a power of two. @throws CryptoError `NOISE_PARAMETER` */
export function rationalOf(value: number): Rational {
  if (!Number.isFinite(value) || value < 0) {
    throw new CryptoError('NOISE_PARAMETER', `${value} is not a finite number of at least 0`);
  }
  let denominator = 1n;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    denominator *= 2n;
  }
  return { numerator: BigInt(scaled), denominator };
}

/** `numerator / denominator` in lowest terms. @throws CryptoError `NOISE_PARAMETER` */
export function reduced(numerator: bigint, denominator: bigint): Rational {
  if (denominator <= 0n) throw new CryptoError('NOISE_PARAMETER', `a denominator of ${denominator} is not positive`);
  const divisor = greatestCommonDivisor(numerator < 0n ? -numerator : numerator, denominator);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

/** The float64 next to it: one rounding, of a quotient of 64 bits. */
export function toNumber({ numerator, denominator }: Rational): number {
  const shift = 64 + bitLength(denominator) - bitLength(numerator);
  const quotient =
    shift >= 0 ? (numerator << BigInt(shift)) / denominator : numerator / (denominator << BigInt(-shift));
  return Number(quotient) * 2 ** -shift;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}
