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

/** Group by group, prime by prime: the packed words of each, as a view on the bytes where they are aligned. */
export function eachBlock(
  parameters: RlweParameters,
  bytes: Uint8Array,
  visit: (group: Group, j: number, packed: Uint32Array) => void,
): void {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  let at = aligned.byteOffset;
  for (const group of groupsOf(parameters)) {
    const size = packedBytes(parameters, group);
    for (let j = 0; j < parameters.ring.primes.length; j++, at += size) {
      visit(group, j, new Uint32Array(aligned.buffer, at, size / 4));
    }
  }
}

/** Writes `from` into the first `width` of every four words; the others become 0, and so does what `from` does not reach. */
export function widen(to: Uint32Array, from: Uint32Array, width: number): void {
  if (width === 4) {
    to.set(from);
    to.fill(0, from.length);
    return;
  }
  to.fill(0);
  for (let i = 0, row = 0; i < from.length; i += width, row += 4) {
    const end = Math.min(width, from.length - i);
    for (let k = 0; k < end; k++) to[row + k] = from[i + k]!;
  }
}

/** The inverse: the first `width` of every four words, until `to` is full. */
export function narrow(to: Uint32Array, from: Uint32Array, width: number): void {
  if (width === 4) {
    to.set(from.subarray(0, to.length));
    return;
  }
  for (let i = 0, row = 0; i < to.length; i += width, row += 4) {
    const end = Math.min(width, to.length - i);
    for (let k = 0; k < end; k++) to[i + k] = from[row + k]!;
  }
}

/** Zeros in the words that no polynomial of the group uses. */
export function clearUnused(words: Uint32Array, width: number): void {
  for (let k = width; k < 4; k++) for (let at = k; at < words.length; at += 4) words[at] = 0;
}
