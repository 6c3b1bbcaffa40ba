/**
 * Lanes packed into 64-bit words, masked and added as whole words (Bonawitz et al. 2017, with Z_2^64 for the group). Lanes
 * have headroom for the sum, and the carries of the masks cancel with the masks, so any lane width will do. A mask is a
 * key stream as it comes: nothing is reduced, so nothing is biased.
 */
export interface WordLanes {
  /** Lanes in all. */
  readonly count: number;
  readonly laneBits: number;
  readonly lanesPerWord: number;
}

type Words = BigUint64Array<ArrayBuffer>;

export function wordCount({ count, lanesPerWord }: WordLanes): number {
  return Math.ceil(count / lanesPerWord);
}

export function packLanes(values: Uint32Array, { lanesPerWord, laneBits, count }: WordLanes): Words {
  const halves = new Uint32Array(2 * Math.ceil(count / lanesPerWord));
  let lane = 0;
  for (let at = 0; at < halves.length; at += 2) {
    for (let bit = 0; bit < lanesPerWord * laneBits && lane < values.length; bit += laneBits) {
      const value = values[lane++]!;
      if (bit < 32) halves[at]! |= value << bit;
      if (bit >= 32) halves[at + 1]! |= value << (bit - 32);
      else if (bit + laneBits > 32) halves[at + 1]! |= value >>> (32 - bit);
    }
  }
  return new BigUint64Array(halves.buffer);
}

/** Undefined when a bit is set outside of the lanes: above the last of a word, or after the last of all. */
export function unpackLanes(words: Words, { lanesPerWord, laneBits, count }: WordLanes): Uint32Array | undefined {
  const halves = new Uint32Array(words.buffer);
  const lanes = new Uint32Array(words.length * lanesPerWord);
  const mask = laneBits === 32 ? 0xffff_ffff : 2 ** laneBits - 1;
  let stray = 0;
  let lane = 0;
  for (let at = 0; at < halves.length; at += 2) {
    const low = halves[at]!;
    const high = halves[at + 1]!;
    for (let bit = 0; bit < lanesPerWord * laneBits; bit += laneBits) lanes[lane++] = bitsFrom(low, high, bit) & mask;
    stray |= bitsFrom(low, high, lanesPerWord * laneBits);
  }
  return stray === 0 && lanes.subarray(count).every((rest) => rest === 0) ? lanes.subarray(0, count) : undefined;
}

/** 32 bits of `high:low` from `bit` up, which may be 64: shifts count modulo 32. */
function bitsFrom(low: number, high: number, bit: number): number {
  if (bit >= 64) return 0;
  if (bit >= 32) return high >>> (bit - 32);
  return bit === 0 ? low : (low >>> bit) | (high << (32 - bit));
}
