/**
 * Tails of the normal distribution to a few units in the last place, relative, as far down as binary64 reaches. The accountants
 * subtract such tails, so an absolute accuracy would not do: at delta = 1e-15 every mass that matters is far below 1e-16.
 *
 * erfc(z) = e^{-z^2} f(t) / (1 + 2z), t = (z - 3.75) / (z + 3.75), f smooth on [-1, 1] (Shepherd and Laframboise 1981). The Chebyshev
 * coefficients of f were computed with 60 digits; cut after the 29th they leave less than 1e-19.
 */
const COEFFICIENTS = [
  1.1775789345674017541, -0.0045900545806464773309, -0.084249133366517915584, 0.059209939998191890498,
  -0.026658668435305752277, 0.0090749976707052650939, -0.0024131635404176081909, 4.9077583652580863229e-4,
  -6.9169733025012063671e-5, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.1886401049234395661e-7,
  1.0764999465670910377e-8, 4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11,
  2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13, 3.2525481481487398415e-14,
  3.3478119482868053878e-14, -1.8645628804193131015e-15, -1.2507950530688647085e-15, 7.418235256624043463e-17,
  5.0681489047961113168e-17, -2.2370566594359995974e-18, -2.187342944303017665e-18, 2.6766327399258761745e-20,
  9.7365614017414507665e-20,
] as const;

/** Half the width of binary64's rounding, u: one operation errs by at most this, relative. */
export const UNIT: number = 2 ** -53;

/** e^{z^2} erfc(z) for z >= 0; relative error below 8 u. */
function scaledErfc(z: number): number {
  const t2 = (2 * (z - 3.75)) / (z + 3.75);
  let b1 = 0;
  let b2 = 0;
  for (let k = COEFFICIENTS.length - 1; k > 0; k--) {
    const b0 = t2 * b1 - b2 + COEFFICIENTS[k]!;
    b2 = b1;
    b1 = b0;
  }
  return (0.5 * t2 * b1 - b2 + COEFFICIENTS[0]) / (1 + 2 * z);
}

/** Beyond it binary64 has no number that small. */
const UNDERFLOW = 39;

/** P(X > x) of the standard normal. Relative error below (16 + 2 x^2) u for x > 0, 16 u below; tested against 50 digits. */
export function upperTail(x: number): number {
  if (x < 0) return 1 - upperTail(-x);
  if (x > UNDERFLOW) return 0;
  return 0.5 * scaledErfc(x * Math.SQRT1_2) * halfSquareExp(x);
}

/** e^{-x^2/2} without the rounding of the square: x is split so that the first square is exact. */
function halfSquareExp(x: number): number {
  const high = Math.fround(x);
  return Math.exp(-0.5 * high * high) * Math.exp(-0.5 * (x - high) * (x + high));
}

/** P(X > x) e^{x^2/2}, which neither under- nor overflows, for x >= 0. */
function scaledUpperTail(x: number): number {
  return 0.5 * scaledErfc(x * Math.SQRT1_2);
}

/** log P(X > x). */
export function logUpperTail(x: number): number {
  if (x < 1) return Math.log1p(-upperTail(-x));
  return Math.log(scaledUpperTail(x)) - 0.5 * x * x;
}

/** Least x with P(X > x) <= probability, to 1e-9; at most 1/2. Newton on the logarithm, which is concave: it comes from above. */
export function upperQuantile(probability: number): number {
  const wanted = Math.log(probability);
  if (!(wanted < -Math.LN2)) return 0;
  let x = Math.sqrt(-2 * wanted);
  for (let i = 0; i < 60; i++) {
    const step = (logUpperTail(x) - wanted) * millsRatio(x);
    x += step;
    if (Math.abs(step) < 1e-10 * (1 + x)) break;
  }
  return x + 1e-9;
}

/** P(X > x) / density(x). */
function millsRatio(x: number): number {
  return scaledUpperTail(Math.max(x, 0)) * Math.sqrt(2 * Math.PI);
}

/** P(X > a) e^{a^2/2} - P(X > b) e^{b^2/2}, for 0 <= a <= b. */
export function scaledTailDifference(a: number, b: number): number {
  return scaledUpperTail(a) - scaledUpperTail(b);
}
