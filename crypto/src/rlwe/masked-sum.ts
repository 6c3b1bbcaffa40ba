/** The running sum of masked vectors: what a coordinator keeps of them. */
import { CryptoError } from '../errors.ts';
import type { Kernel } from './kernel.ts';
import { groupsOf, narrow, packedBytes } from './layout.ts';
import type { Group } from './layout.ts';
import type { RlweParameters } from './parameters.ts';

export class MaskedSum {
  readonly parameters: RlweParameters;
  readonly #kernel: Kernel;
  /** Four words for each coefficient, prime by prime, group by group. */
  readonly #residues: Uint32Array;
  #clients = 0;

  constructor(parameters: RlweParameters, kernel: Kernel) {
    const { ring } = parameters;
    this.parameters = parameters;
    this.#kernel = kernel;
    this.#residues = new Uint32Array(groupsOf(parameters).length * ring.primes.length * 4 * ring.dimension);
  }

  /** How many clients the sum holds. */
  get clients(): number {
    return this.#clients;
  }

  /**
   * Adds one masked vector, or the `bytes()` of another sum with the number of its clients. All or nothing.
   * @throws CryptoError `RLWE_LIMIT`, `DECODE_TRUNCATED`, `DECODE_TRAILING`, `DECODE_INVALID`
   */
  add(masked: Uint8Array, clients = 1): void {
    const total = this.#clients + clients;
    if (!Number.isInteger(clients) || clients < 1 || total > this.parameters.clients) {
      throw new CryptoError('RLWE_LIMIT', `${total} clients, at most ${this.parameters.clients} allowed`);
    }
    checkMasked(this.parameters, this.#kernel, masked);
    this.#kernel.exclusively(this.parameters, (kernel) => {
      eachBlock(this.parameters, masked, (group, j, packed) => {
        kernel.unpack(j, packed, group.width);
        kernel.addTo(this.residues(group, j), j);
      });
    });
    this.#clients = total;
  }

  /** The sum in the form of a masked vector, to be added to another one. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.parameters.maskedBytes);
    this.#kernel.exclusively(this.parameters, (kernel) => {
      eachBlock(this.parameters, bytes, (group, j, packed) => {
        kernel.residues(j).set(this.residues(group, j));
        narrow(packed, kernel.pack(j), group.width);
      });
    });
    return bytes;
  }

  /** A view on the residues of a group modulo the j-th prime. */
  residues({ index }: Group, j: number): Uint32Array {
    const { ring } = this.parameters;
    const size = 4 * ring.dimension;
    const at = (index * ring.primes.length + j) * size;
    return this.#residues.subarray(at, at + size);
  }
}

/** Refuses whatever is not the one spelling of a masked vector. @throws CryptoError `DECODE_TRUNCATED`, `DECODE_TRAILING`, `DECODE_INVALID` */
export function checkMasked(parameters: RlweParameters, kernel: Kernel, masked: Uint8Array): void {
  const { maskedBytes } = parameters;
  if (masked.length !== maskedBytes) {
    const code = masked.length < maskedBytes ? 'DECODE_TRUNCATED' : 'DECODE_TRAILING';
    throw new CryptoError(code, `a masked vector has ${maskedBytes} bytes, not ${masked.length}`);
  }
  kernel.exclusively(parameters, () => {
    eachBlock(parameters, masked, (group, j, packed) => {
      if (!kernel.unpack(j, packed, group.width)) {
        throw new CryptoError('DECODE_INVALID', 'a residue is not below its prime');
      }
    });
  });
}

/** Group by group, prime by prime: the packed words of each, as a view on the bytes where they are aligned. */
export function eachBlock(
  parameters: RlweParameters,
  bytes: Uint8Array,
  visit: (group: Group, j: number, packed: Uint32Array) => void,
): void {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  let at = aligned.byteOffset;
  for (const group of groupsOf(parameters)) {
    const size = packedBytes(parameters, group);
    for (let j = 0; j < parameters.ring.primes.length; j++, at += size) {
      visit(group, j, new Uint32Array(aligned.buffer, at, size / 4));
    }
  }
}
