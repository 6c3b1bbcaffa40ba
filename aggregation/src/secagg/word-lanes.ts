/**
 * Lanes packed into 64-bit words, masked and added as whole words (Bonawitz et al. 2017, with Z_2^64 for the group). Lanes
 * have headroom for the sum, and the carries of the masks cancel with the masks, so any lane width will do. A mask is a
 * key stream as it comes: nothing is reduced, so nothing is biased.
 */
import { packLanes, unpackLanes as unpackWords } from '@carapace/crypto';
import type { Lanes } from '@carapace/crypto';

export { packLanes };

export interface WordLanes extends Lanes {
  /** Lanes in all. */
  readonly count: number;
}

export function wordCount({ count, lanesPerWord }: WordLanes): number {
  return Math.ceil(count / lanesPerWord);
}

/** Undefined when a bit is set outside of the lanes: above the last of a word, or after the last of all. */
export function unpackLanes(words: BigUint64Array, form: WordLanes): Uint32Array | undefined {
  const lanes = unpackWords(words, form);
  return lanes?.subarray(form.count).every((rest) => rest === 0) ? lanes.subarray(0, form.count) : undefined;
}
