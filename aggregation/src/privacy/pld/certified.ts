/**
 * The certified upper bound: connect-the-dots on a lattice that is as fine as the tolerance asks, tilted to where the answer lies, composed
 * by its Fourier transform, with every rounding error paid for. What is proved and what is tested: docs/privacy/accounting.md.
 */
import { fftError } from '../numerics/real-fft.ts';
import { Memo } from '../numerics/memo.ts';
import { narrow } from '../numerics/root.ts';
import { totalHighestLoss, totalInfinite } from '../contour/composition.ts';
import type { Composition, Term } from '../contour/composition.ts';
import { cumulantOf } from '../contour/composition.ts';
import { circumference, epsilonNear, saddleAt, saddleForDelta, saddleForEpsilon } from '../contour/saddle.ts';
import type { Saddle } from '../contour/saddle.ts';
import { compose } from './compose.ts';
import { discretise } from './discretise.ts';
import type { Lattice } from './discretise.ts';
import { deltaAt } from './payoff.ts';
import type { ComposedSpectrum } from './payoff.ts';
import { tiltedSpectrum } from './spectrum.ts';
import type { Circle, TiltedSpectrum } from './spectrum.ts';

/** An upper bound, and what of it is known to be too much. */
export interface Certified {
  readonly value: number;
  /** About how far it is above the truth, relative. */
  readonly excess: number;
}

/** Of the tolerance, what the first lattice aims at: its error is known only once it is there. */
const AIM = 0.35;
/** What the logarithm of delta may be off while the place is looked for. */
const ROUGH = 0.1;
const FEWEST = 2 ** 8;
const MOST = 2 ** 20;
/** Places that are transformed one by one where the rounding of the fast transform would show. */
const APART = [0, 16, 48] as const;
/** In numbers of 8 bytes: 128 MiB. */
const SPECTRA = new Memo<TiltedSpectrum>(2 ** 24);

/** Least epsilon that is proved for delta in (0, 1), at most `tolerance` (relative) too large where the largest lattice allows. */
export function certifiedEpsilon(whole: Composition, delta: number, tolerance: number): Certified {
  if (whole.length === 0) return { value: 0, excess: 0 };
  if (totalInfinite(whole) >= delta) return { value: Infinity, excess: 0 };
  const composition = cutOff(whole, delta);
  const highest = totalHighestLoss(whole) * (1 + 1e-14);
  const logDelta = Math.log(delta);
  let near = Math.min(highest, epsilonNear(composition, saddleForDelta(composition, logDelta), logDelta));
  let slope = 0;
  for (let pass = 0; pass < 8; pass++) {
    const { spectrum } = refine(composition, { epsilon: near, delta, slope, aim: ROUGH });
    const value = Math.min(highest, epsilonOf(spectrum, near, delta));
    slope = slopeAt(spectrum, value);
    const moved = Math.abs(value - near) * slope;
    near = value;
    if (!(moved > ROUGH)) break;
  }
  if (near === Infinity) return { value: Infinity, excess: 0 };
  const aim = Math.min(ROUGH, Math.max(near * tolerance, LEAST_ABSOLUTE) * slope);
  const { spectrum, gap } = refine(composition, { epsilon: near, delta, slope, aim });
  const value = Math.min(highest, epsilonOf(spectrum, near, delta));
  return { value, excess: value === 0 ? 0 : gap / (slope * value) };
}

/** Below it an epsilon is not told more finely, whatever the tolerance. */
const LEAST_ABSOLUTE = 1e-9;

/** Least delta that is proved for epsilon >= 0. */
export function certifiedDelta(whole: Composition, epsilon: number, tolerance: number): Certified {
  if (whole.length === 0) return { value: 0, excess: 0 };
  if (epsilon >= totalHighestLoss(whole)) return { value: 0, excess: 0 };
  let delta = Math.exp(Math.max(-650, Math.min(0, saddleForEpsilon(whole, epsilon).logDelta)));
  let slope = 0;
  for (let pass = 0; pass < 8; pass++) {
    const { spectrum } = refine(cutOff(whole, delta), { epsilon, delta, slope, aim: ROUGH });
    const value = Math.max(1e-290, deltaAt(spectrum, epsilon));
    slope = slopeAt(spectrum, epsilon);
    const moved = Math.abs(Math.log(value / delta));
    delta = value;
    if (moved < ROUGH) break;
  }
  const { spectrum, gap } = refine(cutOff(whole, delta), { epsilon, delta, slope, aim: Math.min(ROUGH, tolerance) });
  return { value: deltaAt(spectrum, epsilon), excess: gap };
}

/** Of delta so much may be spent on upper tails that are not looked at. */
const TAIL_SHARE = 1e-6;

/** Tails are powers of 16, so that neighbouring queries share what is computed. */
function cutOff(composition: Composition, delta: number): Composition {
  const tail = 16 ** Math.floor(Math.log2((TAIL_SHARE * delta) / stepsOf(composition)) / 4);
  return composition.map((term) => ({ ...term, tail }));
}

/** -d log delta / d epsilon. */
function slopeAt(spectrum: ComposedSpectrum, epsilon: number): number {
  const step = 0.1 / spectrum.tilt;
  return Math.log(deltaAt(spectrum, epsilon) / deltaAt(spectrum, epsilon + step)) / step;
}

interface Query {
  /** About the one that comes out. */
  readonly epsilon: number;
  readonly delta: number;
  /** -d log delta / d epsilon, or 0 where it is not known yet. */
  readonly slope: number;
  /** By how much log delta may come out too large. */
  readonly aim: number;
}

/** How a lattice is laid. */
interface Plan {
  readonly saddle: Saddle;
  readonly relevance: number;
  readonly around: number;
  /** What the square of a spacing is worth in log delta, for the whole composition. */
  readonly curvature: number;
}

/** Makes the lattice finer until it is within the aim, or as fine as it may be. */
function refine(composition: Composition, query: Query): { spectrum: ComposedSpectrum; gap: number } {
  const { aim } = query;
  const plan = planFor(composition, query);
  const { saddle, around, curvature } = plan;
  let spacing = firstSpacing(composition, Math.sqrt((AIM * aim) / curvature), around);
  for (;;) {
    const size = Math.min(MOST, Math.max(FEWEST, 2 ** Math.ceil(Math.log2(around / spacing))));
    const spectrum = composeAt(composition, query, plan, { spacing, size });
    // The cumulant is off by s (s + 1) times the same at every s: here it is known, at the slope it matters.
    const measured = Math.max(0, spectrum.logMoment - saddle.cumulant.value);
    const gap = (measured * 12 * curvature) / (stepsOf(composition) * saddle.tilt * (saddle.tilt + 1));
    if (gap <= 0.85 * aim || size >= MOST || spacing < 1e-12) return { spectrum, gap };
    spacing /= 2 ** Math.max(1, Math.ceil(0.5 * Math.log2(gap / aim)));
    spacing = Math.max(spacing, around / MOST);
  }
}

/** Rungs below the saddle that are tried as well: where losses are rare but large, less tilt has a smaller circle. */
const LOWER_RUNGS = [0, 2, 4, 7, 11, 16, 22, 30] as const;

function planFor(composition: Composition, query: Query): Plan {
  const { epsilon, slope, aim } = query;
  const saddle = saddleForEpsilon(composition, epsilon);
  const steep = Math.max(slope, saddle.tilt);
  const curvature = (stepsOf(composition) * steep * (steep + 1)) / 12;
  let best: Plan | undefined;
  for (const lower of LOWER_RUNGS) {
    const at = lower === 0 ? saddle : saddleAt(composition, saddle.step - lower);
    const relevance = relevanceOf(at, query);
    const around = circumference(composition, at, epsilon, 7 - Math.log(relevance * aim));
    if (best !== undefined && around > 1.5 * best.around) break;
    // A change must be worth it: the plan should not hop about between neighbouring queries.
    if (best === undefined || around < 0.7 * best.around) best = { saddle: at, relevance, around, curvature };
  }
  return best!;
}

/** delta over what the contour's integrand amounts to without cancellation, as a power of 4. */
function relevanceOf({ tilt, cumulant }: Saddle, { epsilon, delta }: Query): number {
  const log = Math.log(delta) - (cumulant.value - tilt * epsilon) + Math.log(tilt + 1);
  return 4 ** Math.min(0, Math.max(-24, Math.round(log / Math.log(4))));
}

function stepsOf(composition: Composition): number {
  return composition.reduce((sum, { count }) => sum + count, 0);
}

/** On a ladder of powers of the square root of 2, or a part of the distance that all losses are multiples of. */
function firstSpacing(composition: Composition, wanted: number, around: number): number {
  const least = Math.max(wanted, around / MOST);
  const [only, ...others] = composition;
  const natural = others.length === 0 ? only?.pair.spacing : null;
  if (natural !== null && natural !== undefined && natural >= around / MOST) {
    return natural / Math.max(1, Math.floor(natural / Math.max(least, around / FEWEST)));
  }
  return 2 ** (Math.floor(2 * Math.log2(least)) / 2);
}

interface Grid {
  readonly spacing: number;
  readonly size: number;
}

function composeAt(composition: Composition, { aim }: Query, plan: Plan, grid: Grid): ComposedSpectrum {
  const { tilt } = plan.saddle;
  const { relevance } = plan;
  const rounding = (stepsOf(composition) * fftError(grid.size) * Math.sqrt(grid.size)) / relevance;
  const circle = { size: grid.size, apart: APART[rounding > aim ? 2 : rounding > 0.01 * aim ? 1 : 0] };
  const powers = composition.map((term) => {
    const { spacing } = grid;
    const lattice = { spacing, tilt, relevance, logMoment: cumulantOf(term, tilt).value, tail: term.tail ?? 0 };
    return { spectrum: spectrumOf(term, lattice, circle), count: term.count };
  });
  return compose(powers, { ...grid, tilt });
}

function spectrumOf({ key, pair }: Term, lattice: Lattice, circle: Circle): TiltedSpectrum {
  const { spacing, tilt, tail, relevance } = lattice;
  return SPECTRA.get(
    [tilt, spacing, tail, relevance, circle.size, circle.apart, key].join('|'),
    () => tiltedSpectrum(discretise(pair, lattice), lattice, circle),
    ({ logAbs }) => 3 * logAbs.length,
  );
}

/** Least epsilon, to 1e-10, at which the bound on delta is not above the one given. */
function epsilonOf(spectrum: ComposedSpectrum, near: number, delta: number): number {
  const gapAt = (epsilon: number): number => Math.log(deltaAt(spectrum, epsilon) / delta);
  if (gapAt(0) <= 0) return 0;
  let step = Math.max(near * 0.01, 0.05 / spectrum.tilt);
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
