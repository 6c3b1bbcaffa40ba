/**
 * Shamir's secret sharing (CACM 1979), byte by byte over GF(2^8) with the polynomial of AES. A share is as long as the
 * secret; its x-coordinate, 1 to 255, is known from its holder. Secrets meet nothing but sums with public factors (`field.ts`).
 */
import { equalBytes } from '../bytes.ts';
import { CryptoError } from '../errors.ts';
import type { RandomSource } from '../random.ts';
import { addExponents, combineAll, elementOf, exponentOf } from './field.ts';

/** A share together with the x-coordinate of its holder. */
export interface Share {
  readonly x: number;
  readonly value: Uint8Array;
}

const MOST_SECRET_BYTES = 256;

/** Of a secret whose shares are packed. */
const SECRET_BYTES = 32;

/**
 * One share per x-coordinate; any `threshold` of them give the secret, fewer give nothing.
 * @throws CryptoError `SHARING_RANGE`
 */
export function splitSecret(
  secret: Uint8Array,
  threshold: number,
  xs: readonly number[],
  random: RandomSource,
): Uint8Array<ArrayBuffer>[] {
  checkCoordinates(xs);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > xs.length) {
    throw outOfRange(`a threshold of ${threshold} with ${xs.length} shares`);
  }
  checkLengths([secret]);
  const { length } = secret;
  const polynomial = new Uint8Array(threshold * length);
  polynomial.set(secret);
  for (let degree = 1; degree < threshold; degree++) polynomial.set(random.bytes(length), degree * length);
  const shares = combineAll({ length, bytes: polynomial }, powersOf(xs, threshold));
  polynomial.fill(0);
  return shares;
}

/**
 * The secret behind `threshold` shares, which is also the value at 0 of the only polynomial of that degree through them.
 * @throws CryptoError `SHARING_RANGE` when coordinates repeat or lengths differ
 */
export function recoverSecret(shares: readonly Share[]): Uint8Array<ArrayBuffer> {
  checkLengths(shares.map((share) => share.value));
  const { length } = shares[0]!.value;
  const bytes = new Uint8Array(shares.length * length);
  shares.forEach(({ value }, i) => bytes.set(value, i * length));
  const xs = shares.map((share) => share.x);
  checkCoordinates(xs);
  return combineAll({ length, bytes }, factorsOf(Uint8Array.from(xs), 1))[0]!;
}

/** Shares of one secret of {@link SECRET_BYTES}: their x-coordinates, and in the same order their values, one behind the other. */
export interface PackedShares {
  readonly xs: Uint8Array;
  readonly values: Uint8Array;
}

/** A secret out of more shares than it takes. */
export interface CheckedSecret {
  readonly secret: Uint8Array<ArrayBuffer>;
  /** Whether the shares beyond the threshold agree: says something only of a secret that is known to be the right one. */
  readonly consistent: boolean;
}

/**
 * As {@link recoverSecret}, of all shares at once. When the secret is the one that was dealt and they are consistent, none of the shares is
 * wrong, or more than `wrong` are, which were chosen together. Takes `threshold + wrong - 1` shares at least.
 *
 * The shares are a word of a Reed-Solomon code: with v_i = product over j of 1 / (x_i - x_j), the sum of v_i x_i^d share_i is 0 for every d from 0
 * to their number less the threshold and less 1, and for d = -1 it is the secret over the product of all x_j. `wrong` such sums in a row
 * see every error of that many shares (MacWilliams and Sloane, chapter 10, section 8).
 * @throws CryptoError `SHARING_RANGE`
 */
export function recoverChecked({ xs, values }: PackedShares, threshold: number, wrong: number): CheckedSecret {
  checkCoordinates(xs);
  if (values.length !== xs.length * SECRET_BYTES) throw outOfRange('shares of another length');
  if (!(threshold >= 1 && wrong >= 1 && xs.length >= threshold + wrong - 1)) {
    throw outOfRange(`${xs.length} shares for a threshold of ${threshold}, ${wrong} of them wrong`);
  }
  const [secret, ...checks] = combineAll({ length: SECRET_BYTES, bytes: values }, factorsOf(xs, wrong));
  return { secret: secret!, consistent: checks.every((sum) => sum.every((byte) => byte === 0)) };
}

/** For each x its powers from 0 on. */
function powersOf(xs: readonly number[], count: number): Uint8Array[] {
  return xs.map((x) => {
    const powers = new Uint8Array(count);
    for (let degree = 0, exponent = 0; degree < count; degree++, exponent = addExponents(exponent, exponentOf(x))) {
      powers[degree] = elementOf(exponent);
    }
    return powers;
  });
}

/** The weights at 0, the product of x_j / (x_j - x_i) for every x_i; then for each degree from 0 on v_i x_i^degree. Subtraction is xor. */
function factorsOf(xs: Uint8Array, count: number): Uint8Array[] {
  const apart = inverseDistances(xs);
  const rows = Array.from({ length: count }, () => new Uint8Array(xs.length));
  let all = 0;
  for (const x of xs) all = addExponents(all, exponentOf(x));
  for (let i = 0; i < xs.length; i++) {
    const step = exponentOf(xs[i]!);
    let exponent = apart[i]!;
    rows[0]![i] = elementOf(addExponents(addExponents(all, 255 - step), exponent));
    for (let degree = 0; degree < count - 1; degree++, exponent = addExponents(exponent, step)) {
      rows[degree + 1]![i] = elementOf(exponent);
    }
  }
  return rows;
}

/** Those of the coordinates before: the secrets of a round are mostly recovered from the same ones, one after the other. */
let known: { readonly xs: Uint8Array; readonly exponents: Uint8Array } = {
  xs: Uint8Array.of(),
  exponents: Uint8Array.of(),
};

/**
 * The exponent of v_i, one by the product of x_j - x_i over all other j. Over all elements of the field that product is 1, so where most of
 * them are among the x, those that are not say as much.
 */
function inverseDistances(xs: Uint8Array): Uint8Array {
  if (equalBytes(xs, known.xs)) return known.exponents;
  const isIn = new Uint8Array(256);
  for (const x of xs) isIn[x] = 1;
  const others = isIn.map((_, x) => x).filter((x) => isIn[x] === 0);
  const few = xs.length <= others.length;
  const over = few ? xs : others;
  const exponents = xs.map((x) => {
    const sum = sumOfDistances(x, over) % 255;
    return few ? (255 - sum) % 255 : sum;
  });
  known = { xs: xs.slice(), exponents };
  return exponents;
}

/** The exponent of 0, which comes up when x is among them, is 0 in the table. */
function sumOfDistances(x: number, over: Uint8Array): number {
  let sum = 0;
  for (let j = 0; j < over.length; j++) sum += exponentOf(x ^ over[j]!);
  return sum;
}

function checkLengths(values: readonly Uint8Array[]): void {
  const length = values[0]?.length;
  if (length === undefined || values.some((value) => value.length !== length)) {
    throw outOfRange('no shares, or shares of different lengths');
  }
  if (length < 1 || length > MOST_SECRET_BYTES)
    throw outOfRange(`${length} bytes, 1 to ${MOST_SECRET_BYTES} can be shared`);
}

function checkCoordinates(xs: readonly number[] | Uint8Array): void {
  const seen = new Uint8Array(256);
  for (const x of xs) {
    if (!Number.isInteger(x) || x < 1 || x > 255 || seen[x]! > 0) {
      throw outOfRange('x-coordinates are distinct integers from 1 to 255');
    }
    seen[x] = 1;
  }
}

function outOfRange(why: string): CryptoError {
  return new CryptoError('SHARING_RANGE', why);
}
