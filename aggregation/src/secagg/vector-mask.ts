/**
 * How a vector of lanes is hidden and the sum of hidden vectors opened. The protocol around it (keys, shares, survivors)
 * is the same for every mode: a mode takes seeds and gives bytes.
 */

/** `words`: pairwise masks over the whole vector in Z_2^64. */
export type MaskMode = 'words';

/** A mask seed and the sign with which its mask stands in a client's input. */
export interface SignedSeed {
  readonly seed: Uint8Array;
  readonly sign: 1 | -1;
}

export interface VectorMask {
  readonly mode: MaskMode;
  /** Length of one masked vector; an input of any other length is refused. */
  readonly payloadBytes: number;
  /** @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE` */
  mask(lanes: Uint32Array, seeds: readonly SignedSeed[]): Uint8Array<ArrayBuffer>;
  /**
   * The lane sums behind `payloads`, once the masks that did not cancel are taken away. Undefined when the result is no sum
   * of lanes. The payloads are read once, one at a time. @throws AggregationError `VECTOR_LENGTH`
   */
  open(payloads: Iterable<Uint8Array>, left: readonly SignedSeed[]): Uint32Array | undefined;
}
