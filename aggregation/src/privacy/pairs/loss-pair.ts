/**
 * A dominating pair (P, Q): no two neighbouring inputs give outputs with a larger hockey-stick divergence at any order (Zhu, Dong and
 * Wang 2022). Their composition is dominated by the product of the pairs, so nothing else about a
 * mechanism needs to be known.
 */
import type { Curve } from './curve.ts';

export interface LossPair {
  /** The discrete part: P has `masses[i]` where the privacy loss log(dP/dQ) is `losses[i]`. */
  readonly losses: Float64Array;
  readonly masses: Float64Array;
  readonly curves: readonly Curve[];
  /** What P has where Q has nothing: there the loss is infinite. */
  readonly infinite: number;
  /** When all losses are multiples of one number: that number. */
  readonly spacing: number | null;
}

/** Highest finite loss, infinite if there is none: a guarantee that holds with delta 0. */
export function highestLoss({ losses, curves, infinite }: LossPair): number {
  if (infinite > 0) return Infinity;
  let highest = -Infinity;
  for (const loss of losses) if (loss > highest) highest = loss;
  for (const curve of curves) highest = Math.max(highest, curve.highest);
  return highest;
}

export function atomPair(
  losses: readonly number[] | Float64Array,
  masses: readonly number[] | Float64Array,
  { infinite = 0, spacing = null }: { readonly infinite?: number; readonly spacing?: number | null } = {},
): LossPair {
  return { losses: Float64Array.from(losses), masses: Float64Array.from(masses), curves: [], infinite, spacing };
}

export function curvePair(
  curves: readonly Curve[],
  losses: readonly number[] = [],
  masses: readonly number[] = [],
): LossPair {
  return { losses: Float64Array.from(losses), masses: Float64Array.from(masses), curves, infinite: 0, spacing: null };
}

/** By pair: losses of the atoms, highest first, and P's mass from there on up. */
const TAILS = new WeakMap<LossPair, { readonly losses: Float64Array; readonly above: Float64Array }>();

/** A loss above which the atoms have at most `tail` of P together. */
export function atomLimit(pair: LossPair, tail: number): number {
  if (tail <= 0) return Infinity;
  let sorted = TAILS.get(pair);
  if (sorted === undefined) {
    const order = Array.from(pair.losses.keys()).sort((a, b) => pair.losses[b]! - pair.losses[a]!);
    let sum = 0;
    const above = Float64Array.from(order, (i) => (sum += pair.masses[i]!));
    sorted = { losses: Float64Array.from(order, (i) => pair.losses[i]!), above };
    TAILS.set(pair, sorted);
  }
  const first = sorted.above.findIndex((mass) => mass > tail);
  return first < 0 ? Infinity : sorted.losses[first]!;
}
