/** The running sum of masked vectors: what a coordinator keeps of them. */
import { CryptoError } from '../errors.ts';
import { instantiateKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { eachBlock, groupsOf } from './layout.ts';
import type { Group } from './layout.ts';
import type { RlweParameters } from './parameters.ts';

export class MaskedSum {
  readonly parameters: RlweParameters;
  readonly #kernel: Kernel;
  /** The residues lie in a memory of the sum's own, where the kernel adds without copying them. */
  readonly #adder: Adder;
  #clients = 0;

  constructor(parameters: RlweParameters, kernel: Kernel) {
    this.parameters = parameters;
    this.#kernel = kernel;
    this.#adder = newAdder(parameters, groupsOf(parameters).length * parameters.ring.primes.length);
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
    checkLength(this.parameters, masked);
    let fits = true;
    this.#eachBlock(masked, (at, group, prime) => {
      fits = this.#adder.accumulate(at, prime, group.width) && fits;
    });
    if (!fits) {
      this.#eachBlock(masked, (at, group, prime) => this.#adder.retract(at, prime, group.width));
      throw residueTooLarge();
    }
    this.#clients = total;
  }

  /** The sum in the form of a masked vector, to be added to another one. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.parameters.maskedBytes);
    this.#kernel.exclusively(this.parameters, (kernel) => {
      eachBlock(this.parameters, bytes, (group, j, packed) => {
        kernel.residues(j).set(this.residues(group, j));
        packed.set(kernel.pack(j, group.width));
      });
    });
    return bytes;
  }

  /** A view on the residues of a group modulo the j-th prime. */
  residues({ index }: Group, j: number): Uint32Array {
    return this.#adder.residues(index * this.parameters.ring.primes.length + j);
  }

  #eachBlock(masked: Uint8Array, visit: (at: number, group: Group, prime: number) => void): void {
    const { primes } = this.parameters.ring;
    eachBlock(this.parameters, masked, (group, j, packed) => {
      this.#adder.put(packed);
      visit(group.index * primes.length + j, group, primes[j]!);
    });
  }
}

/** Room for the residues of `blocks` groups and primes, and for one packed block. */
interface Adder {
  put(packed: Uint32Array): void;
  /** Adds what was put; whether its residues were below the prime. */
  accumulate(block: number, prime: number, width: number): boolean;
  retract(block: number, prime: number, width: number): void;
  check(prime: number, width: number): boolean;
  residues(block: number): Uint32Array;
}

function newAdder({ ring }: RlweParameters, blocks: number): Adder {
  const n = ring.dimension;
  const blockBytes = 16 * n;
  const packedAt = 1024;
  const sumAt = packedAt + blockBytes;
  const { exports, memory } = instantiateKernel(sumAt + blocks * blockBytes);
  const at = (block: number): number => sumAt + block * blockBytes;
  return {
    put: (packed) => new Uint32Array(memory, packedAt, packed.length).set(packed),
    accumulate: (block, prime, width) => exports.accumulate(at(block), packedAt, n, prime, width) !== 0,
    retract: (block, prime, width) => exports.retract(at(block), packedAt, n, prime, width),
    check: (prime, width) => exports.check(packedAt, n, prime, width) !== 0,
    residues: (block) => new Uint32Array(memory, at(block), blockBytes / 4),
  };
}

/** A check needs no sum, and one of each ring is enough. */
const checkers = new WeakMap<RlweParameters['ring'], Adder>();

/** Refuses whatever is not the one spelling of a masked vector. @throws CryptoError `DECODE_TRUNCATED`, `DECODE_TRAILING`, `DECODE_INVALID` */
export function checkMasked(parameters: RlweParameters, masked: Uint8Array): void {
  checkLength(parameters, masked);
  const { ring } = parameters;
  const checker = checkers.get(ring) ?? newAdder(parameters, 0);
  checkers.set(ring, checker);
  eachBlock(parameters, masked, (group, j, packed) => {
    checker.put(packed);
    if (!checker.check(ring.primes[j]!, group.width)) throw residueTooLarge();
  });
}

function checkLength({ maskedBytes }: RlweParameters, masked: Uint8Array): void {
  if (masked.length === maskedBytes) return;
  const code = masked.length < maskedBytes ? 'DECODE_TRUNCATED' : 'DECODE_TRAILING';
  throw new CryptoError(code, `a masked vector has ${maskedBytes} bytes, not ${masked.length}`);
}

function residueTooLarge(): CryptoError {
  return new CryptoError('DECODE_INVALID', 'a residue is not below its prime');
}
