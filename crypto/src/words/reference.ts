/** The slow twins of the kernel of lanes: what it computes, on integers of any size. */
import type { Lanes } from './lanes.ts';

export function packReference(values: Uint32Array, { laneBits, lanesPerWord }: Lanes): BigUint64Array<ArrayBuffer> {
  return BigUint64Array.from({ length: Math.ceil(values.length / lanesPerWord) }, (_, word) =>
    Array.from(values.subarray(word * lanesPerWord, (word + 1) * lanesPerWord)).reduceRight(
      (bits, value) => (bits << BigInt(laneBits)) | BigInt(value),
      0n,
    ),
  );
}

export function unpackReference(words: BigUint64Array, { laneBits, lanesPerWord }: Lanes): Uint32Array | undefined {
  if (words.some((word) => word >> BigInt(laneBits * lanesPerWord) !== 0n)) return undefined;
  return Uint32Array.from({ length: words.length * lanesPerWord }, (_, lane) => {
    const bit = BigInt(laneBits * (lane % lanesPerWord));
    return Number(BigInt.asUintN(laneBits, words[Math.floor(lane / lanesPerWord)]! >> bit));
  });
}
