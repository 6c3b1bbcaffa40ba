/**
 * The exact value: delta(epsilon) = (1/pi) integral over y > 0 of Re e^{K(c+iy) - (c+iy) epsilon} / ((c+iy)(c+1+iy)) dy by the trapezoid rule
 * (Alghamdi et al. 2023; Zhu, Dong and Wang 2022). With the step 2 pi / D the rule gives the sum over all whole k of
 * e^{kcD} delta(epsilon + kD): D is taken so large that only k = 0 counts.
 *
 * Where the integrand falls off slowly (few steps, small sampling probability) the sum is faded out. That smooths the pay-off's kink at
 * epsilon over a width that shrinks as more terms are taken, until twice as many give the same: the error bound is an observation, not a proof.
 */
import { upperTail } from '../numerics/normal.ts';
import { narrow } from '../numerics/root.ts';
import { cumulantOf, stepsOf, totalHighestLoss, totalInfinite } from './composition.ts';
import type { Composition } from './composition.ts';
import { momentsOnLine } from './moments.ts';
import { singleStep, singleStepDelta } from './single-step.ts';
import { circumference, deltaNear, epsilonNear, saddleAt, saddleForDelta, saddleForEpsilon } from './saddle.ts';
import type { Saddle } from './saddle.ts';

export interface Exact {
  readonly value: number;
  /** By how much, relative, the last refinement changed it. */
  readonly change: number;
}

/** Terms taken at first, and at most. */
const FIRST = 256;
const MOST = 2 ** 17;
/** Terms times nodes after which no more are taken: about a second. */
const MOST_WORK = 4e8;
const ROUGH_WORK = 5e7;
/** Change of delta, relative, at which twice as many terms count as the same. */
const SETTLED = 1e-9;
/** The same, while the place is looked for. */
const ROUGH = 1e-3;
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
    return { value: solve(gapAt, near, Math.max(near, 0.01), highest), change: 0 };
  }
  for (let pass = 0; pass < 16; pass++) {
    const line = new ContourLine(composition, near, wanted);
    const inside = Math.min(near, highest * (1 - 1e-15));
    line.settle(inside, pass < 15 ? ROUGH : SETTLED);
    const gapAt = (epsilon: number): number => Math.log(Math.max(line.deltaAt(epsilon), 1e-300) / wanted);
    const miss = Math.abs(gapAt(inside));
    if (miss < NEAR) {
      const { change } = line.settle(inside, SETTLED);
      const value = solve(gapAt, near, 1 / line.tilt, highest);
      return { value, change: value > 0 ? change / (line.tilt * value) : 0 };
    }
    near = solve(gapAt, near, 1 / line.tilt, highest);
    if (near === 0 || near === Infinity) break;
  }
  return { value: near, change: 0 };
}

/** Miss of log delta up to which a line laid for one epsilon serves for another. */
const NEAR = 0.05;

/** Upper tails that together have less than this part of delta are not looked at. */
const TAIL_SHARE = 1e-13;

function cutOff(composition: Composition, delta: number): Composition {
  const tail = 16 ** Math.floor(Math.log2((TAIL_SHARE * delta) / stepsOf(composition)) / 4);
  return composition.map((term) => ({ ...term, band: { tail } }));
}

/** The zero of a falling function of epsilon, within [0, highest]. */
function solve(gapAt: (epsilon: number) => number, near: number, scale: number, highest: number): number {
  if (gapAt(0) <= 0) return 0;
  let step = 0.02 * scale;
  let [low, high] = [Math.max(0, near - step), Math.min(highest, near + step)];
  while (low > 0 && gapAt(low) <= 0) {
    [low, high] = [Math.max(0, low - step), low];
    step *= 2;
  }
  while (high < highest && gapAt(high) > 0) {
    if (high > 1e9) return Infinity;
    [low, high] = [high, Math.min(highest, high + step)];
    step *= 2;
  }
  return narrow(gapAt, { low, high }, 1e-14).high;
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
  /** The integrand has become negligible by itself: nothing to fade out. */
  #ended = false;
  #work = 0;

  /** @param delta about the one that belongs to epsilon */
  constructor(composition: Composition, epsilon: number, delta: number) {
    this.#composition = composition;
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

  /** Takes terms until twice as many give the same, up to `settled`. */
  settle(epsilon: number, settled: number): Exact {
    if (this.#re.length === 0) this.#extend(FIRST);
    let before = this.deltaAt(epsilon);
    for (;;) {
      if (this.#ended || this.#re.length >= MOST || this.#work > (settled > SETTLED ? ROUGH_WORK : MOST_WORK)) {
        const value = this.deltaAt(epsilon);
        return { value, change: this.#ended ? 0 : Math.abs(value / before - 1) };
      }
      this.#extend(2 * this.#re.length);
      const value = this.deltaAt(epsilon);
      const change = Math.abs(value / before - 1);
      if (change < settled) return { value, change };
      before = value;
    }
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

  #extend(to: number): void {
    const from = this.#re.length;
    const { tilt } = this.#saddle;
    const [re, im] = [new Float64Array(to), new Float64Array(to)];
    re.set(this.#re);
    im.set(this.#im);
    const logAbs = new Float64Array(to - from);
    const phase = new Float64Array(to - from);
    for (const term of this.#composition) {
      const line = { tilt, step: this.#step, fineBelow: this.#fineBelow, band: term.band ?? { tail: 0 } };
      const one = momentsOnLine(term.pair, line, { from, to }, cumulantOf(term, tilt).value);
      this.#work += one.nodes * logAbs.length;
      for (let i = 0; i < logAbs.length; i++) {
        logAbs[i]! += term.count * one.logAbs[i]!;
        phase[i]! += term.count * one.phase[i]!;
      }
    }
    let largest = 0;
    for (let k = from; k < to; k++) {
      const y = k * this.#step;
      const [a, b] = [tilt * (tilt + 1) - y * y, (2 * tilt + 1) * y];
      const abs = Math.exp(logAbs[k - from]!) / (a * a + b * b);
      const [c, s] = [Math.cos(phase[k - from]!), Math.sin(phase[k - from]!)];
      re[k] = abs * (c * a + s * b);
      im[k] = abs * (s * a - c * b);
      if (k >= to - 64) largest = Math.max(largest, abs * Math.hypot(a, b));
    }
    this.#re = re;
    this.#im = im;
    this.#ended = largest * to < 1e-18 * Math.abs(re[0]!);
  }
}

/** 1 at 0, 0 at 1, and so smooth that the kernel it belongs to falls off like a Gaussian. */
function fade(share: number): number {
  return upperTail(Math.SQRT2 * 5.5 * (2 * share - 1));
}
