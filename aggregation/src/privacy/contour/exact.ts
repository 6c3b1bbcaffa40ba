/**
 * The exact value: delta(epsilon) = (1/pi) integral over y > 0 of Re e^{K(c+iy) - (c+iy) epsilon} / ((c+iy)(c+1+iy)) dy by the trapezoid rule
 * (Alghamdi et al. 2023; Zhu, Dong and Wang 2022). With the step 2 pi / D the rule gives the sum over all whole k of
 * e^{kcD} delta(epsilon + kD): D is taken so large that only k = 0 counts.
 *
 * Where the integrand falls off slowly (few steps, small sampling probability) the sum is faded out. That smooths the pay-off's kink at
 * epsilon over a width that shrinks as more terms are taken, until twice as many give the same: the error bound is an observation, not a proof.
 * Among atoms it observes nothing: their part of the integrand comes back, and until then it is as if their kinks were not there. Then the sum
 * must go on until the other part has ended.
 */
import { upperTail } from '../numerics/normal.ts';
import { narrow } from '../numerics/root.ts';
import { cumulantOf, hasAtoms, isAtomic, stepsOf, totalHighestLoss, totalInfinite } from './composition.ts';
import type { Composition } from './composition.ts';
import { momentsOnLine } from './moments.ts';
import { singleStep, singleStepDelta } from './single-step.ts';
import { circumference, deltaNear, epsilonNear, saddleAt, saddleForDelta, saddleForEpsilon } from './saddle.ts';
import type { Saddle } from './saddle.ts';

export interface Exact {
  readonly value: number;
  /** By how much, relative, the last refinement changed it; infinite where no value was found. */
  readonly change: number;
}

const NOT_FOUND: Exact = { value: NaN, change: Infinity };

/** Terms taken at first, and at most. */
const FIRST = 256;
const MOST = 2 ** 17;
/** Terms times nodes beyond which no more are taken: of one line about a second, while the place is looked for less; and of all lines. */
const MOST_WORK = 6e8;
const ROUGH_WORK = 5e7;
/** Among atoms, where a lattice does as well. */
const ATOMS_WORK = 1e8;
const ALL_WORK = 1.5e9;
/** What it costs to make a node, in terms. */
const NODE = 256;
/** Change of delta, relative, at which twice as many terms count as the same. */
const SETTLED = 1e-9;
/** The same, while the place is looked for. */
const ROUGH = 1e-3;
const MOST_PASSES = 40;
/** No epsilon is looked for beyond it. */
const FARTHEST = 1e9;
/** e^-depth is what aliases have of the integrand's size. */
const DEPTH = 36;

export function exactDelta(whole: Composition, epsilon: number): Exact {
  if (whole.length === 0) return { value: 0, change: 0 };
  const infinite = totalInfinite(whole);
  if (epsilon >= totalHighestLoss(whole)) return { value: infinite, change: 0 };
  const only = singleStep(whole);
  if (only !== undefined) return { value: Math.min(1, infinite + singleStepDelta(only, epsilon)), change: 0 };
  const rough = deltaNear(whole, epsilon);
  let line = new ContourLine(cutOff(whole, rough), epsilon, rough);
  const first = line.settle(epsilon, ROUGH).value;
  if (!(first > 0)) return NOT_FOUND;
  if (Math.abs(Math.log(first / rough)) > 2) line = new ContourLine(cutOff(whole, first), epsilon, first);
  const { value, change } = line.settle(epsilon, SETTLED);
  return { value: Math.min(1, infinite + value), change };
}

export function exactEpsilon(whole: Composition, delta: number): Exact {
  if (whole.length === 0) return { value: 0, change: 0 };
  const infinite = totalInfinite(whole);
  if (infinite >= delta) return { value: Infinity, change: 0 };
  const highest = totalHighestLoss(whole);
  const wanted = delta - infinite;
  const logDelta = Math.log(wanted);
  const only = singleStep(whole);
  const composition = only === undefined ? cutOff(whole, wanted) : whole;
  let near = Math.min(highest, epsilonNear(composition, saddleForDelta(composition, logDelta), logDelta));
  if (only !== undefined) {
    const gapAt = (epsilon: number): number => Math.log(singleStepDelta(only, epsilon) / wanted);
    return { value: solve(gapAt, near, { scale: Math.max(near, 0.01), highest, close: 1e-14 }), change: 0 };
  }
  let [low, high, work] = [0, highest, 0];
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const line = new ContourLine(composition, near, wanted);
    const inside = Math.min(near, highest * (1 - 1e-15));
    const { change } = line.settle(inside, ROUGH);
    work += line.work;
    // A value that is not even roughly known shows no way.
    if (change > 0.5 || work > ALL_WORK) return NOT_FOUND;
    const gapAt = (epsilon: number): number => Math.log(Math.max(line.deltaAt(epsilon), 1e-300) / wanted);
    const gap = gapAt(inside);
    if (Math.abs(gap) < NEAR)
      return last(line, inside, (close) => solve(gapAt, near, { scale: 1 / line.tilt, highest, close }));
    if (gap < 0 && inside === 0) return { value: 0, change: 0 };
    // What a line says of places far from its own may be anything; of its own the sign is right.
    if (gap > 0) low = Math.max(low, inside);
    else high = Math.min(high, inside);
    if (high - low < 1e-12 * high) break;
    near = solve(gapAt, near, { scale: 1 / line.tilt, highest, close: 1e-6 });
    if (low >= FARTHEST) return { value: Infinity, change: 0 };
    const isOpen = (low < near && near < high) || (near === 0 && low === 0);
    if (!isOpen) near = high === Infinity ? 2 * low + 1 : low + (high - low) / 2;
  }
  return high < Infinity ? { value: high, change: (high - low) / high } : NOT_FOUND;
}

/** The value that a line laid close to it gives, and how far off it may be: a change of delta over the slope there, which between kinks is less than the tilt. */
function last(line: ContourLine, near: number, solution: (close: number) => number): Exact {
  let [place, value, change] = [NaN, near, 0];
  // What was settled at one place need not be so at another: a kink between them fades out late.
  for (let i = 0; i < MOST_MOVES && !(Math.abs(value - place) * line.tilt < 2 * NEAR); i++) {
    place = value;
    ({ change } = line.settle(place, SETTLED));
    value = solution(1e-13);
  }
  if (change === 0 || value === 0) return { value, change: 0 };
  const width = Math.min(0.01 / line.tilt, value / 2);
  const slope = Math.log(line.deltaAt(value - width) / line.deltaAt(value + width)) / (2 * width);
  const moved = Math.abs(value - place) * line.tilt < 2 * NEAR ? 0 : Math.abs(1 - place / value);
  return { value, change: moved + change / (Math.max(0, Math.min(slope, line.tilt)) * value) };
}

const MOST_MOVES = 4;
/** Miss of log delta up to which a line laid for one epsilon serves for another. */
const NEAR = 0.05;

/** Upper tails that together have less than this part of delta are not looked at. */
const TAIL_SHARE = 1e-13;

function cutOff(composition: Composition, delta: number): Composition {
  const tail = 16 ** Math.floor(Math.log2((TAIL_SHARE * delta) / stepsOf(composition)) / 4);
  return composition.map((term) => ({ ...term, band: { tail } }));
}

interface Search {
  readonly scale: number;
  readonly highest: number;
  /** Relative width at which it ends. */
  readonly close: number;
}

/** The zero of a falling function of epsilon, within [0, highest]. */
function solve(gapAt: (epsilon: number) => number, near: number, { scale, highest, close }: Search): number {
  if (gapAt(0) <= 0) return 0;
  let step = 0.02 * scale;
  let [low, high] = [Math.max(0, near - step), Math.min(highest, near + step)];
  while (low > 0 && gapAt(low) <= 0) {
    [low, high] = [Math.max(0, low - step), low];
    step *= 2;
  }
  while (high < highest && gapAt(high) > 0) {
    if (high > FARTHEST) return Infinity;
    [low, high] = [high, Math.min(highest, high + step)];
    step *= 2;
  }
  return narrow(gapAt, { low, high }, close).high;
}

/** Rungs below the saddle that are tried: where losses are rare but large, they allow a larger step. */
const LOWER_RUNGS = [0, 4, 8, 16, 24] as const;

/** The integrand along one line, as far as it was needed, for any epsilon near the one that the line was laid for. */
class ContourLine {
  readonly #composition: Composition;
  readonly #saddle: Saddle;
  readonly #step: number;
  readonly #fineBelow: number;
  #re = new Float64Array(0);
  #im = new Float64Array(0);
  readonly #hasAtoms: boolean;
  /** The integrand has become negligible by itself: nothing to fade out. */
  #ended = false;
  #work = 0;
  #lastWork = 0;

  /** @param delta about the one that belongs to epsilon */
  constructor(composition: Composition, epsilon: number, delta: number) {
    this.#composition = composition;
    this.#hasAtoms = hasAtoms(composition);
    const highest = saddleForEpsilon(composition, epsilon);
    let best: { saddle: Saddle; around: number } | undefined;
    for (const lower of LOWER_RUNGS) {
      const saddle = saddleAt(composition, highest.step - lower);
      const { tilt, cumulant } = saddle;
      const relevance = Math.min(0, Math.log(delta) - (cumulant.value - tilt * epsilon) + Math.log(tilt + 1));
      const around = circumference(composition, saddle, epsilon, DEPTH - relevance);
      if (best === undefined || around < 0.7 * best.around) best = { saddle, around };
    }
    this.#saddle = best!.saddle;
    this.#step = (2 * Math.PI) / best!.around;
    this.#fineBelow = 3 * epsilon;
  }

  get tilt(): number {
    return this.#saddle.tilt;
  }

  get work(): number {
    return this.#work;
  }

  /** Takes terms until twice as many give the same, up to `settled`, or until twice as many would be too much work: then the change is the larger of the last two. */
  settle(epsilon: number, settled: number): Exact {
    const limit = settled > SETTLED ? ROUGH_WORK : this.#hasAtoms ? ATOMS_WORK : MOST_WORK;
    if (this.#re.length === 0 && !this.#extend(FIRST)) return NOT_FOUND;
    let [before, value, change, former] = [NaN, this.deltaAt(epsilon), Infinity, 0];
    while (!this.#ended) {
      const isKnown = change < Infinity;
      // With the terms their oscillation doubles, and with it the nodes.
      const isEnough = isKnown && (this.#re.length >= MOST || this.#work + 4 * this.#lastWork > limit);
      if (isEnough || !this.#extend(2 * this.#re.length)) {
        return { value, change: this.#hasAtoms && settled <= SETTLED ? Infinity : Math.max(change, former) };
      }
      [before, value] = [value, this.deltaAt(epsilon)];
      [former, change] = [isKnown ? change : 0, Math.abs(value / before - 1)];
      if (change < settled && (!this.#hasAtoms || settled > SETTLED)) return { value, change };
    }
    return { value, change: 0 };
  }

  deltaAt(epsilon: number): number {
    const { tilt, cumulant } = this.#saddle;
    const count = this.#re.length;
    let sum = 0.5 * this.#re[0]!;
    for (let k = 1; k < count; k++) {
      const angle = k * this.#step * epsilon;
      const term = this.#re[k]! * Math.cos(angle) + this.#im[k]! * Math.sin(angle);
      sum += this.#ended ? term : term * fade(k / count);
    }
    return (Math.max(0, sum) * this.#step * Math.exp(cumulant.value - tilt * epsilon)) / Math.PI;
  }

  /** False where too many nodes would be needed: then all is as before. */
  #extend(to: number): boolean {
    const from = this.#re.length;
    const { tilt } = this.#saddle;
    const [re, im] = [new Float64Array(to), new Float64Array(to)];
    re.set(this.#re);
    im.set(this.#im);
    const logAbs = new Float64Array(to - from);
    const phase = new Float64Array(to - from);
    const smooth = new Float64Array(to - from);
    let work = 0;
    for (const term of this.#composition) {
      const line = { tilt, step: this.#step, fineBelow: this.#fineBelow, band: term.band ?? { tail: 0 } };
      const one = momentsOnLine(term.pair, line, { from, to }, cumulantOf(term, tilt).value);
      if (one === undefined) return false;
      work += one.nodes * (NODE + logAbs.length);
      const isSmooth = !isAtomic(term);
      for (let i = 0; i < logAbs.length; i++) {
        logAbs[i]! += term.count * one.logAbs[i]!;
        if (isSmooth) smooth[i]! += term.count * one.logAbs[i]!;
        phase[i]! += term.count * one.phase[i]!;
      }
    }
    this.#lastWork = work;
    this.#work += work;
    let largest = 0;
    for (let k = from; k < to; k++) {
      const y = k * this.#step;
      const [a, b] = [tilt * (tilt + 1) - y * y, (2 * tilt + 1) * y];
      const square = a * a + b * b;
      const abs = Math.exp(logAbs[k - from]!) / square;
      const [c, s] = [Math.cos(phase[k - from]!), Math.sin(phase[k - from]!)];
      re[k] = abs * (c * a + s * b);
      im[k] = abs * (s * a - c * b);
      if (k >= to - 64) largest = Math.max(largest, Math.exp(smooth[k - from]!) / Math.sqrt(square));
    }
    this.#re = re;
    this.#im = im;
    this.#ended = largest * to < 1e-18 * Math.abs(re[0]!);
    return true;
  }
}

/** 1 at 0, 0 at 1, and so smooth that the kernel it belongs to falls off like a Gaussian. */
function fade(share: number): number {
  return upperTail(Math.SQRT2 * 5.5 * (2 * share - 1));
}
