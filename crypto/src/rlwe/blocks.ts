/** Coefficients of the four polynomials of a group go in blocks of 16: what the kernel packs, and adds up, at a time. */

/** Coefficients of a block, each of four polynomials. */
export const BLOCK_ROWS = 16;

/** Bytes of a block modulo one prime: 30 bits for each of 64 residues. */
export const PACKED_BLOCK_BYTES = 240;

/** Blocks that hold `length` entries, so many lanes to a coefficient. */
export function blocksFor(length: number, lanes: number): number {
  return Math.ceil(length / (4 * lanes * BLOCK_ROWS));
}
