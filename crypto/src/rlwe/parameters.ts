/**
 * What a round fixes about its mask: the ring, how many clients at most, the largest value of an entry, and how many entries. From
 * these follow how many lanes of how many bits a coefficient carries, such that the sum of all clients fits every lane and the sum of all
 * errors fits above the lanes. A combination for which that is impossible is refused here.
 */
import { Reader, Writer } from '../codec.ts';
import { CryptoError } from '../errors.ts';
import { blocksFor, PACKED_BLOCK_BYTES } from './blocks.ts';
import { bitLength, modulusOf, RLWE_RINGS } from './ring.ts';
import type { Ring, RlweRingName } from './ring.ts';

export interface RlweChoice {
  readonly ring: RlweRingName;
  /** How many masked vectors may be added, 2 to 2^20. */
  readonly clients: number;
  /** Entries are integers from 0 to this. */
  readonly maxValue: number;
  /** Entries of a vector, 1 to 2^27. */
  readonly length: number;
}

export interface RlweParameters {
  readonly ring: Ring;
  readonly clients: number;
  readonly maxValue: number;
  readonly length: number;
  /** L: bits of a lane. */
  readonly laneBits: number;
  /** R: lanes of a coefficient. T = 2^(L R) is what errors are multiplied by. */
  readonly lanes: number;
  /** Blocks of 16 coefficients of four polynomials that hold `length` entries. */
  readonly blocks: number;
  /** Bytes of a masked vector: 30 bits for each residue. */
  readonly maskedBytes: number;
}

/** Lanes that the kernel has room for. */
export const MAX_LANES = 24;
const MAX_LANE_BITS = 30;
const MAX_CLIENTS = 2 ** 20;
const MAX_LENGTH = 2 ** 27;
const MAX_NAME_BYTES = 32;

/** @throws CryptoError `RLWE_PARAMETERS` */
export function rlweParameters({ ring, ...rest }: RlweChoice): RlweParameters {
  if (!isRingName(ring)) throw refused('no such ring');
  return parametersIn(RLWE_RINGS[ring], rest);
}

/** As {@link rlweParameters}, in a ring that need not be one of the list: tests use small ones. */
export function parametersIn(ring: Ring, { clients, maxValue, length }: Omit<RlweChoice, 'ring'>): RlweParameters {
  checkInteger('clients', clients, 2, MAX_CLIENTS);
  checkInteger('maxValue', maxValue, 1, 2 ** MAX_LANE_BITS - 1);
  checkInteger('length', length, 1, MAX_LENGTH);
  const { lanes, laneBits } = lanesOf(ring, clients, maxValue);
  const blocks = blocksFor(length, lanes);
  const maskedBytes = blocks * ring.primes.length * PACKED_BLOCK_BYTES;
  return Object.freeze({ ring, clients, maxValue, length, lanes, laneBits, blocks, maskedBytes });
}

/** Both sides of a round derive the public polynomials from this very text of the parameters. */
export function encodeRlweParameters({ ring, clients, maxValue, length }: RlweParameters): Uint8Array<ArrayBuffer> {
  return new Writer().text(ring.name).u32(clients).u32(maxValue).u32(length).finish();
}

/** @throws CryptoError `DECODE_...`, `BYTES_NOT_UTF8`, `RLWE_PARAMETERS` */
export function decodeRlweParameters(bytes: Uint8Array): RlweParameters {
  const reader = new Reader(bytes);
  const ring = reader.text(MAX_NAME_BYTES) as RlweRingName;
  const choice = { ring, clients: reader.u32(), maxValue: reader.u32(), length: reader.u32() };
  reader.end();
  return rlweParameters(choice);
}

/** As many lanes as fit below the errors, each then as wide as fits. */
function lanesOf(ring: Ring, clients: number, maxValue: number): { readonly lanes: number; readonly laneBits: number } {
  const errorBits = bitLength(BigInt(clients) * 2n * BigInt(ring.error.bound));
  // 2^(bits of Q - 1) <= Q: what is below it needs no reduction.
  const free = bitLength(modulusOf(ring)) - 1 - errorBits;
  const least = bitLength(BigInt(clients) * BigInt(maxValue));
  const lanes = Math.min(MAX_LANES, Math.floor(free / least));
  if (lanes < 1 || least > widest(lanes)) {
    throw refused(`sums of ${least} bits do not fit the ring ${ring.name} with ${clients} clients`);
  }
  return { lanes, laneBits: Math.min(widest(lanes), Math.floor(free / lanes)) };
}

/** The lanes of a coefficient and its error add up to less than 2^32 in the kernel. */
function widest(lanes: number): number {
  return Math.min(MAX_LANE_BITS, 31 - Math.floor(Math.log2(lanes)) - ((lanes & (lanes - 1)) === 0 ? 0 : 1));
}

function isRingName(name: string): name is RlweRingName {
  return Object.hasOwn(RLWE_RINGS, name);
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw refused(`${name} is ${value}, not an integer from ${min} to ${max}`);
  }
}

function refused(why: string): CryptoError {
  return new CryptoError('RLWE_PARAMETERS', why);
}
