/**
 * Where entries and residues lie. Polynomials go in groups of four, the last of one to four: its width. In a group of width w, entry
 * (i R + r) w + k is lane r of coefficient i of polynomial k. The kernel always works on four, so a narrow group is widened with zeros.
 */
import type { RlweParameters } from './parameters.ts';

export interface Group {
  readonly index: number;
  /** Polynomials in the group, 1 to 4. */
  readonly width: number;
  /** Entries of the vector: those of the last group may end before its room does. */
  readonly from: number;
  readonly to: number;
}

export function groupsOf({ polynomials, lanes, length, ring }: RlweParameters): Group[] {
  const room = 4 * lanes * ring.dimension;
  return Array.from({ length: Math.ceil(polynomials / 4) }, (_, index) => ({
    index,
    width: Math.min(4, polynomials - 4 * index),
    from: index * room,
    to: Math.min(length, (index + 1) * room),
  }));
}

/** Bytes of one group modulo one prime, packed. */
export function packedBytes({ ring }: RlweParameters, { width }: Group): number {
  return (width * ring.dimension * 30) / 8;
}

/** Writes `from` into the first `width` of every four words; the others become 0, and so does what `from` does not reach. */
export function widen(to: Uint32Array, from: Uint32Array, width: number): void {
  if (width === 4) {
    to.set(from);
    to.fill(0, from.length);
    return;
  }
  to.fill(0);
  for (let i = 0, at = 0; i < from.length; i++) {
    to[at] = from[i]!;
    at += at % 4 === width - 1 ? 5 - width : 1;
  }
}

/** The inverse: the first `width` of every four words, until `to` is full. */
export function narrow(to: Uint32Array, from: Uint32Array, width: number): void {
  if (width === 4) to.set(from.subarray(0, to.length));
  else {
    for (let i = 0, at = 0; i < to.length; i++) {
      to[i] = from[at]!;
      at += at % 4 === width - 1 ? 5 - width : 1;
    }
  }
}

/** Zeros in the words that no polynomial of the group uses. */
export function clearUnused(words: Uint32Array, width: number): void {
  for (let k = width; k < 4; k++) for (let at = k; at < words.length; at += 4) words[at] = 0;
}
