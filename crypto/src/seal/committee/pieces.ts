/**
 * Who holds which piece of a secret that any `threshold` of `members` can use: replicated sharing (Ito, Saito and Nishizeki 1987), a
 * linear scheme of coefficients 0 and 1 (Boneh et al. 2018, section 5). There is a piece for every set of threshold - 1 members, whom it is
 * kept from; the secret is the sum of all. Whoever lacks a member of the quorum lacks one piece at least, and a quorum has all.
 *
 * Shamir's sharing is smaller and does not do: Lagrange's coefficients are fractions. In 2 of 3, member 3 multiplies what 1 says to it by
 * the denominator 3, and reads the noise of the sum modulo 3 behind a noise that has become a multiple of it.
 */

/** The sets that pieces are kept from, numbers from 1, in lexical order. */
export function piecesOf(members: number, threshold: number): readonly (readonly number[])[] {
  return subsets(1, members, threshold - 1);
}

/** Places, in {@link piecesOf}, of what a member holds. */
export function heldBy(number: number, pieces: readonly (readonly number[])[]): number[] {
  return pieces.flatMap((without, place) => (without.includes(number) ? [] : [place]));
}

/** Of what a member holds, what it answers for in a quorum: every piece has one member that does, the first that has it. */
export function answeredBy(
  number: number,
  quorum: readonly number[],
  pieces: readonly (readonly number[])[],
): number[] {
  return heldBy(number, pieces).filter((place) => quorum.find((other) => !pieces[place]!.includes(other)) === number);
}

/** Pieces of one member: as many as there are sets of threshold - 1 among the others. */
export function piecesOfMember(members: number, threshold: number): number {
  let count = 1;
  for (let i = 1; i < threshold; i++) count = (count * (members - i)) / i;
  return Math.round(count);
}

function subsets(from: number, to: number, size: number): number[][] {
  if (size === 0) return [[]];
  const found: number[][] = [];
  for (let first = from; first <= to - size + 1; first++) {
    for (const rest of subsets(first + 1, to, size - 1)) found.push([first, ...rest]);
  }
  return found;
}
