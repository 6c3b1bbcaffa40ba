/**
 * The parameter that just meets a target: least noise, most rounds, largest sampling probability. The answer is rounded to the safe side, and
 * the engine is asked about the rounded value itself.
 */
import { AggregationError } from '../errors.ts';
import type { Charge } from './events/event.ts';
import { firstTrue } from './numerics/root.ts';
import { privacyEpsilon } from './query.ts';
import type { PrivacyAnswer, QueryOptions } from './query.ts';

export interface Calibration extends QueryOptions {
  readonly epsilon: number;
  readonly delta: number;
  /** What happens at a value of the parameter. */
  readonly chargesAt: (value: number) => readonly Charge[];
  /** Whether a larger value protects more (noise) or less (rounds, sampling). */
  readonly protects: 'more' | 'less';
  /** Values to look among. */
  readonly low: number;
  readonly high: number;
  /** Whole numbers only. */
  readonly whole?: boolean;
}

export interface Calibrated {
  readonly value: number;
  /** What the engine says of that value: its epsilon is not above the target. */
  readonly answer: PrivacyAnswer;
}

/** Digits that a value is told with. */
const DIGITS = 6;
/** Tolerance of the search, before the last steps. */
const ROUGH = 0.03;

/** @throws AggregationError `PRIVACY_TARGET_UNREACHABLE`, `PRIVACY_QUERY_INVALID`, or as {@link privacyEpsilon} */
export function calibrate(calibration: Calibration): Calibrated {
  const { epsilon, low, high } = calibration;
  if (!(epsilon > 0 && Number.isFinite(epsilon)) || !(low > 0 && low <= high && Number.isFinite(high))) {
    const why = `a target of epsilon ${epsilon} between ${low} and ${high}; allowed are finite numbers above 0`;
    throw new AggregationError('PRIVACY_QUERY_INVALID', why);
  }
  return calibration.whole === true ? calibrateWhole(calibration) : calibrateReal(calibration);
}

function ask(
  { chargesAt, delta, epsilon: _, ...options }: Calibration,
  value: number,
  tolerance?: number,
): PrivacyAnswer {
  const { relation, engine, tolerance: wanted } = options;
  const precise = tolerance ?? wanted;
  return privacyEpsilon(chargesAt(value), delta, {
    relation,
    ...(engine === undefined ? {} : { engine }),
    ...(precise === undefined ? {} : { tolerance: precise }),
  });
}

/** How far the answer misses the target: log(epsilon / target), not above 0 where it is met. */
function missAt(calibration: Calibration, value: number, tolerance?: number): number {
  return Math.log(ask(calibration, value, tolerance).value / calibration.epsilon);
}

function calibrateWhole(calibration: Calibration): Calibrated {
  const low = Math.ceil(calibration.low);
  const high = Math.floor(calibration.high);
  const isMet = (value: number): boolean => missAt(calibration, value) <= 0;
  let value: number;
  if (calibration.protects === 'more') {
    if (!isMet(high)) throw unreachable(calibration, high);
    value = isMet(low) ? low : firstTrue(low, high, isMet);
  } else {
    if (!isMet(low)) throw unreachable(calibration, low);
    // Doubling first: far values take long, and mostly the answer is not there.
    let top = low;
    while (top < high && isMet(Math.min(high, 2 * top))) top = Math.min(high, 2 * top);
    value = top === high ? high : firstTrue(top, Math.min(high, 2 * top), (at) => !isMet(at)) - 1;
  }
  return { value, answer: ask(calibration, value) };
}

function calibrateReal(calibration: Calibration): Calibrated {
  const { low, high, protects } = calibration;
  // In u the miss falls: log of the parameter, turned round where more of it protects less.
  const sign = protects === 'more' ? 1 : -1;
  const valueAt = (u: number): number => Math.min(high, Math.max(low, Math.exp(sign * u)));
  const safest = protects === 'more' ? high : low;
  const end = sign * Math.log(safest);
  const start = sign * Math.log(protects === 'more' ? low : high);
  const rough = (u: number): number => missAt(calibration, valueAt(u), ROUGH);
  const fine = (u: number): number => missAt(calibration, valueAt(u));
  let [above, below] = bracket(rough, start, end, Math.min(end, Math.max(start, 0)));
  if (!(below < end) && fine(end) > 0) throw unreachable(calibration, safest);
  // Rough bounds are too high by less than the tolerance, so the zero of the fine ones is a little before.
  [above, below] = tighten(rough, above, below, 0.02);
  let slope = (rough(above) - rough(below)) / (below - above);
  if (!(slope > 0.05)) slope = 1;
  let u = below;
  let miss = fine(u);
  for (let i = 0; i < 12 && !(miss <= 0 && miss > -ENOUGH); i++) {
    const next = Math.min(end, Math.max(start, u + (miss + ENOUGH / 2) / slope));
    const missNext = fine(next);
    const measured = (miss - missNext) / (next - u);
    if (Number.isFinite(measured) && measured > slope / 10) slope = measured;
    [u, miss] = [next, missNext];
    if (u === start && miss <= 0) break;
  }
  return confirmed(calibration, valueAt(u), slope);
}

/** A miss that is as good as none, below the target. */
const ENOUGH = 2e-4;

/** Steps of a factor of 2 from a first guess until the falling function has changed sign. */
function bracket(f: (u: number) => number, start: number, end: number, guess: number): [above: number, below: number] {
  let u = guess;
  if (f(u) > 0) {
    while (u < end) {
      const next = Math.min(end, u + Math.LN2);
      if (f(next) <= 0) return [u, next];
      u = next;
    }
    return [end, end];
  }
  while (u > start) {
    const next = Math.max(start, u - Math.LN2);
    if (f(next) > 0) return [next, u];
    u = next;
  }
  return [start, start];
}

function tighten(
  f: (u: number) => number,
  above: number,
  below: number,
  width: number,
): [above: number, below: number] {
  let [a, b] = [above, below];
  while (b - a > width) {
    const middle = (a + b) / 2;
    if (f(middle) > 0) a = middle;
    else b = middle;
  }
  return [a, b];
}

/** Rounds to the safe side, and goes on there until the engine agrees. */
function confirmed(calibration: Calibration, value: number, slope: number): Calibrated {
  const { low, high, protects, epsilon } = calibration;
  const safest = protects === 'more' ? high : low;
  let next = value;
  for (let i = 0; i < 40; i++) {
    const rounded = Math.min(high, Math.max(low, roundAway(next, protects === 'more' ? 1 : -1)));
    const answer = ask(calibration, rounded);
    if (answer.value <= epsilon) return { value: rounded, answer };
    if (rounded === safest) break;
    const move = Math.max(1e-5, (1.2 * Math.log(answer.value / epsilon)) / slope) * 1.5 ** i;
    next = rounded * Math.exp(protects === 'more' ? move : -move);
  }
  throw unreachable(calibration, safest);
}

function roundAway(value: number, direction: 1 | -1): number {
  const rounded = Number(value.toPrecision(DIGITS));
  if (direction * (rounded - value) >= 0) return rounded;
  const unit = 10 ** (Math.floor(Math.log10(value)) - DIGITS + 1);
  return Number((rounded + direction * unit).toPrecision(DIGITS));
}

function unreachable(calibration: Calibration, best: number): AggregationError {
  const { value } = ask(calibration, best);
  const why = `no value from ${calibration.low} to ${calibration.high} gives an epsilon of at most ${calibration.epsilon}; ${best} gives ${value}`;
  return new AggregationError('PRIVACY_TARGET_UNREACHABLE', why);
}
