/** The running sum of masked vectors: what a coordinator keeps of them. */
import { CryptoError } from '../errors.ts';
import { PACKED_BLOCK_BYTES } from './blocks.ts';
import { instantiateKernel, writeModuli } from './kernel.ts';
import type { Group } from './layout.ts';
import type { RlweParameters } from './parameters.ts';
import type { Ring } from './ring.ts';

export class MaskedSum {
  readonly parameters: RlweParameters;
  /** The residues lie in a memory of the sum's own, where the kernel adds without copying them. */
  readonly #adder: Adder;
  #clients = 0;

  constructor(parameters: RlweParameters) {
    this.parameters = parameters;
    this.#adder = newAdder(parameters.ring, parameters.blocks);
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
    if (!this.#adder.accumulate(masked)) {
      this.#adder.retract(masked);
      throw residueTooLarge();
    }
    this.#clients = total;
  }

  /** The sum in the form of a masked vector, to be added to another one. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#adder.packed();
  }

  /** A view on the residues of a group, block by block, prime by prime. */
  residues({ firstBlock, blocks }: Group): Uint32Array {
    return this.#adder.residues(firstBlock, blocks);
  }
}

/** Room for the residues of some blocks modulo every prime, and for some that are packed. */
interface Adder {
  /** Adds all of it; whether its residues were below their primes. */
  accumulate(masked: Uint8Array): boolean;
  retract(masked: Uint8Array): void;
  check(masked: Uint8Array): boolean;
  residues(firstBlock: number, blocks: number): Uint32Array;
  packed(): Uint8Array<ArrayBuffer>;
}

/** Blocks that are taken in at once: what they are packed in, and what they are added to, stay in the second-level cache. */
const PART_BLOCKS = 16;

function newAdder({ primes }: Ring, blocks: number): Adder {
  const k = primes.length;
  const sumBytes = 256 * k;
  const packedBytes = PACKED_BLOCK_BYTES * k;
  const moduliAt = 1024;
  const packedAt = moduliAt + 1024;
  const sumAt = packedAt + PART_BLOCKS * packedBytes;
  const { exports, memory } = instantiateKernel(sumAt + blocks * sumBytes);
  writeModuli(new Uint32Array(memory, moduliAt, 2 * k), primes);
  const all = new Uint8Array(memory);
  /** Part by part; false when one of them was. */
  const inParts = (masked: Uint8Array, visit: (sum: number, count: number) => boolean): boolean => {
    const count = masked.length / packedBytes;
    let holds = true;
    for (let block = 0; block < count; block += PART_BLOCKS) {
      const length = Math.min(PART_BLOCKS, count - block);
      all.set(masked.subarray(block * packedBytes, (block + length) * packedBytes), packedAt);
      holds = visit(sumAt + block * sumBytes, length) && holds;
    }
    return holds;
  };
  return {
    accumulate: (masked) =>
      inParts(masked, (sum, count) => exports.accumulate(sum, packedAt, count, moduliAt, k) !== 0),
    retract: (masked) =>
      void inParts(masked, (sum, count) => (exports.retract(sum, packedAt, count, moduliAt, k), true)),
    check: (masked) => inParts(masked, (_, count) => exports.check(packedAt, count, moduliAt, k) !== 0),
    residues: (firstBlock, count) => new Uint32Array(memory, sumAt + firstBlock * sumBytes, (count * sumBytes) / 4),
    packed: () => {
      const bytes = new Uint8Array(blocks * packedBytes);
      for (let block = 0; block < blocks; block += PART_BLOCKS) {
        const length = Math.min(PART_BLOCKS, blocks - block);
        exports.pack(packedAt, sumAt + block * sumBytes, length * k);
        bytes.set(all.subarray(packedAt, packedAt + length * packedBytes), block * packedBytes);
      }
      return bytes;
    },
  };
}

/** A check needs no sum, and one of each ring is enough. */
const checkers = new WeakMap<Ring, Adder>();

/** Refuses whatever is not the one spelling of a masked vector. @throws CryptoError `DECODE_TRUNCATED`, `DECODE_TRAILING`, `DECODE_INVALID` */
export function checkMasked(parameters: RlweParameters, masked: Uint8Array): void {
  checkLength(parameters, masked);
  const { ring } = parameters;
  const checker = checkers.get(ring) ?? newAdder(ring, 0);
  checkers.set(ring, checker);
  if (!checker.check(masked)) throw residueTooLarge();
}

function checkLength({ maskedBytes }: RlweParameters, masked: Uint8Array): void {
  if (masked.length === maskedBytes) return;
  const code = masked.length < maskedBytes ? 'DECODE_TRUNCATED' : 'DECODE_TRAILING';
  throw new CryptoError(code, `a masked vector has ${maskedBytes} bytes, not ${masked.length}`);
}

function residueTooLarge(): CryptoError {
  return new CryptoError('DECODE_INVALID', 'a residue is not below its prime');
}
