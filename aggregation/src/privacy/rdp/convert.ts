/** From a Renyi curve to epsilon and delta: Canonne, Kamath and Steinke 2020, proposition 12. */

/** Renyi divergence at an order above 1. */
export type RenyiCurve = (order: number) => number;

export interface Converted {
  readonly value: number;
  /** The order that gave it. */
  readonly order: number;
}

/** The epsilon that one order proves. */
export function epsilonAt(renyi: number, order: number, delta: number): number {
  // delta >= sqrt(1 - e^-KL) needs no epsilon (Bretagnolle and Huber), and KL is at most the divergence.
  if (delta * delta + Math.expm1(-renyi) > 0) return 0;
  return Math.max(0, renyi + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1));
}

/** log of the delta that one order proves. */
export function logDeltaAt(renyi: number, order: number, epsilon: number): number {
  const byTotalVariation = renyi > 0 ? 0.5 * Math.log(-Math.expm1(-renyi)) : -Infinity;
  const byOrder = (order - 1) * (renyi - epsilon + Math.log1p(-1 / order)) - Math.log(order);
  return Math.min(0, byTotalVariation, byOrder);
}

/** The best of the given orders. */
export function bestOf(orders: readonly number[], valueAt: (order: number) => number): Converted {
  let best: Converted = { value: Infinity, order: NaN };
  for (const order of orders) {
    const value = valueAt(order);
    if (value < best.value) best = { value, order };
  }
  return best;
}

/** order - 1 = 2^t for t in steps of a half: from nearly 1 to a million. */
const COARSE: readonly number[] = Array.from({ length: 61 }, (_, i) => 1 + 2 ** (i / 2 - 10));
const INTEGERS: readonly number[] = [
  ...Array.from({ length: 255 }, (_, i) => i + 2),
  ...Array.from({ length: 24 }, (_, i) => Math.round(256 * 2 ** ((i + 1) / 4))),
];

/** The best real order: coarsely by halves of powers of 2, then golden section between the neighbours of the best. */
export function bestReal(valueAt: (order: number) => number): Converted {
  const coarse = bestOf(COARSE, valueAt);
  if (!Number.isFinite(coarse.value)) return coarse;
  const exponent = Math.log2(coarse.order - 1);
  const at = (t: number): number => valueAt(1 + 2 ** t);
  let [low, high] = [exponent - 0.5, exponent + 0.5];
  const ratio = (Math.sqrt(5) - 1) / 2;
  for (let i = 0; i < 44; i++) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
    if (at(a) < at(b)) high = b;
    else low = a;
  }
  const order = 1 + 2 ** ((low + high) / 2);
  const value = valueAt(order);
  return value < coarse.value ? { value, order } : coarse;
}

/** The best whole order, for curves that are known at these only. */
export function bestInteger(valueAt: (order: number) => number): Converted {
  return bestOf(INTEGERS, valueAt);
}
