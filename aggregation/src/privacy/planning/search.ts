/** The nearest whole number that a claim holds at, on a line on which it is thought to turn true once. */
import { firstTrue } from '../numerics/root.ts';

/**
 * The first of `from + 1` to `most` at which the claim holds although it does not one before; null when it does not hold at `most` either.
 * Doubles its steps first: far numbers take long, and mostly the answer is near. The claim is false at `from`.
 */
export function firstAbove(from: number, most: number, claim: (at: number) => boolean): number | null {
  let [no, step] = [from, 1];
  while (no < most) {
    const next = Math.min(most, no + step);
    if (claim(next)) return firstTrue(no, next, claim);
    [no, step] = [next, 2 * step];
  }
  return null;
}
