/** Optimal composition of a black box with that epsilon and delta, at multiples of epsilon0 (Kairouz, Oh and Viswanath 2015, theorem 3.3). */
export interface BlackBoxes {
  readonly epsilon: number;
  readonly delta: number;
  readonly count: number;
}

/** Infinite when no epsilon is enough. */
export function advancedComposition({ epsilon, delta, count }: BlackBoxes, total: number): number {
  const factors = [1];
  for (let l = 0; l < count; l++) factors.push((factors[l]! * (count - l)) / (l + 1));
  const norm = count * Math.log1p(Math.exp(epsilon));
  for (let i = Math.floor(count / 2); i >= 0; i--) {
    let sum = 0;
    for (let l = 0; l < i; l++) {
      sum += factors[l]! * (Math.exp(epsilon * (count - l) - norm) - Math.exp(epsilon * (count - 2 * i + l) - norm));
    }
    if (1 - (1 - delta) ** count * (1 - sum) <= total) return epsilon * (count - 2 * i);
  }
  return Infinity;
}
