/** Uniform numbers of a step, by a counter: the finaliser of MurmurHash3 over seed, step, stream and place. Not for secrets. */
export function uniformNumbers(size: number, seed: number, step: number, stream: number): Float32Array {
  const key = mix((Math.imul(stream, 0x9e3779b9) + mix((Math.imul(step, 0x7feb352d) + mix(seed)) | 0)) | 0);
  return Float32Array.from(
    { length: size },
    (_value, i) => (mix((key + Math.imul(i, 0x9e3779b9)) | 0) >>> 8) * 2 ** -24,
  );
}

function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
