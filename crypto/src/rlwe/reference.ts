/**
 * The mask as `docs/protocol/rlwe-mask.md` states it, on BigInt and without any transform of speed: the twin that the kernel is held
 * against. Not for use: it is slow, and its time depends on secrets.
 */
import { keyStream } from '../key-stream.ts';
import type { Gaussian } from './gaussian.ts';
import { groupsOf } from './layout.ts';
import type { Group } from './layout.ts';
import { invert, power, rootOfMinusOne } from './modular.ts';
import type { RlweParameters } from './parameters.ts';
import { modulusOf } from './ring.ts';
import type { Ring } from './ring.ts';

/** One polynomial, its coefficients in order. */
export type Polynomial = readonly bigint[];

/** Samples by the definition: the low 63 bits choose the size, the last the sign. */
export function referenceSamples({ thresholds }: Gaussian, random: Uint8Array): number[] {
  const view = new DataView(random.buffer, random.byteOffset, random.length);
  return Array.from({ length: random.length / 8 }, (_, i) => {
    const word = view.getBigUint64(8 * i, true);
    const size = thresholds.filter((threshold) => BigInt.asUintN(63, word) >= threshold).length;
    return word >> 63n === 0n ? size : -size;
  });
}

/** a(psi^(2 rev(i) + 1)) for i = 0, 1, ...: the order in which the kernel leaves a transform. */
export function referenceTransform(a: Polynomial, prime: bigint): bigint[] {
  const root = rootOfMinusOne(a.length, prime);
  return a.map((_, i) => {
    const point = power(root, BigInt(2 * reverseBits(i, a.length) + 1), prime);
    return modulo(
      a.reduceRight((value, coefficient) => (value * point + coefficient) % prime, 0n),
      prime,
    );
  });
}

/** The polynomial with these values: sum over i of values_i point_i^(-j) / n. */
export function referenceInverse(values: Polynomial, prime: bigint): bigint[] {
  const n = values.length;
  const root = rootOfMinusOne(n, prime);
  const scale = invert(BigInt(n), prime);
  return values.map((_, j) => {
    const terms = values.map((value, i) => {
      const exponent = BigInt((2 * reverseBits(i, n) + 1) * j);
      return value * invert(power(root, exponent, prime), prime);
    });
    return modulo(terms.reduce((sum, term) => sum + term, 0n) * scale, prime);
  });
}

/** a b in Z_m[X] / (X^n + 1). */
export function referenceProduct(a: Polynomial, b: Polynomial, m: bigint): bigint[] {
  const n = a.length;
  const product = Array.from({ length: n }, () => 0n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const term = a[i]! * b[j]!;
      const at = (i + j) % n;
      product[at] = product[at]! + (i + j < n ? term : -term);
    }
  }
  return product.map((coefficient) => modulo(coefficient, m));
}

/** Words of a stream, the low 30 bits of each, those below the prime. */
export function referencePublic(seed: Uint8Array, group: number, j: number, prime: number, count: number): number[] {
  const stream = keyStream(seed, group, j);
  const accepted: number[] = [];
  const word = new Uint8Array(4);
  while (accepted.length < count) {
    stream.fill(word);
    const value = new DataView(word.buffer).getUint32(0, true) & 0x3fffffff;
    if (value < prime) accepted.push(value);
  }
  return accepted;
}

/** A masked vector, byte by byte what `mask` makes of the same 32 bytes of randomness. */
export function referenceMask(
  parameters: RlweParameters,
  seed: Uint8Array,
  vector: Uint32Array,
  secret: Uint8Array,
): { readonly masked: Uint8Array; readonly key: number[] } {
  const { ring } = parameters;
  const n = ring.dimension;
  const key = referenceSamples(ring.secret, streamBytes(secret, 0, 0, 8 * n));
  const words: number[] = [];
  for (const group of groupsOf(parameters)) {
    const errors = referenceSamples(ring.error, streamBytes(secret, 1, group.index, 8 * 64 * group.blocks));
    const messages = encodeLanes(parameters, group, vector, errors);
    const masked = ring.primes.map((prime, j) => {
      const masks = referenceMasks(key, referencePublic(seed, group.index, j, prime, 4 * n), prime);
      return masks.map((mask, k) => messages[k]!.map((value, i) => (mask[i]! + value) % BigInt(prime)));
    });
    for (let block = 0; block < group.blocks; block++) {
      for (const polynomials of masked) words.push(...packReference(polynomials, 16 * block));
    }
  }
  return { masked: bytesOfWords(words), key };
}

/** A s for the four polynomials of a group, where A is given by its values. */
export function referenceMasks(key: readonly number[], a: readonly number[], prime: number): bigint[][] {
  const q = BigInt(prime);
  const keyValues = referenceTransform(key.map(BigInt), q);
  return [0, 1, 2, 3].map((k) =>
    referenceInverse(
      keyValues.map((value, i) => (BigInt(a[4 * i + k]!) * value) % q),
      q,
    ),
  );
}

/** The sum of vectors from the sum of residues, polynomial by polynomial in Z_Q. */
export function referenceDecode(parameters: RlweParameters, clients: number, message: Polynomial): bigint[][] {
  const { ring, lanes, laneBits } = parameters;
  const q = modulusOf(ring);
  return message.map((coefficient) => {
    const value = modulo(coefficient, q);
    if (value >> BigInt(lanes * laneBits) > BigInt(2 * ring.error.bound * clients)) throw new Error('errors too large');
    return Array.from({ length: lanes }, (_, r) => BigInt.asUintN(laneBits, value >> BigInt(laneBits * r)));
  });
}

/** The integer below Q with these residues (Chinese remainder theorem). */
export function referenceLift(ring: Pick<Ring, 'primes'>, residues: readonly number[]): bigint {
  const q = modulusOf(ring);
  const terms = ring.primes.map((prime, j) => {
    const others = q / BigInt(prime);
    return BigInt(residues[j]!) * others * invert(others % BigInt(prime), BigInt(prime));
  });
  return modulo(
    terms.reduce((sum, term) => sum + term, 0n),
    q,
  );
}

/** lanes + T (error + bound) for the coefficients of a group that are sent. */
function encodeLanes(
  { ring, lanes, laneBits }: RlweParameters,
  { blocks, from, to }: Group,
  vector: Uint32Array,
  errors: readonly number[],
): bigint[][] {
  return [0, 1, 2, 3].map((k) =>
    Array.from({ length: 16 * blocks }, (_, i) => {
      let value = BigInt(errors[4 * i + k]! + ring.error.bound) << BigInt(lanes * laneBits);
      for (let r = 0; r < lanes; r++) {
        const at = from + (i * lanes + r) * 4 + k;
        value += BigInt(at < to ? vector[at]! : 0) << BigInt(laneBits * r);
      }
      return value;
    }),
  );
}

/** Words of the wire: 16 residues of each polynomial are 15 words; word by word, polynomial by polynomial. */
function packReference(polynomials: readonly Polynomial[], from: number): number[] {
  const blocks = polynomials.map((polynomial) =>
    polynomial.slice(from, from + 16).reduceRight((block, residue) => (block << 30n) | residue, 0n),
  );
  return Array.from({ length: 15 }, (_, word) =>
    blocks.map((block) => Number(BigInt.asUintN(32, block >> BigInt(32 * word)))),
  ).flat();
}

function streamBytes(secret: Uint8Array, major: number, minor: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  keyStream(secret, major, minor).fill(bytes);
  return bytes;
}

function bytesOfWords(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(4 * i, word, true));
  return bytes;
}

function reverseBits(i: number, n: number): number {
  let reversed = 0;
  for (let bit = 1; bit < n; bit <<= 1) reversed = (reversed << 1) | ((i & bit) === 0 ? 0 : 1);
  return reversed;
}

function modulo(value: bigint, m: bigint): bigint {
  return ((value % m) + m) % m;
}
