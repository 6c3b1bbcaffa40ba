/** Integers modulo 2^bits, and back to the ones nearest to 0. Widths are 1 to 32 bits. */

/** As lanes: the lowest bits of each. */
export function wrap(values: Int32Array<ArrayBuffer>, bits: number): Uint32Array<ArrayBuffer> {
  const lanes = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const mask = bits === 32 ? 0xffff_ffff : 2 ** bits - 1;
  for (let i = 0; i < lanes.length; i++) lanes[i]! &= mask;
  return lanes;
}

/** The integer in [-2^(bits-1), 2^(bits-1)) that each lane is congruent to. */
export function centre(lanes: Uint32Array, bits: number): Int32Array<ArrayBuffer> {
  const rest = 32 - bits;
  const values = new Int32Array(lanes.length);
  for (let i = 0; i < lanes.length; i++) values[i] = (lanes[i]! << rest) >> rest;
  return values;
}
