/**
 * The WebAssembly kernel of a ring with its memory, which is laid out once and never grows. There is one for each ring and thread. It
 * belongs to one operation at a time, which is refused to start within another.
 */
import { CryptoError } from '../errors.ts';
import { instantiate } from '../wasm.ts';
import type { Instance } from '../wasm.ts';
import { PACKED_BLOCK_BYTES } from './blocks.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';
import type { KeyStream } from '../key-stream.ts';
import type { Group } from './layout.ts';
import { inverseModulo2To32, invert, power, rootOfMinusOne } from './modular.ts';
import { MAX_LANES } from './parameters.ts';
import type { RlweParameters } from './parameters.ts';
import type { Gaussian } from './gaussian.ts';
import type { Ring } from './ring.ts';

/** The exports of `assembly/kernel.ts`; every `number` that is not a count, a width or a prime is an address. */
export interface KernelExports {
  powers(to: number, logCount: number, root: bigint, q: bigint): void;
  quarterTwiddles(to: number, pairs: number, n: number): void;
  transformKey(x: number, coefficients: number, table: number, n: number, prime: number): void;
  pairs(to: number, x: number, n: number, w: number, wByQ: number, prime: number, inverseOfQ: number): void;
  multiplyInverse(x: number, key: number, twiddles: number, n: number, rows: number, prime: number): void;
  encrypt(
    to: number,
    x: number,
    lanes: number,
    errors: number,
    n: number,
    blocks: number,
    rows: number,
    laneBits: number,
    primes: number,
    moduli: number,
    shifts: number,
    digits: number,
  ): void;
  pack(to: number, from: number, blocks: number): void;
  subtractFrom(x: number, sum: number, blocks: number, stride: number, prime: number): void;
  check(from: number, blocks: number, moduli: number, primes: number): number;
  accumulate(sum: number, from: number, blocks: number, moduli: number, primes: number): number;
  retract(sum: number, from: number, blocks: number, moduli: number, primes: number): void;
  accept(to: number, wanted: number, from: number, words: number, prime: number): number;
  within(values: number, count: number, max: number): number;
  gaussian(to: number, random: number, count: number, thresholds: number, entries: number, offset: number): void;
  decode(
    x: number,
    n: number,
    count: number,
    primes: number,
    moduli: number,
    inverses: number,
    radices: number,
    digits: number,
    rows: number,
    laneBits: number,
    maxTop: number,
    lanes: number,
  ): number;
}

/** A fresh instance over a memory of `bytes`. */
export function instantiateKernel(bytes: number): Instance<KernelExports> {
  return instantiate<KernelExports>(KERNEL_WASM, bytes);
}

/** Bytes of a stream that are taken at once: they stay in the first-level cache until they are used. */
const RANDOM_BYTES = 32_768;

/** A prime with what the kernel needs to compute modulo it. */
interface Modulus {
  readonly prime: number;
  readonly inverseOfQ: number;
  /** 2^64 / N mod q, whose Montgomery product with a key is what `multiplyInverse` takes, less the N of the inverse transform; as a pair. */
  readonly lift: readonly [w: number, wq: number];
  readonly twiddles: number;
  readonly inverseTwiddles: number;
  readonly key: number;
  /** Residues of the group at hand. */
  readonly x: number;
}

const kernels = new WeakMap<Ring, Kernel>();

export function kernelOf(ring: Ring): Kernel {
  const kernel = kernels.get(ring) ?? new Kernel(ring);
  kernels.set(ring, kernel);
  return kernel;
}

export class Kernel {
  readonly ring: Ring;
  readonly #n: number;
  readonly #exports: KernelExports;
  readonly #memory: ArrayBuffer;
  readonly #moduli: readonly Modulus[];
  readonly #at: Regions;
  #busy = false;
  #lanes = 0;
  #laneBits = 0;

  constructor(ring: Ring) {
    const { regions, moduli, bytes } = plan(ring);
    const { exports, memory } = instantiateKernel(bytes);
    this.ring = ring;
    this.#n = ring.dimension;
    this.#exports = exports;
    this.#memory = memory;
    this.#at = regions;
    this.#moduli = moduli;
    this.#writeConstants();
  }

  /** Runs the operation with the lanes of these parameters, alone. @throws CryptoError `RLWE_BUSY` */
  exclusively<T>(parameters: RlweParameters, operation: (kernel: this) => T): T {
    if (this.#busy) throw new CryptoError('RLWE_BUSY', 'an operation was started from within another one');
    this.#busy = true;
    try {
      this.#writeLanes(parameters);
      return operation(this);
    } finally {
      this.#busy = false;
    }
  }

  /** As {@link exclusively}, for an operation on secrets: wipes them on every way out. */
  secretly<T>(parameters: RlweParameters, operation: (kernel: this) => T): T {
    return this.exclusively(parameters, () => {
      try {
        return operation(this);
      } finally {
        this.secrets.fill(0);
      }
    });
  }

  /** Puts the entries of a group into the lanes. Whether all of them are at most `max`. */
  putEntries(entries: Uint32Array, { blocks }: Group, max: number): boolean {
    const lanes = this.#lanesOf(blocks);
    lanes.set(entries);
    lanes.fill(0, entries.length);
    return this.#exports.within(this.#at.lanes, lanes.length / 4, max) !== 0;
  }

  /** The coefficients of a fresh key, as a copy. */
  sampleKey(stream: KeyStream): Int32Array {
    this.#sample(stream, this.#n, this.ring.secret, this.#at.secretThresholds, 0);
    return new Int32Array(this.#memory, this.#at.errors, this.#n).slice();
  }

  /** Fresh errors for the group, each raised by the bound so that none is negative. */
  sampleErrors(stream: KeyStream, { blocks }: Group): void {
    this.#sample(stream, 64 * blocks, this.ring.error, this.#at.errorThresholds, this.ring.error.bound);
  }

  /** Transforms a key, or a sum of keys, for `multiplyByKey`. */
  putKey(coefficients: Int32Array): void {
    const { small } = this.#at;
    new Int32Array(this.#memory, small, this.#n).set(coefficients);
    for (const { prime, inverseOfQ, lift, twiddles, key, x } of this.#moduli) {
      this.#exports.transformKey(x, small, twiddles, this.#n, prime);
      this.#exports.pairs(key, x, this.#n, lift[0], lift[1], prime, inverseOfQ);
    }
  }

  /** x_j := A key, as much of it as the group has, where the stream expands to the transform of A. */
  multiplyByKey(j: number, stream: KeyStream, { blocks }: Group): void {
    const { x, key, prime, inverseTwiddles } = this.#modulus(j);
    this.#expand(stream, x, prime);
    this.#exports.multiplyInverse(x, key, inverseTwiddles, this.#n, 16 * blocks, prime);
  }

  /** All x_j + lanes + T errors, packed: a view that the next call overwrites. */
  encrypt({ blocks }: Group): Uint8Array {
    const { packed, lanes, errors, moduli, shifts, digits } = this.#at;
    const { x } = this.#modulus(0);
    const primes = this.#moduli.length;
    this.#exports.encrypt(
      packed,
      x,
      lanes,
      errors,
      this.#n,
      blocks,
      this.#lanes,
      this.#laneBits,
      primes,
      moduli,
      shifts,
      digits,
    );
    return this.#bytes(packed, blocks * primes * PACKED_BLOCK_BYTES);
  }

  /** x_j := residues - x_j, where a group's residues stand block by block, prime by prime. */
  subtractFrom(j: number, residues: Uint32Array, { blocks }: Group): void {
    const { x, prime } = this.#modulus(j);
    const { sum } = this.#at;
    if (j === 0) this.#words(sum, residues.length).set(residues);
    this.#exports.subtractFrom(x, sum + 256 * j, blocks, 256 * this.#moduli.length, prime);
  }

  /** Takes all residues apart into lanes; the lanes, or undefined when what lies above them is more than `maxTop` in a coefficient. */
  decode(maxTop: number, { blocks }: Group): Uint32Array | undefined {
    const { moduli, inverses, radices, digits, lanes } = this.#at;
    const x = this.#modulus(0).x;
    const k = this.#moduli.length;
    const fits = this.#exports.decode(
      x,
      this.#n,
      16 * blocks,
      k,
      moduli,
      inverses,
      radices,
      digits,
      this.#lanes,
      this.#laneBits,
      maxTop,
      lanes,
    );
    return fits === 0 ? undefined : this.#lanesOf(blocks);
  }

  /** The errors as they stand, raised by the bound: a view. */
  get errors(): Uint32Array {
    return this.#words(this.#at.errors, 4 * this.#n);
  }

  /** All that is wiped after an operation on secrets: a view. */
  get secrets(): Uint32Array {
    const { secrets, lanes } = this.#at;
    return this.#words(secrets, (lanes - secrets) / 4 + 4 * this.#n * this.#lanes);
  }

  #lanesOf(blocks: number): Uint32Array {
    return this.#words(this.#at.lanes, 64 * blocks * this.#lanes);
  }

  #modulus(j: number): Modulus {
    const modulus = this.#moduli[j];
    if (modulus === undefined) throw new RangeError(`no prime ${j}`);
    return modulus;
  }

  #sample(stream: KeyStream, count: number, { bound }: Gaussian, thresholds: number, offset: number): void {
    const { random, errors } = this.#at;
    for (let at = 0; at < count; at += RANDOM_BYTES / 8) {
      const part = Math.min(RANDOM_BYTES / 8, count - at);
      stream.fill(this.#bytes(random, 8 * part));
      this.#exports.gaussian(errors + 4 * at, random, part, thresholds, bound, offset);
    }
  }

  /** Uniform modulo the prime. */
  #expand(stream: KeyStream, to: number, prime: number): void {
    const { random } = this.#at;
    const wanted = 4 * this.#n;
    for (let taken = 0; taken < wanted;) {
      stream.fill(this.#bytes(random, RANDOM_BYTES));
      taken += this.#exports.accept(to + 4 * taken, wanted - taken, random, RANDOM_BYTES / 4, prime);
    }
  }

  #writeConstants(): void {
    const { ring } = this;
    const k = ring.primes.length;
    const logN = Math.log2(this.#n);
    for (const { prime, twiddles, inverseTwiddles } of this.#moduli) {
      const q = BigInt(prime);
      const root = rootOfMinusOne(this.#n, q);
      this.#exports.powers(inverseTwiddles, logN, root, q);
      this.#exports.quarterTwiddles(twiddles, inverseTwiddles, this.#n);
      this.#exports.powers(inverseTwiddles, logN, invert(root, q), q);
    }
    writeModuli(this.#words(this.#at.moduli, 2 * k), ring.primes);
    const shifts = ring.primes.flatMap((prime) =>
      Array.from({ length: k - 1 }, (_, t) => montgomeryPair(power(2n, BigInt(30 * (t + 1)), BigInt(prime)), prime)[0]),
    );
    this.#words(this.#at.shifts, shifts.length).set(shifts);
    const inverses = ring.primes.flatMap((prime, j) =>
      ring.primes.slice(0, j).flatMap((lower) => ratioPair(invert(BigInt(lower), BigInt(prime)), prime)),
    );
    this.#words(this.#at.inverses, inverses.length).set(inverses);
    this.#longs(this.#at.secretThresholds, ring.secret.bound).set(ring.secret.thresholds);
    this.#longs(this.#at.errorThresholds, ring.error.bound).set(ring.error.thresholds);
  }

  /** What depends on the number and the width of the lanes. */
  #writeLanes({ lanes, laneBits }: RlweParameters): void {
    if (lanes === this.#lanes && laneBits === this.#laneBits) return;
    this.#lanes = lanes;
    this.#laneBits = laneBits;
    const rows = Array.from({ length: lanes + 1 }, (_, r) => BigInt(laneBits * r));
    let radix = 1n;
    const limbs = this.ring.primes.flatMap((prime) => {
      const of = rows.map((shift, r) =>
        Number(r === lanes ? radix >> shift : BigInt.asUintN(laneBits, radix >> shift)),
      );
      radix *= BigInt(prime);
      return of;
    });
    this.#words(this.#at.radices, limbs.length).set(limbs);
  }

  #bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory, at, length);
  }

  #words(at: number, length: number): Uint32Array {
    return new Uint32Array(this.#memory, at, length);
  }

  #longs(at: number, length: number): BigUint64Array {
    return new BigUint64Array(this.#memory, at, length);
  }
}

/** (w 2^32 mod q, that / q mod 2^32): the form in which the kernel multiplies by w. */
export function montgomeryPair(w: bigint, prime: number): readonly [number, number] {
  const lifted = Number((w << 32n) % BigInt(prime));
  return [lifted, Math.imul(lifted, inverseModulo2To32(prime)) >>> 0];
}

/** (w, floor(w 2^32 / q)): the form in which the kernel multiplies within transforms. */
export function ratioPair(w: bigint, prime: number): readonly [number, number] {
  return [Number(w), Number((w << 32n) / BigInt(prime))];
}

/** Each prime and 1 / q mod 2^32. */
export function writeModuli(to: Uint32Array, primes: readonly number[]): void {
  to.set(primes.flatMap((prime) => [prime, inverseModulo2To32(prime)]));
}

interface Regions {
  readonly moduli: number;
  readonly shifts: number;
  readonly inverses: number;
  readonly radices: number;
  readonly secretThresholds: number;
  readonly errorThresholds: number;
  /** Where what is wiped begins. */
  readonly secrets: number;
  readonly digits: number;
  readonly small: number;
  readonly errors: number;
  readonly random: number;
  readonly packed: number;
  /** The residues of a group of a sum. */
  readonly sum: number;
  readonly lanes: number;
  readonly end: number;
}

/** Addresses, one after the other: constants first, secrets after them. */
function plan(ring: Ring): { readonly regions: Regions; readonly moduli: Modulus[]; readonly bytes: number } {
  const n = ring.dimension;
  const k = ring.primes.length;
  const group = 16 * n;
  let end = 1024;
  const take = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / 64) * 64;
    return at;
  };
  const constants = {
    moduli: take(8 * k),
    shifts: take(4 * k * (k - 1)),
    inverses: take(4 * k * k),
    radices: take(4 * k * (MAX_LANES + 1)),
    secretThresholds: take(8 * ring.secret.bound),
    errorThresholds: take(8 * ring.error.bound),
  };
  const tables = ring.primes.map((prime) => ({
    prime,
    inverseOfQ: inverseModulo2To32(prime),
    lift: montgomeryPair((invert(BigInt(n), BigInt(prime)) << 32n) % BigInt(prime), prime),
    twiddles: take(32 + 8 * n),
    inverseTwiddles: take(8 * n),
  }));
  const secrets = end;
  const x = take(k * group);
  const moduli = tables.map((table, j) => ({ ...table, x: x + j * group, key: take(8 * n) }));
  const scratch = {
    digits: take(256 * k),
    small: take(4 * n),
    errors: take(group),
    random: take(RANDOM_BYTES),
    packed: take(k * group),
    lanes: take(MAX_LANES * group),
  };
  // A sum is opened when nothing is masked, and stands where what is packed does.
  return { regions: { ...constants, secrets, ...scratch, sum: scratch.packed, end }, moduli, bytes: end };
}
