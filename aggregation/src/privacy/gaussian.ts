/**
 * Gaussian releases without sampling, composed: one release with mu^2 the sum of the (sensitivity / deviation)^2, and delta in closed form (Balle and
 * Wang 2018, theorem 8): delta(eps) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu).
 */
import { scaledTailDifference, upperTail } from './numerics/normal.ts';
import { narrow } from './numerics/root.ts';

export function gaussianDelta(mu: number, epsilon: number): number {
  if (mu === 0) return 0;
  const [near, far] = [epsilon / mu - mu / 2, epsilon / mu + mu / 2];
  // e^eps phi(far) = phi(near): both terms share the factor e^{-near^2/2}, and nothing overflows.
  if (near >= 0) return Math.exp(-0.5 * near * near) * scaledTailDifference(near, far);
  return Math.max(0, upperTail(near) - Math.exp(epsilon) * upperTail(far));
}

export function gaussianEpsilon(mu: number, delta: number): number {
  const gapAt = (epsilon: number): number => Math.log(gaussianDelta(mu, epsilon) / delta);
  if (mu === 0 || gapAt(0) <= 0) return 0;
  let [low, high] = [0, mu * (mu / 2 + 1)];
  while (gapAt(high) > 0) [low, high] = [high, 2 * high];
  return narrow(gapAt, { low, high }, 1e-15).high;
}
