/**
 * Where the contour runs. delta(epsilon) = 1/(2 pi i) integral of e^{K(s) - s epsilon} / (s (s + 1)) ds over Re s = c, any c > 0; the integrand
 * is largest on the real axis and falls off fastest along the line through its saddle (Lugannani and Rice 1980; Zhu, Dong and Wang 2022
 * for privacy). Saddles are looked for on the ladder c = 2^{i/16}, so that neighbouring queries share what was computed at them.
 */
import { firstTrue } from '../numerics/root.ts';
import { totalCumulant } from './composition.ts';
import type { Composition } from './composition.ts';
import type { Cumulant } from './cumulant.ts';

export interface Saddle {
  /** c = 2^{step/16}. */
  readonly step: number;
  readonly tilt: number;
  readonly cumulant: Cumulant;
  /** The epsilon whose saddle is at c, and log delta there by the saddle-point approximation. */
  readonly epsilon: number;
  readonly logDelta: number;
}

/** To a factor of 2. */
const RUNGS = 16;
const LOWEST = -20 * RUNGS;
const HIGHEST = 32 * RUNGS;

export function tiltOf(step: number): number {
  return 2 ** (step / RUNGS);
}

export function saddleAt(composition: Composition, step: number): Saddle {
  const tilt = tiltOf(step);
  const cumulant = totalCumulant(composition, tilt);
  const epsilon = cumulant.mean - 1 / tilt - 1 / (tilt + 1);
  const curvature = cumulant.variance + tilt ** -2 + (tilt + 1) ** -2;
  const logDelta =
    cumulant.value - tilt * epsilon - Math.log(tilt * (tilt + 1)) - 0.5 * Math.log(2 * Math.PI * curvature);
  return { step, tilt, cumulant, epsilon, logDelta };
}

/** The lowest rung whose log delta is not above the one wanted. */
export function saddleForDelta(composition: Composition, logDelta: number): Saddle {
  return saddleAt(
    composition,
    lowestRung((step) => saddleAt(composition, step).logDelta <= logDelta),
  );
}

/** The lowest rung whose epsilon is not below the one wanted. */
export function saddleForEpsilon(composition: Composition, epsilon: number): Saddle {
  return saddleAt(
    composition,
    lowestRung((step) => saddleAt(composition, step).epsilon >= epsilon),
  );
}

/** From c = 1 outwards by factors of 2, since far rungs are dear; then between the last two. */
function lowestRung(isReached: (step: number) => boolean): number {
  let step = 0;
  if (isReached(0)) {
    while (step > LOWEST && isReached(step - RUNGS)) step -= RUNGS;
    return step <= LOWEST ? LOWEST : firstTrue(step - RUNGS, step, isReached);
  }
  while (step < HIGHEST && !isReached(step + RUNGS)) step += RUNGS;
  return step >= HIGHEST ? HIGHEST : firstTrue(step, step + RUNGS, isReached);
}

/** About what epsilon has that delta: the rung and the one below, joined by a line, and not above their Chernoff bounds. */
export function epsilonNear(composition: Composition, at: Saddle, logDelta: number): number {
  const below = saddleAt(composition, at.step - 1);
  const share = (logDelta - at.logDelta) / (below.logDelta - at.logDelta);
  const epsilon = at.epsilon + Math.min(1, Math.max(0, share)) * (below.epsilon - at.epsilon);
  const bounds = [at, below].map(({ tilt, cumulant }) => (cumulant.value - logDelta) / tilt);
  const least = Math.min(...[epsilon, ...bounds].filter((value) => Number.isFinite(value)));
  return Math.max(0, Number.isFinite(least) ? least : 1);
}

/** About what delta has that epsilon: the value of the nearest rung, moved there along its contour. Between 1e-282 and 1. */
export function deltaNear(composition: Composition, epsilon: number): number {
  const { tilt, logDelta, epsilon: own } = saddleForEpsilon(composition, epsilon);
  return Math.exp(Math.max(-650, Math.min(0, logDelta + tilt * (own - epsilon))));
}

/**
 * A circumference for the losses on which, under the tilted law, nothing that is a turn away from epsilon has more than e^-depth: Chernoff
 * bounds at the other rungs, both ways.
 */
export function circumference(composition: Composition, at: Saddle, epsilon: number, depth: number): number {
  const { step, tilt, cumulant } = at;
  const bound = (other: number, value: number): number =>
    (value - cumulant.value - (other - tilt) * epsilon + depth) / Math.abs(other - tilt);
  // Rungs at 1, 2, 3, 5, 8, ... steps: the best of them is close to the best of all.
  const best = (sign: 1 | -1, start: number): number => {
    let least = start;
    for (let [i, j] = [1, 2]; i < 8 * RUNGS; [i, j] = [j, i + j]) {
      const other = tiltOf(step + sign * i);
      const next = bound(other, totalCumulant(composition, other).value);
      if (next > least) break;
      least = next;
    }
    return least;
  };
  return Math.max(best(1, Infinity), best(-1, bound(0, 0)) + 4 / tilt, 8 / tilt);
}
