/** One step needs no contour: delta(epsilon) = P(L > epsilon) - e^epsilon Q(L > epsilon). The infinite part is left out. */
import type { LossPair } from '../pairs/loss-pair.ts';

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
