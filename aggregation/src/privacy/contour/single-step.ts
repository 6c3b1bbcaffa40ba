/** One step needs no contour: delta(epsilon) = P(L > epsilon) - e^epsilon Q(L > epsilon). */
import { UNIT } from '../numerics/normal.ts';
import type { LossPair } from '../pairs/loss-pair.ts';
import type { Composition, Term } from './composition.ts';

/** The one step of a composition that has no more. */
export function singleStep(composition: Composition): Term | undefined {
  const [first, ...others] = composition;
  return others.length === 0 && first?.count === 1 ? first : undefined;
}

/**
 * {@link singleStepDelta} with the infinite part, and with every rounding error added: those of the masses, and that the place where the loss
 * is epsilon is off by some u, which misses no more than that part of P.
 */
export function singleStepBound({ pair }: { readonly pair: LossPair }, epsilon: number): number {
  let [delta, scale] = [pair.infinite, 0];
  for (let i = 0; i < pair.losses.length; i++) {
    if (!(pair.losses[i]! > epsilon - 64 * UNIT)) continue;
    delta += Math.max(
      0,
      -pair.masses[i]! * Math.expm1(epsilon - 64 * UNIT * (1 + Math.abs(epsilon)) - pair.losses[i]!),
    );
    scale += pair.masses[i]!;
  }
  const masses = { p: 0, q: 0, pError: 0, qError: 0 };
  for (const curve of pair.curves) {
    if (epsilon >= curve.highest) continue;
    const place = curve.edgeAt(curve.placeOf(epsilon, curve.greatestCentre));
    curve.massBetween(place, curve.edgeAt(curve.range.to), masses);
    delta += masses.p + masses.pError - Math.exp(epsilon) * Math.max(0, masses.q - masses.qError);
    scale += masses.p;
  }
  return Math.min(1, Math.max(0, delta) + (256 + 4 * pair.losses.length) * UNIT * (1 + epsilon) * scale);
}

/** The infinite part is left out. */
export function singleStepDelta({ pair }: { readonly pair: LossPair }, epsilon: number): number {
  let delta = 0;
  for (let i = 0; i < pair.losses.length; i++) {
    if (pair.losses[i]! > epsilon) delta -= pair.masses[i]! * Math.expm1(epsilon - pair.losses[i]!);
  }
  const masses = { p: 0, q: 0, pError: 0, qError: 0 };
  for (const curve of pair.curves) {
    if (epsilon >= curve.highest) continue;
    const place = curve.edgeAt(curve.placeOf(epsilon, curve.greatestCentre));
    curve.massBetween(place, curve.edgeAt(curve.range.to), masses);
    delta += masses.p - Math.exp(epsilon) * masses.q;
  }
  return Math.max(0, delta);
}
