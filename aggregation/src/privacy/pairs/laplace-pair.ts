/** Laplace noise: between the outermost centres the loss rises, beyond them it is constant, which makes two atoms. */
import { Curve } from './curve.ts';
import { curvePair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';
import { LAPLACE_NOISE } from './noise.ts';
import type { ShiftMixture } from './shift-mixture.ts';

export function laplacePair(scale: number, mixture: ShiftMixture): LossPair {
  const centres = [...mixture.p, ...mixture.q].map(({ centre }) => centre / scale);
  const corners = [...new Set(centres)].sort((a, b) => a - b);
  const curves: Curve[] = [];
  for (let i = 1; i < corners.length; i++) {
    curves.push(new Curve(LAPLACE_NOISE, scale, mixture, { from: corners[i - 1]!, to: corners[i]! }));
  }
  const [first, last] = [corners[0]!, corners.at(-1)];
  const below = new Curve(LAPLACE_NOISE, scale, mixture, { to: first });
  const above = new Curve(LAPLACE_NOISE, scale, mixture, { from: last });
  const losses = [below.lossAt(first), above.lossAt(last)];
  return curvePair(curves, losses, [massOf(below), massOf(above)]);
}

function massOf(curve: Curve): number {
  const masses = { p: 0, q: 0, pError: 0, qError: 0 };
  curve.massBetween(curve.edgeAt(curve.range.from), curve.edgeAt(curve.range.to), masses);
  return masses.p;
}
