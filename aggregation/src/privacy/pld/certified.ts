/**
 * The certified upper bound: connect-the-dots on a lattice that is as fine as the tolerance asks, tilted to where the answer lies, composed
 * by its Fourier transform, with every rounding error paid for. What is proved and what is tested: docs/privacy/accounting.md.
 */
import { isSmooth, totalHighestLoss, totalInfinite } from '../contour/composition.ts';
import { singleStep, singleStepBound } from '../contour/single-step.ts';
import type { Composition, Term } from '../contour/composition.ts';
import { deltaNear, epsilonNear, saddleForDelta } from '../contour/saddle.ts';
import { narrow } from '../numerics/root.ts';
import { boundFor, commonPart, deltaAt } from './bound.ts';
import type { Bound } from './bound.ts';

/** An upper bound, and what of it is known to be too much. */
export interface Certified {
  readonly value: number;
  /** About how far it is above the truth, relative. */
  readonly excess: number;
}

/** What the logarithm of delta may be off while the place is looked for. */
const ROUGH = 0.1;
/** Below it an epsilon is not told more finely, whatever the tolerance. */
const LEAST_ABSOLUTE = 1e-9;
const MOST_PASSES = 8;
/** Deltas that the saddle-point approximation puts below the one are told as the other: e^46 is more than it can be wrong by. */
const HOPELESS = 1e-270;
const LEAST_DELTA = 1e-250;

/** Least epsilon that is proved for delta in (0, 1), at most `tolerance` (relative) too large where the largest lattice allows. */
export function certifiedEpsilon(composition: Composition, delta: number, tolerance: number): Certified {
  if (composition.length === 0) return { value: 0, excess: 0 };
  if (totalInfinite(composition) >= delta) return { value: Infinity, excess: 0 };
  const highest = totalHighestLoss(composition) * (1 + 1e-14);
  const only = singleStep(composition);
  if (only !== undefined) return { value: Math.min(highest, singleStepEpsilon(only, delta)), excess: 1e-12 };
  const logDelta = Math.log(delta);
  const common = commonPart(composition, delta);
  let near = Math.min(highest, epsilonNear(common, saddleForDelta(common, logDelta), logDelta));
  let slope = 0;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const bound = boundFor(composition, { epsilon: near, delta, slope, aim: ROUGH });
    const value = Math.min(highest, epsilonOf(bound, near, delta));
    slope = slopeAt(bound, value);
    const moved = Math.abs(value - near) * slope;
    near = value;
    if (!(moved > ROUGH)) break;
  }
  if (near === Infinity) return { value: Infinity, excess: 0 };
  const aim = Math.min(ROUGH, Math.max(near * tolerance, LEAST_ABSOLUTE) * slope);
  return untilSteady(composition, tolerance, aim, (finer) => {
    const bound = boundFor(composition, { epsilon: near, delta, slope, aim: finer });
    const value = Math.min(highest, epsilonOf(bound, near, delta));
    return { value, excess: value === 0 ? 0 : bound.gap / (slope * value) };
  });
}

/**
 * Where delta has kinks the cumulant does not tell what a lattice costs there: then aims are made finer until a finer one changes little. Each
 * value is a bound, so the least is one.
 */
function untilSteady(
  composition: Composition,
  tolerance: number,
  aim: number,
  at: (aim: number) => Certified,
): Certified {
  let best = at(aim);
  if (isSmooth(composition)) return best;
  for (let finer = aim / 16; finer > aim / 16 ** 5; finer /= 16) {
    const next = at(finer);
    const change = Math.max(0, best.value / next.value - 1);
    if (next.value < best.value) best = next;
    if (!(change > tolerance / 4)) return { ...best, excess: Math.max(best.excess, change / 3) };
  }
  return best;
}

/** Bisection on a bound in closed form. */
function singleStepEpsilon(only: Term, delta: number): number {
  const gapAt = (epsilon: number): number => Math.log(Math.max(1e-300, singleStepBound(only, epsilon)) / delta);
  if (gapAt(0) <= 0) return 0;
  let [low, high] = [0, 1];
  while (gapAt(high) > 0) {
    if (high > 1e9) return Infinity;
    [low, high] = [high, 2 * high];
  }
  return narrow(gapAt, { low, high }, 1e-13).high;
}

/** Least delta that is proved for epsilon >= 0. */
export function certifiedDelta(composition: Composition, epsilon: number, tolerance: number): Certified {
  if (composition.length === 0) return { value: 0, excess: 0 };
  if (epsilon >= totalHighestLoss(composition)) return { value: 0, excess: 0 };
  const only = singleStep(composition);
  if (only !== undefined) return { value: singleStepBound(only, epsilon), excess: 1e-12 };
  // First guesses: with no loss left out the rarest would rule it; with too many the epsilon might not be reached.
  const common = deltaNear(commonPart(composition, 1e-20), epsilon);
  let delta = common < HOPELESS ? deltaNear(composition, epsilon) : common;
  if (delta < HOPELESS) return { value: LEAST_DELTA, excess: 0 };
  let slope = 0;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const bound = boundFor(composition, { epsilon, delta, slope, aim: ROUGH });
    const value = Math.max(HOPELESS, deltaAt(bound, epsilon));
    slope = slopeAt(bound, epsilon);
    const moved = Math.abs(Math.log(value / delta));
    delta = value;
    if (moved < ROUGH) break;
  }
  return untilSteady(composition, tolerance, Math.min(ROUGH, tolerance), (aim) => {
    const bound = boundFor(composition, { epsilon, delta, slope, aim });
    return { value: deltaAt(bound, epsilon), excess: bound.gap };
  });
}

/** -d log delta / d epsilon. */
function slopeAt(bound: Bound, epsilon: number): number {
  const step = 0.1 / bound.tilt;
  return Math.log(deltaAt(bound, epsilon) / deltaAt(bound, epsilon + step)) / step;
}

/** Least epsilon, to 1e-10, at which the bound on delta is not above the one given. */
function epsilonOf(bound: Bound, near: number, delta: number): number {
  const gapAt = (epsilon: number): number => Math.log(deltaAt(bound, epsilon) / delta);
  if (gapAt(0) <= 0) return 0;
  let step = Math.max(near * 0.01, 0.05 / bound.tilt);
  let [low, high] = [Math.max(0, near - step / 8), near + step / 8];
  while (low > 0 && gapAt(low) <= 0) {
    [low, high] = [Math.max(0, low - step), low];
    step *= 2;
  }
  while (gapAt(high) > 0) {
    if (high > 1e9) return Infinity;
    [low, high] = [high, high + step];
    step *= 2;
  }
  return narrow(gapAt, { low, high }, 1e-10).high;
}
