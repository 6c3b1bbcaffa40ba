/** Gamma variates: Marsaglia and Tsang, ACM TOMS 26(3), 2000; below shape 1 by their boost with U^(1/shape). */
import type { SeededRandom } from '../seeded-random.ts';

export function gamma(random: SeededRandom, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.uniform();
    if (Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** A symmetric Dirichlet vector: not negative, sums to 1. */
export function dirichlet(random: SeededRandom, alpha: number, length: number): number[] {
  const parts = Array.from({ length }, () => gamma(random, alpha));
  const sum = parts.reduce((total, part) => total + part, 0);
  // With a tiny alpha every part can underflow to zero: then one of them, any, has everything.
  if (sum === 0) {
    const winner = Math.floor(random.uniform() * length);
    return parts.map((_part, index) => (index === winner ? 1 : 0));
  }
  return parts.map((part) => part / sum);
}

/** Box and Muller 1958. */
function normal(random: SeededRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}
