/** Small integers in lanes of 64-bit words, from the low bits up; part by part in the kernel. `reference.ts` is the slow twin. */
import { CryptoError } from '../errors.ts';
import { FROM, PART_BYTES, TO, wordKernel } from './kernel.ts';

export interface Lanes {
  /** 1 to 32. */
  readonly laneBits: number;
  /** As many as fit, or fewer. */
  readonly lanesPerWord: number;
}

/** Values that do not fill the last word are followed by zeros. Each must be below 2^laneBits. @throws CryptoError `ENCODE_RANGE` */
export function packLanes(values: Uint32Array, lanes: Lanes): BigUint64Array<ArrayBuffer> {
  const { laneBits, lanesPerWord } = checked(lanes);
  const { exports, memory } = wordKernel();
  const words = new BigUint64Array(Math.ceil(values.length / lanesPerWord));
  const part = partOf(lanesPerWord);
  for (let at = 0; at < words.length; at += part) {
    const count = Math.min(part, words.length - at);
    const from = new Uint32Array(memory, FROM, count * lanesPerWord);
    const some = values.subarray(at * lanesPerWord, (at + count) * lanesPerWord);
    from.set(some);
    from.fill(0, some.length);
    exports.pack(TO, FROM, count, lanesPerWord, laneBits);
    words.set(new BigUint64Array(memory, TO, count), at);
  }
  wipe(memory);
  return words;
}

/** All lanes of the words; undefined when a bit is set above those of a word. @throws CryptoError `ENCODE_RANGE` */
export function unpackLanes(words: BigUint64Array, lanes: Lanes): Uint32Array<ArrayBuffer> | undefined {
  const { laneBits, lanesPerWord } = checked(lanes);
  const { exports, memory } = wordKernel();
  const values = new Uint32Array(words.length * lanesPerWord);
  const part = partOf(lanesPerWord);
  let isClean = true;
  for (let at = 0; at < words.length; at += part) {
    const count = Math.min(part, words.length - at);
    new BigUint64Array(memory, FROM, count).set(words.subarray(at, at + count));
    isClean = exports.unpack(TO, FROM, count, lanesPerWord, laneBits) !== 0 && isClean;
    values.set(new Uint32Array(memory, TO, count * lanesPerWord), at * lanesPerWord);
  }
  wipe(memory);
  return isClean ? values : undefined;
}

/** Words of which the lanes have room in the kernel. */
function partOf(lanesPerWord: number): number {
  return Math.floor(PART_BYTES / (4 * Math.max(2, lanesPerWord)));
}

function wipe(memory: ArrayBuffer): void {
  new Uint8Array(memory, TO, PART_BYTES).fill(0);
  new Uint8Array(memory, FROM, PART_BYTES).fill(0);
}

function checked(lanes: Lanes): Lanes {
  const { laneBits, lanesPerWord } = lanes;
  const fits = laneBits >= 1 && laneBits <= 32 && lanesPerWord >= 1 && laneBits * lanesPerWord <= 64;
  if (!Number.isInteger(laneBits) || !Number.isInteger(lanesPerWord) || !fits) {
    throw new CryptoError('ENCODE_RANGE', `${lanesPerWord} lanes of ${laneBits} bits in a word of 64`);
  }
  return lanes;
}
