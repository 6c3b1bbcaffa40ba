/**
 * Where entries and residues lie. Polynomials go in groups of four; entry 4 (i R + r) + k of a group is lane r of coefficient i of polynomial k.
 * Coefficients go in blocks of 16, and a masked vector ends with the last block that carries an entry: the coefficients of the last group
 * after it are never sent, because nothing of the sum is in them.
 */
import { BLOCK_ROWS } from './blocks.ts';
import type { RlweParameters } from './parameters.ts';

export interface Group {
  readonly index: number;
  /** Entries of the vector: those of the last group may end before its room does. */
  readonly from: number;
  readonly to: number;
  /** The first of its blocks, and how many it has. */
  readonly firstBlock: number;
  readonly blocks: number;
}

export function groupsOf({ blocks, lanes, length, ring }: RlweParameters): Group[] {
  const full = ring.dimension / BLOCK_ROWS;
  const room = 4 * lanes * ring.dimension;
  return Array.from({ length: Math.ceil(blocks / full) }, (_, index) => ({
    index,
    from: index * room,
    to: Math.min(length, (index + 1) * room),
    firstBlock: index * full,
    blocks: Math.min(full, blocks - index * full),
  }));
}
