import { expect, test } from 'vitest';
import { answeredBy, heldBy, piecesOf, piecesOfMember } from '../../src/seal/committee/pieces.ts';

const committees = Array.from({ length: 7 }, (_, i) => i + 2).flatMap((members) =>
  Array.from({ length: members - 1 }, (_, i) => [members, i + 2] as const),
);

test.each(committees.filter(([members, threshold]) => 2 * threshold > members))(
  '%d members, threshold %d: a quorum has every piece once; all but one of a quorum lack exactly one, whoever they are',
  (members, threshold) => {
    const pieces = piecesOf(members, threshold);
    const numbers = Array.from({ length: members }, (_, i) => i + 1);
    for (const number of numbers) expect(heldBy(number, pieces)).toHaveLength(piecesOfMember(members, threshold));
    for (const quorum of chosen(numbers, threshold)) {
      const answered = quorum.flatMap((number) => answeredBy(number, quorum, pieces));
      expect(answered.toSorted((a, b) => a - b)).toEqual(pieces.map((_, place) => place));
    }
    for (const colluding of chosen(numbers, threshold - 1)) {
      const known = new Set(colluding.flatMap((number) => heldBy(number, pieces)));
      const unknown = pieces.flatMap((_, place) => (known.has(place) ? [] : [place]));
      // One unknown piece, that one member answers for with the coefficient 1: its noise stands before the noise of the sum as it is.
      expect(unknown).toHaveLength(1);
    }
  },
);

function chosen(from: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return from.flatMap((first, i) => chosen(from.slice(i + 1), size - 1).map((rest) => [first, ...rest]));
}
