/**
 * Mode `words`: lanes packed into 64-bit words, masked as whole words (Bonawitz et al. 2017, with Z_2^64 for the group).
 * Lanes have headroom for the sum, and the carries of the masks cancel with the masks, so any lane width will do.
 */
import { addMask, subtractMask } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { laneCount } from './quantiser.ts';
import type { LaneFormat } from './quantiser.ts';
import type { VectorMask } from './vector-mask.ts';

export function wordMask(format: LaneFormat): VectorMask {
  const words = Math.ceil(laneCount(format) / format.lanesPerWord);
  return {
    mode: 'words',
    payloadBytes: 8 * words,
    mask: (lanes, seeds) => {
      const packed = pack(lanes, words, format);
      for (const { seed, sign } of seeds) (sign > 0 ? addMask : subtractMask)(packed, seed);
      return new Uint8Array(packed.buffer);
    },
    open: (payloads, left) => {
      const sum = new BigUint64Array(words);
      for (const payload of payloads) addWords(sum, payload);
      for (const { seed, sign } of left) (sign > 0 ? subtractMask : addMask)(sum, seed);
      return unpack(sum, format);
    },
  };
}

function addWords(sum: BigUint64Array, payload: Uint8Array): void {
  if (payload.length !== sum.byteLength) {
    throw new AggregationError('VECTOR_LENGTH', `${payload.length} masked bytes, not ${sum.byteLength}`);
  }
  // A BigUint64Array needs bytes at a multiple of eight.
  const aligned = payload.byteOffset % 8 === 0 ? payload : Uint8Array.from(payload);
  const words = new BigUint64Array(aligned.buffer, aligned.byteOffset, sum.length);
  for (let i = 0; i < sum.length; i++) sum[i] = BigInt.asUintN(64, sum[i]! + words[i]!);
}

function pack(lanes: Uint32Array, words: number, format: LaneFormat): BigUint64Array<ArrayBuffer> {
  checkLanes(lanes, format);
  const { lanesPerWord, laneBits } = format;
  const halves = new Uint32Array(2 * words);
  let lane = 0;
  for (let at = 0; at < halves.length; at += 2) {
    for (let bit = 0; bit < lanesPerWord * laneBits && lane < lanes.length; bit += laneBits) {
      const value = lanes[lane++]!;
      if (bit < 32) halves[at]! |= value << bit;
      if (bit >= 32) halves[at + 1]! |= value << (bit - 32);
      else if (bit + laneBits > 32) halves[at + 1]! |= value >>> (32 - bit);
    }
  }
  return new BigUint64Array(halves.buffer);
}

/** Undefined when a bit is set outside of the lanes: above the last of a word, or after the last of all. */
function unpack(words: BigUint64Array<ArrayBuffer>, format: LaneFormat): Uint32Array | undefined {
  const { lanesPerWord, laneBits } = format;
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
  const count = laneCount(format);
  return stray === 0 && lanes.subarray(count).every((rest) => rest === 0) ? lanes.subarray(0, count) : undefined;
}

/** 32 bits of `high:low` from `bit` up, which may be 64: shifts count modulo 32. */
function bitsFrom(low: number, high: number, bit: number): number {
  if (bit >= 64) return 0;
  if (bit >= 32) return high >>> (bit - 32);
  return bit === 0 ? low : (low >>> bit) | (high << (32 - bit));
}

function checkLanes(lanes: Uint32Array, format: LaneFormat): void {
  const count = laneCount(format);
  if (lanes.length !== count) throw new AggregationError('VECTOR_LENGTH', `${lanes.length} lanes, not ${count}`);
  if (lanes.some((lane) => lane > format.laneMax)) {
    throw new AggregationError('QUANTISE_RANGE', `a lane holds more than ${format.laneMax}`);
  }
}
