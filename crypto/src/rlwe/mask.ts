/**
 * The RLWE mask of a long vector: key-homomorphic encryption as in ACORN (Bell et al., USENIX Security 2023, section 3) and Willow
 * (CRYPTO 2025). A client sends c = A s + T e + lanes(x) mod Q with a fresh short key s and fresh errors e; only s, one short vector
 * whatever the length of x, has to go through secure aggregation. Who knows the sum of all c and the sum of all s learns the sum of all
 * x, and nothing else that is not noise.
 *
 * No key can mask twice, because none can be handed in: every call of `mask` draws its own. The specification,
 * with its limits, is `docs/protocol/rlwe-mask.md`.
 */
import { concatBytes, utf8 } from '../bytes.ts';
import { Writer } from '../codec.ts';
import { DOMAINS } from '../domains.ts';
import { CryptoError } from '../errors.ts';
import { sha256 } from '../hash.ts';
import type { RandomSource } from '../random.ts';
import { kernelOf } from './kernel.ts';
import { keyStream, publicKeyStream } from '../key-stream.ts';
import type { KeyStream } from '../key-stream.ts';
import { groupsOf } from './layout.ts';
import { checkMasked, MaskedSum } from './masked-sum.ts';
import { encodeRlweParameters } from './parameters.ts';
import type { RlweParameters } from './parameters.ts';

/** A masked vector and its key, which does not print. */
export class MaskedVector {
  /** For everyone: `maskedBytes` of the parameters. */
  readonly masked: Uint8Array<ArrayBuffer>;
  readonly #key: Int32Array;

  constructor(masked: Uint8Array<ArrayBuffer>, key: Int32Array) {
    this.masked = masked;
    this.#key = key;
  }

  /** For secure aggregation alone: N coefficients, none beyond the bound of the ring's secret. Whoever has both has the vector. */
  get key(): Int32Array {
    return this.#key;
  }

  /** Overwrites the key, once its shares are on their way. */
  forgetKey(): void {
    this.#key.fill(0);
  }
}

export interface RlweMask {
  readonly parameters: RlweParameters;
  /**
   * Masks a vector under a key of its own. A second call, even with the same vector, is a second key: to repeat an upload, repeat its bytes.
   * @param room bytes to leave behind the masked vector in its buffer, for what is sent with it
   * @throws CryptoError `RLWE_VECTOR` when the length is another or an entry is too large
   */
  mask(vector: Uint32Array, random: RandomSource, room?: number): MaskedVector;
  /** Form only. @throws CryptoError `DECODE_TRUNCATED`, `DECODE_TRAILING`, `DECODE_INVALID` */
  check(masked: Uint8Array): void;
  sum(): MaskedSum;
  /**
   * The sum of the vectors, from the sum of their masked forms and the sum of their keys.
   * @throws CryptoError `RLWE_UNMASK` when the two do not belong together
   */
  unmask(sum: MaskedSum, keySum: Int32Array): Uint32Array;
}

/** Streams of the seed of a client. */
const KEY_STREAM = 0;
const ERROR_STREAM = 1;

/**
 * @param context everything that the parties must agree on and that makes the round unique: parties with different contexts get
 * different public polynomials, and a sum across them is refused by `unmask`
 */
export function rlweMask(parameters: RlweParameters, context: Uint8Array): RlweMask {
  const seed = publicSeed(parameters, context);
  return {
    parameters,
    mask: (vector, random, room = 0) => maskVector(parameters, seed, vector, random, room),
    check: (masked) => checkMasked(parameters, masked),
    sum: () => new MaskedSum(parameters),
    unmask: (sum, keySum) => unmaskSum(parameters, seed, sum, keySum),
  };
}

/** The seed of the public polynomials A. */
export function publicSeed(parameters: RlweParameters, context: Uint8Array): Uint8Array<ArrayBuffer> {
  const bound = new Writer().blob(encodeRlweParameters(parameters)).blob(context).finish();
  return sha256(concatBytes(utf8(DOMAINS.rlwePublic), Uint8Array.of(0)), bound);
}

function maskVector(
  parameters: RlweParameters,
  seed: Uint8Array,
  vector: Uint32Array,
  random: RandomSource,
  room: number,
): MaskedVector {
  const { length, maxValue, ring } = parameters;
  if (vector.length !== length) {
    throw new CryptoError('RLWE_VECTOR', `the vector has ${vector.length} entries, not ${length}`);
  }
  const secret = random.bytes(32);
  const { maskedBytes } = parameters;
  const masked = new Uint8Array(new ArrayBuffer(maskedBytes + room), 0, maskedBytes);
  const key = kernelOf(ring).secretly(parameters, (kernel) => {
    const drawn = kernel.sampleKey(keyStream(secret, KEY_STREAM, 0));
    kernel.putKey(drawn);
    let at = 0;
    for (const group of groupsOf(parameters)) {
      if (!kernel.putEntries(vector.subarray(group.from, group.to), group, maxValue)) {
        throw new CryptoError('RLWE_VECTOR', `an entry is above ${maxValue}`);
      }
      kernel.sampleErrors(keyStream(secret, ERROR_STREAM, group.index), group);
      ring.primes.forEach((_, j) => kernel.multiplyByKey(j, publicStream(seed, group.index, j), group));
      const packed = kernel.encrypt(group);
      masked.set(packed, at);
      at += packed.length;
    }
    return drawn;
  });
  secret.fill(0);
  return new MaskedVector(masked, key);
}

function unmaskSum(parameters: RlweParameters, seed: Uint8Array, sum: MaskedSum, keySum: Int32Array): Uint32Array {
  const { ring, length } = parameters;
  if (sum.parameters !== parameters) throw foreign('the sum was made with other parameters');
  const keyBound = sum.clients * ring.secret.bound;
  if (keySum.length !== ring.dimension || keySum.some((coefficient) => Math.abs(coefficient) > keyBound)) {
    throw foreign(`not the sum of ${sum.clients} keys`);
  }
  const vector = new Uint32Array(length);
  kernelOf(ring).secretly(parameters, (kernel) => {
    kernel.putKey(keySum);
    for (const group of groupsOf(parameters)) {
      const residues = sum.residues(group);
      for (let j = 0; j < ring.primes.length; j++) {
        kernel.multiplyByKey(j, publicStream(seed, group.index, j), group);
        kernel.subtractFrom(j, residues, group);
      }
      const entries = kernel.decode(2 * ring.error.bound * sum.clients, group);
      if (entries === undefined) throw foreign('the errors are larger than they can be');
      vector.set(entries.subarray(0, group.to - group.from), group.from);
    }
  });
  return vector;
}

/** A of a group modulo the j-th prime, in the transformed domain: coefficient i of polynomial k is the (4i + k)-th word that is accepted. */
export function publicStream(seed: Uint8Array, group: number, j: number): KeyStream {
  return publicKeyStream(seed, group, j);
}

function foreign(why: string): CryptoError {
  return new CryptoError('RLWE_UNMASK', why);
}
