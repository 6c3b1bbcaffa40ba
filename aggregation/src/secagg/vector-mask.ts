/**
 * How a vector of lanes is hidden and the sum of hidden vectors opened. The protocol around it (keys, shares, survivors)
 * is the same for every mode: a mode takes seeds and gives bytes.
 */
import type { RandomSource, SignedSeed } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';

export type { SignedSeed };

/** In the order of their codes on the wire. */
export const MASK_MODES = ['words', 'rlwe'] as const;

/**
 * `words`: pairwise masks over the whole vector in Z_2^64.
 * `rlwe`: the vector under a key of its own, with pairwise masks over that key alone.
 */
export type MaskMode = (typeof MASK_MODES)[number];

export interface VectorMask {
  readonly mode: MaskMode;
  /** Length of one masked vector; an input of any other length is refused. */
  readonly payloadBytes: number;
  /**
   * A second call need not give the same bytes: to repeat an upload, repeat its bytes.
   * @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE`
   */
  mask(lanes: Uint32Array, seeds: readonly SignedSeed[], random: RandomSource): Uint8Array<ArrayBuffer>;
  /** Whether a payload is one that `mask` could have written. About what is under the mask it says nothing. */
  accepts(payload: Uint8Array): boolean;
  /** An empty sum, for a coordinator that adds up as the payloads arrive. */
  sum(): PayloadSum;
  /**
   * The lane sums behind `payloads`, once the masks that did not cancel are taken away. Undefined when the result is no sum
   * of lanes. The payloads are read once, one at a time. @throws AggregationError `VECTOR_LENGTH`
   */
  open(payloads: Iterable<Uint8Array>, left: readonly SignedSeed[]): Uint32Array | undefined;
}

/** Payloads added up, still masked. */
export interface PayloadSum {
  /** How many were added. */
  readonly inputs: number;
  /**
   * Adds all of a payload; or nothing and false, when it is not one that `mask` could have written.
   * @throws AggregationError `VECTOR_LENGTH`
   */
  add(payload: Uint8Array): boolean;
  /** The lane sums, as {@link VectorMask.open} gives them. The sum is not changed. */
  open(left: readonly SignedSeed[]): Uint32Array | undefined;
}

/** @throws AggregationError `VECTOR_LENGTH` */
export function checkLength(payload: Uint8Array, expected: number): void {
  if (payload.length !== expected) {
    throw new AggregationError('VECTOR_LENGTH', `${payload.length} masked bytes, not ${expected}`);
  }
}

/** {@link VectorMask.open} in terms of a sum. */
export function openPayloads(
  sum: PayloadSum,
  payloads: Iterable<Uint8Array>,
  left: readonly SignedSeed[],
): Uint32Array | undefined {
  for (const payload of payloads) if (!sum.add(payload)) return undefined;
  return sum.open(left);
}
