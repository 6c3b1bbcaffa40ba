/**
 * The certified upper bound: connect-the-dots on a lattice that is as fine as the tolerance asks, tilted to where the answer lies, composed
 * by its Fourier transform, with every rounding error paid for. What is proved and what is tested: docs/privacy/accounting.md.
 */
import { hasAtoms, stepsOf, totalHighestLoss, totalInfinite } from '../contour/composition.ts';
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

interface Attempt extends Certified {
  /** By so much, about, the lattice moves losses. */
  readonly spread: number;
  /** A finer aim would change nothing. */
  readonly isFinest: boolean;
}

/** What the logarithm of delta may be off while the place is looked for. */
const ROUGH = 0.1;
/** Below it an epsilon is not told more finely, whatever the tolerance. */
const LEAST_ABSOLUTE = 1e-9;
/** The same of log delta. */
const LEAST_AIM = 1e-12;
const MOST_PASSES = 8;
/** What the slope of log delta can be where more lies above. */
const STEEPEST = 2 ** 32;
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
    // Told no less finely than delta changes there.
    const relative = Math.min(1e-4, 0.03 / (bound.tilt * near));
    const value = Math.min(highest, epsilonOf(bound, { near, delta, relative }));
    if (value === Infinity) return { value, excess: Infinity };
    slope = slopeAt(bound, value);
    const moved = Math.abs(value - near) * slope;
    near = value;
    if (!(moved > ROUGH)) break;
  }
  const aim = Math.max(LEAST_AIM, Math.min(ROUGH, Math.max(near * tolerance, LEAST_ABSOLUTE) * slope));
  return untilSteady(composition, tolerance, aim, (finer) => {
    const bound = boundFor(composition, { epsilon: near, delta, slope, aim: finer });
    const value = Math.min(highest, epsilonOf(bound, { near, delta, relative: 1e-9 }));
    const { gap, isFinest } = bound;
    const excess = value === 0 || gap === 0 ? 0 : gap / (slope * value);
    return { value, excess, isFinest, spread: spreadOf(composition, bound) };
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
  at: (aim: number) => Attempt,
): Certified {
  let best = at(aim);
  if (!hasAtoms(composition)) return best;
  let { isFinest } = best;
  let change = best.spread / best.value;
  for (let finer = aim / 4; finer > aim / 4 ** 9 && !isFinest; finer /= 4) {
    const next = at(finer);
    ({ isFinest } = next);
    change = Math.max(0, best.value / next.value - 1);
    if (next.value < best.value) best = next;
    // At a kink half the spacing halves the error: what is left is as much as what went.
    if (change <= tolerance / 2) return { ...best, excess: Math.max(best.excess, change) };
  }
  return { ...best, excess: Math.max(best.excess, change) };
}

function spreadOf(composition: Composition, { layers }: Bound): number {
  return 0.5 * Math.sqrt(stepsOf(composition)) * Math.max(...layers.map(({ spectrum }) => spectrum.spacing));
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
    const { gap: excess, isFinest } = bound;
    const value = deltaAt(bound, epsilon);
    return { value, excess, isFinest, spread: spreadOf(composition, bound) * slope * value };
  });
}

/** -d log delta / d epsilon; where all ends above, that below. */
function slopeAt(bound: Bound, epsilon: number): number {
  const step = 0.1 / bound.tilt;
  const at = deltaAt(bound, epsilon);
  const above = Math.log(at / deltaAt(bound, epsilon + step)) / step;
  return above < STEEPEST ? above : Math.max(0, Math.log(deltaAt(bound, epsilon - step) / at) / step);
}

interface Search {
  readonly near: number;
  readonly delta: number;
  /** How finely epsilon is told. */
  readonly relative: number;
}

/** Least epsilon, about, at which the bound on delta is not above the one given. */
function epsilonOf(bound: Bound, { near, delta, relative }: Search): number {
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
  return narrow(gapAt, { low, high }, relative).high;
}
