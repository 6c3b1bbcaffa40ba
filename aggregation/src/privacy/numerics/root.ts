/** One-dimensional searches. All are deterministic: the same function gives the same bits. */

/** The integer k in (low, high] at which a monotone claim turns true; it is false at `low` and true at `high`. */
export function firstTrue(low: number, high: number, claim: (k: number) => boolean): number {
  let [no, yes] = [low, high];
  while (yes - no > 1) {
    const middle = no + Math.floor((yes - no) / 2);
    if (claim(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

export interface Bracket {
  readonly low: number;
  readonly high: number;
}

/**
 * Narrows the bracket of a decreasing function's zero (f(low) > 0 >= f(high)) until it is `relative` wide, by the Illinois variant of
 * regula falsi with a bisection where that is slow. What is returned still holds the zero.
 */
export function narrow(f: (x: number) => number, bracket: Bracket, relative: number): Bracket {
  let { low, high } = bracket;
  let [above, below] = [f(low), f(high)];
  let last = 0;
  for (let i = 0; i < 200 && high - low > relative * Math.abs(high); i++) {
    let x = (low * below - high * above) / (below - above);
    if (i % 3 === 2 || !(x > low && x < high)) x = low + (high - low) / 2;
    if (x <= low || x >= high) break;
    const value = f(x);
    if (value > 0) {
      [low, above] = [x, value];
      if (last === 1) below /= 2;
      last = 1;
    } else {
      [high, below] = [x, value];
      if (last === -1) above /= 2;
      last = -1;
    }
  }
  return { low, high };
}
