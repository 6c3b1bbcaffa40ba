/**
 * The WebAssembly kernel of a ring with its memory, which is laid out once and never grows. There is one for each ring and thread. It
 * belongs to one operation at a time, which is refused to start within another.
 */
import { CryptoError } from '../errors.ts';
import { instantiate } from '../wasm.ts';
import type { Instance } from '../wasm.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';
import type { KeyStream } from '../key-stream.ts';
import { clearUnused, widen } from './layout.ts';
import { inverseModulo2To32, invert, power, rootOfMinusOne } from './modular.ts';
import { MAX_LANES } from './parameters.ts';
import type { RlweParameters } from './parameters.ts';
import type { Gaussian } from './gaussian.ts';
import type { Ring } from './ring.ts';

/** The exports of `assembly/kernel.ts`; every `number` that is not a count, a width or a prime is an address. */
export interface KernelExports {
  powers(to: number, logCount: number, root: bigint, q: bigint, inverseOfQ: number): void;
  forward(x: number, twiddles: number, n: number, prime: number): void;
  inverse(x: number, twiddles: number, n: number, prime: number, scale: number): void;
  encode(
    x: number,
    lanes: number,
    errors: number,
    n: number,
    rows: number,
    shifts: number,
    prime: number,
    inverseOfQ: number,
  ): void;
  spread(x: number, small: number, n: number, prime: number): void;
  pairs(to: number, x: number, n: number, square: number, squareByQ: number, prime: number, inverseOfQ: number): void;
  multiplyAdd(x: number, a: number, key: number, n: number, prime: number): void;
  multiplySubtract(x: number, a: number, key: number, n: number, prime: number): void;
  pack(to: number, from: number, count: number, width: number): void;
  check(from: number, count: number, prime: number, width: number): number;
  accumulate(sum: number, from: number, count: number, prime: number, width: number): number;
  retract(sum: number, from: number, count: number, prime: number, width: number): void;
  accept(to: number, wanted: number, from: number, words: number, prime: number): number;
  within(values: number, count: number, max: number): number;
  gaussian(to: number, random: number, count: number, thresholds: number, entries: number, offset: number): void;
  decode(
    x: number,
    n: number,
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

/** A prime with what the kernel needs to compute modulo it. */
interface Modulus {
  readonly prime: number;
  readonly inverseOfQ: number;
  /** 2^64 mod q, whose Montgomery product with x is x 2^32 mod q; as a pair. */
  readonly square: readonly [w: number, wq: number];
  readonly twiddles: number;
  readonly inverseTwiddles: number;
  readonly scale: number;
  readonly shifts: number;
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
        const { secrets, lanes } = this.#at;
        this.#bytes(secrets, lanes - secrets + this.entries.byteLength).fill(0);
      }
    });
  }

  /** Puts entries into the lanes. Whether all of them are at most `max`. */
  putEntries(entries: Uint32Array, width: number, max: number): boolean {
    const room = 4 * this.#n * this.#lanes;
    widen(this.#words(this.#at.lanes, room), entries, width);
    return this.#exports.within(this.#at.lanes, room / 4, max) !== 0;
  }

  /** The lanes as they stand, as a view that the next operation overwrites. */
  get entries(): Uint32Array {
    return this.#words(this.#at.lanes, 4 * this.#n * this.#lanes);
  }

  /** The coefficients of a fresh key, as a copy. */
  sampleKey(stream: KeyStream): Int32Array {
    this.#sample(stream, this.#n, this.ring.secret, this.#at.secretThresholds, 0);
    return new Int32Array(this.#memory, this.#at.errors, this.#n).slice();
  }

  /** Fresh errors for the group, each raised by the bound so that none is negative. */
  sampleErrors(stream: KeyStream): void {
    this.#sample(stream, 4 * this.#n, this.ring.error, this.#at.errorThresholds, this.ring.error.bound);
  }

  /** The errors as they stand, raised by the bound: a view. */
  get errors(): Uint32Array {
    return this.#words(this.#at.errors, 4 * this.#n);
  }

  /** Transforms a key, or a sum of keys, for `addKeyTimes` and `subtractKeyTimes`. */
  putKey(coefficients: Int32Array): void {
    const { small } = this.#at;
    new Int32Array(this.#memory, small, this.#n).set(coefficients);
    for (const { prime, inverseOfQ, square, twiddles, key, x } of this.#moduli) {
      this.#exports.spread(x, small, this.#n, prime);
      this.#exports.forward(x, twiddles, this.#n, prime);
      this.#exports.pairs(key, x, this.#n, square[0], square[1], prime, inverseOfQ);
    }
  }

  /** x_j := transform of lanes + T * errors. */
  encode(j: number): void {
    const { x, shifts, prime, inverseOfQ, twiddles } = this.#modulus(j);
    this.#exports.encode(x, this.#at.lanes, this.#at.errors, this.#n, this.#lanes, shifts, prime, inverseOfQ);
    this.#exports.forward(x, twiddles, this.#n, prime);
  }

  /** x_j := x_j + A key, where the stream expands to A. */
  addKeyTimes(j: number, stream: KeyStream): void {
    const { x, key, prime } = this.#modulus(j);
    this.#expand(stream, prime);
    this.#exports.multiplyAdd(x, this.#at.a, key, this.#n, prime);
  }

  /** x_j := x_j - A key, back from the transformed domain; 0 where the group has no polynomial. */
  subtractKeyTimes(j: number, stream: KeyStream, width: number): void {
    const { x, key, prime, inverseTwiddles, scale } = this.#modulus(j);
    this.#expand(stream, prime);
    this.#exports.multiplySubtract(x, this.#at.a, key, this.#n, prime);
    this.#exports.inverse(x, inverseTwiddles, this.#n, prime, scale);
    clearUnused(this.residues(j), width);
  }

  /** The residues of x_j: a view on the kernel's memory. */
  residues(j: number): Uint32Array {
    return this.#words(this.#modulus(j).x, 4 * this.#n);
  }

  /** The first `width` polynomials of x_j, 30 bits a residue: a view that the next call overwrites. */
  pack(j: number, width: number): Uint32Array {
    this.#exports.pack(this.#at.packed, this.#modulus(j).x, this.#n, width);
    return this.#words(this.#at.packed, (width * this.#n * 15) / 16);
  }

  /** Takes all residues apart into lanes. Whether what lies above them is at most `maxTop` in every coefficient. */
  decode(maxTop: number): boolean {
    const { moduli, inverses, radices, digits, lanes } = this.#at;
    const x = this.#modulus(0).x;
    const k = this.#moduli.length;
    const fits = this.#exports.decode(
      x,
      this.#n,
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
    return fits !== 0;
  }

  #modulus(j: number): Modulus {
    const modulus = this.#moduli[j];
    if (modulus === undefined) throw new RangeError(`no prime ${j}`);
    return modulus;
  }

  #sample(stream: KeyStream, count: number, { bound }: Gaussian, thresholds: number, offset: number): void {
    const { random, errors } = this.#at;
    stream.fill(this.#bytes(random, 8 * count));
    this.#exports.gaussian(errors, random, count, thresholds, bound, offset);
  }

  /** A, uniform modulo the prime. */
  #expand(stream: KeyStream, prime: number): void {
    const { a, random } = this.#at;
    const wanted = 4 * this.#n;
    for (let taken = 0; taken < wanted;) {
      stream.fill(this.#bytes(random, 4 * wanted));
      taken += this.#exports.accept(a + 4 * taken, wanted - taken, random, wanted, prime);
    }
  }

  #writeConstants(): void {
    const { ring } = this;
    const logN = Math.log2(this.#n);
    for (const { prime, inverseOfQ, twiddles, inverseTwiddles, scale } of this.#moduli) {
      const q = BigInt(prime);
      const root = rootOfMinusOne(this.#n, q);
      this.#exports.powers(twiddles, logN, root, q, inverseOfQ);
      this.#exports.powers(inverseTwiddles, logN, invert(root, q), q, inverseOfQ);
      this.#words(scale, 2).set(montgomeryPair(invert(BigInt(this.#n), q), prime));
    }
    this.#words(this.#at.moduli, ring.primes.length).set(ring.primes);
    const inverses = ring.primes.flatMap((prime, j) =>
      ring.primes.slice(0, j).flatMap((lower) => montgomeryPair(invert(BigInt(lower), BigInt(prime)), prime)),
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
    for (const { shifts, prime } of this.#moduli) {
      this.#words(shifts, rows.length).set(
        rows.map((shift) => montgomeryPair(power(2n, shift, BigInt(prime)), prime)[0]),
      );
    }
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

interface Regions {
  readonly moduli: number;
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
  readonly a: number;
  readonly packed: number;
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
    moduli: take(4 * k),
    inverses: take(4 * k * k),
    radices: take(4 * k * (MAX_LANES + 1)),
    secretThresholds: take(8 * ring.secret.bound),
    errorThresholds: take(8 * ring.error.bound),
  };
  const tables = ring.primes.map((prime) => ({
    prime,
    inverseOfQ: inverseModulo2To32(prime),
    square: montgomeryPair(1n << 32n, prime),
    twiddles: take(8 * n),
    inverseTwiddles: take(8 * n),
    scale: take(8),
    shifts: take(4 * (MAX_LANES + 1)),
  }));
  const secrets = end;
  const x = take(k * group);
  const moduli = tables.map((table, j) => ({ ...table, x: x + j * group, key: take(8 * n) }));
  const scratch = {
    digits: take(16 * k),
    small: take(4 * n),
    errors: take(group),
    random: take(2 * group),
    a: take(group),
    packed: take(group),
    lanes: take(MAX_LANES * group),
  };
  return { regions: { ...constants, secrets, ...scratch, end }, moduli, bytes: end };
}
