/**
 * A cohort of fixed size, one person replaced. For every pair of neighbours and both orders of it, H_a is at most q times that of the full
 * mechanism at 1 + (a - 1) / q for a >= 1 (Balle, Barthe and Gaboardi 2018, theorem 9), and by the symmetry of the relation the
 * same curve mirrored bounds a < 1. So the pair is that of a removal where the loss is positive, that of an addition where it is negative,
 * and the rest of the mass without loss (Zhu, Dong and Wang 2022).
 */
import { Curve } from './curve.ts';
import { curvePair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';
import { GAUSSIAN_NOISE } from './noise.ts';
import { addition, coin, plainShift, removal } from './shift-mixture.ts';

/** @param scale deviation of the noise over the distance that a replacement moves the sum */
export function withoutReplacementPair(share: number, scale: number): LossPair {
  if (share === 1) return curvePair([new Curve(GAUSSIAN_NOISE, scale, plainShift(1))]);
  // Half-way between the centres the likelihoods are equal.
  const middle = 0.5 / scale;
  const gaining = new Curve(GAUSSIAN_NOISE, scale, removal(coin(share, 1)), { from: middle });
  const losing = new Curve(GAUSSIAN_NOISE, scale, addition(coin(share, 1)), { to: -middle });
  const masses = { p: 0, q: 0, pError: 0, qError: 0 };
  let rest = 1;
  for (const curve of [gaining, losing]) {
    curve.massBetween(curve.edgeAt(curve.range.from), curve.edgeAt(curve.range.to), masses);
    rest -= masses.p;
  }
  return curvePair([gaining, losing], [0], [Math.max(0, rest)]);
}
