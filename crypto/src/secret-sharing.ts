/**
 * Shamir's secret sharing (CACM 1979), byte by byte over GF(2^8) with the polynomial of AES. A share is as long as the
 * secret; its x-coordinate, 1 to 255, is known from its holder.
 *
 * Secrets meet nothing but xor and multiplication by public numbers (x-coordinates and what follows from them), four
 * bytes to a machine word: no table is indexed by a secret and no branch depends on one.
 */
import { CryptoError } from './errors.ts';
import type { RandomSource } from './random.ts';

/** A share together with the x-coordinate of its holder. */
export interface Share {
  readonly x: number;
  readonly value: Uint8Array;
}

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
  const coefficients = Array.from({ length: threshold - 1 }, () => toWords(random.bytes(secret.length)));
  const polynomial = [toWords(secret), ...coefficients];
  return xs.map((x) => toBytes(evaluate(polynomial, x), secret.length));
}

/**
 * The secret behind `threshold` shares, which is also the value at 0 of the only polynomial of that degree through them.
 * @throws CryptoError `SHARING_RANGE` when coordinates repeat or lengths differ
 */
export function recoverSecret(shares: readonly Share[]): Uint8Array<ArrayBuffer> {
  const xs = shares.map((share) => share.x);
  const length = shares[0]?.value.length;
  checkCoordinates(xs);
  if (length === undefined || shares.some((share) => share.value.length !== length)) {
    throw outOfRange('no shares, or shares of different lengths');
  }
  const sum = new Uint32Array(Math.ceil(length / 4));
  const weights = lagrangeWeights(xs);
  shares.forEach((share, i) => addMultiple(sum, toWords(share.value), weights[i]!));
  return toBytes(sum, length);
}

/** Horner's rule at a public x. */
function evaluate(polynomial: readonly Uint32Array[], x: number): Uint32Array {
  const value = new Uint32Array(polynomial[0]!.length);
  for (let degree = polynomial.length - 1; degree >= 0; degree--) {
    const coefficient = polynomial[degree]!;
    for (let i = 0; i < value.length; i++) value[i] = multiplyWord(value[i]!, x) ^ coefficient[i]!;
  }
  return value;
}

function addMultiple(sum: Uint32Array, words: Uint32Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! ^= multiplyWord(words[i]!, factor);
}

/** Four field elements, packed in a word, times a public element. */
function multiplyWord(word: number, factor: number): number {
  let power = word;
  let product = 0;
  for (let bits = factor; bits !== 0; bits >>>= 1) {
    if ((bits & 1) !== 0) product ^= power;
    power = ((power & 0x7f7f7f7f) << 1) ^ Math.imul((power >>> 7) & 0x01010101, 0x1b);
  }
  return product;
}

/** Powers of 3, which generates the field's group, and their exponents: for public elements alone, because they address the tables. */
const POWERS = new Uint8Array(510);
const EXPONENTS = new Uint8Array(256);
for (let i = 0, power = 1; i < 255; i++, power = multiplyWord(power, 3)) {
  POWERS[i] = POWERS[i + 255] = power;
  EXPONENTS[power] = i;
}

/** For every x_i the product of x_j / (x_j - x_i), its weight at 0; all of them public, and subtraction is xor. */
function lagrangeWeights(xs: readonly number[]): number[] {
  const all = xs.reduce((sum, x) => sum + EXPONENTS[x]!, 0);
  return xs.map((x) => {
    let exponent = all - EXPONENTS[x]!;
    for (const other of xs) if (other !== x) exponent -= EXPONENTS[x ^ other]!;
    return POWERS[((exponent % 255) + 255) % 255]!;
  });
}

function checkCoordinates(xs: readonly number[]): void {
  if (new Set(xs).size !== xs.length || xs.some((x) => !Number.isInteger(x) || x < 1 || x > 255)) {
    throw outOfRange('x-coordinates are distinct integers from 1 to 255');
  }
}

function toWords(bytes: Uint8Array): Uint32Array {
  const padded = new Uint8Array(4 * Math.ceil(bytes.length / 4));
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}

function toBytes(words: Uint32Array, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new Uint8Array(words.buffer, words.byteOffset, length));
}

function outOfRange(why: string): CryptoError {
  return new CryptoError('SHARING_RANGE', why);
}
