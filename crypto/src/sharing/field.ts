/**
 * GF(2^8) with the polynomial of AES (FIPS 197, section 4.2). Vectors of elements are combined with public factors in the kernel, where no
 * table is addressed by an element of a vector and no branch depends on one; the arithmetic here is for public elements alone.
 */
import { instantiate } from '../wasm.ts';
import type { Instance } from '../wasm.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';

interface KernelExports {
  combine(to: number, values: number, vectors: number, count: number, factors: number, tables: number): void;
}

/** Elements of the field beside 0, and so vectors that can have coordinates of their own. */
const MOST_VECTORS = 255;
/** Bytes of all vectors together that the kernel has room for. */
const ROOM = 65_536;
const TABLES = 1024;
const FACTORS = TABLES + 256 * 32;
const VALUES = FACTORS + 256;
const SUM = VALUES + ROOM;
const END = SUM + ROOM;

/** By the definition: slow, and its time depends on the factor. */
export function multiplyReference(element: number, factor: number): number {
  let product = 0;
  let power = element;
  for (let bits = factor; bits !== 0; bits >>>= 1) {
    if ((bits & 1) !== 0) product ^= power;
    power = (power << 1) ^ ((power & 0x80) === 0 ? 0 : 0x11b);
  }
  return product;
}

/** Powers of 3, which generates the field's group, twice over, and their exponents. */
const POWERS = new Uint8Array(510);
const EXPONENTS = new Uint8Array(256);
for (let i = 0, power = 1; i < 255; i++, power = multiplyReference(power, 3)) {
  POWERS[i] = POWERS[i + 255] = power;
  EXPONENTS[power] = i;
}

/** The exponent of a public element, below 255; 0 for 0, which has none. */
export function exponentOf(element: number): number {
  return EXPONENTS[element]!;
}

/** The public element with this exponent, below 510. */
export function elementOf(exponent: number): number {
  return POWERS[exponent]!;
}

/** Of an exponent below 255 and one up to 255, below 255: elements multiply as exponents add. */
export function addExponents(a: number, b: number): number {
  return a + b < 255 ? a + b : a + b - 255;
}

let kernel: Instance<KernelExports> | undefined;

function instance(): Instance<KernelExports> {
  if (kernel !== undefined) return kernel;
  kernel = instantiate<KernelExports>(KERNEL_WASM, END);
  const tables = new Uint8Array(kernel.memory, TABLES, 256 * 32);
  for (let factor = 0; factor < 256; factor++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      tables[32 * factor + nibble] = multiplyReference(nibble, factor);
      tables[32 * factor + 16 + nibble] = multiplyReference(nibble << 4, factor);
    }
  }
  return kernel;
}

/** Vectors of one length, one behind the other. */
export interface Vectors {
  readonly length: number;
  readonly bytes: Uint8Array;
}

/**
 * For each row of public factors the sum of factor times vector. At most 255 vectors, 64 KiB in all; rows as long as there are vectors. Nothing
 * of them stays in the kernel.
 */
export function combineAll({ length, bytes }: Vectors, rows: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] {
  const count = bytes.length / length;
  const padded = 16 * Math.ceil(length / 16);
  if (count > MOST_VECTORS || padded * count > ROOM) throw new RangeError(`${count} vectors of ${length} bytes`);
  const { exports, memory } = instance();
  const all = new Uint8Array(memory);
  if (padded === length) all.set(bytes, VALUES);
  else for (let i = 0; i < count; i++) all.set(bytes.subarray(i * length, (i + 1) * length), VALUES + i * padded);
  const sums = rows.map((factors) => {
    all.set(factors, FACTORS);
    exports.combine(SUM, VALUES, padded / 16, count, FACTORS, TABLES);
    return all.slice(SUM, SUM + length);
  });
  all.fill(0, VALUES, VALUES + padded * count);
  all.fill(0, SUM, SUM + padded);
  return sums;
}
