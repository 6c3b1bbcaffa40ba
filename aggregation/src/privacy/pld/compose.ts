/**
 * T-fold products of tilted spectra, with the errors that come of them.
 *
 * Of two products whose factors differ by e_i the difference is at most the sum of the e_i, each times the other factors' larger values. The
 * part of e with a bounded 2-norm meets the pay-off in the inequality of Cauchy and Schwarz.
 */
import { UNIT } from '../numerics/normal.ts';
import { kernelOf } from './kernel.ts';
import type { Circle } from './kernel.ts';
import type { ComposedSpectrum } from './payoff.ts';
import type { TiltedSpectrum } from './spectrum.ts';

interface Power {
  readonly spectrum: TiltedSpectrum;
  readonly count: number;
}

/** e^-40 of the largest frequency: left out, and charged. */
const DROPPED = -40;
/** What is left out is not told more finely than this. */
const VANISHED = -120;
const VANISHING: number = Math.exp(VANISHED);

export function compose(powers: readonly Power[], circle: Circle): ComposedSpectrum {
  const { logAbs, phase, logError, least } = product(powers, circle.size / 2 + 1);
  const kernel = kernelOf(circle);
  const steps = powers.reduce((sum, { count }) => sum + count, 0);
  // Logarithms, angles of up to pi each, and their sums are rounded.
  const rounding = 4 * UNIT * (8 - DROPPED + Math.PI * steps);
  const frequencies = new Float64Array(logAbs.length);
  const re = new Float64Array(logAbs.length);
  const im = new Float64Array(logAbs.length);
  let kept = 0;
  let [dropped, rounded, each, squares, absolute] = [0, 0, 0, 0, 0];
  for (let k = 0; k < logAbs.length; k++) {
    const log = logAbs[k]!;
    const weight = kernel.weight[k]!;
    const largest = log + logError[k]!;
    if (log < DROPPED) {
      dropped += weight * (largest > VANISHED ? Math.exp(largest) : VANISHING);
      continue;
    }
    const abs = Math.exp(log);
    const others = weight * abs * expAbove(logError[k]! - least[k]!);
    each += others;
    squares += others * others;
    rounded += weight * abs;
    const x = abs * Math.cos(phase[k]!);
    const y = abs * Math.sin(phase[k]!);
    frequencies[kept] = k;
    re[kept] = x * kernel.re[k]! - y * kernel.im[k]!;
    im[kept] = x * kernel.im[k]! + y * kernel.re[k]!;
    absolute += Math.abs(re[kept]!) + Math.abs(im[kept]!);
    kept += 1;
  }
  const { eachError, normError, ...totals } = totalsOf(powers);
  // Sums of what is positive lose at most one u a term.
  const sums = 1 + logAbs.length * UNIT;
  const error = sums * (dropped + rounded * rounding + each * eachError + Math.sqrt(squares) * normError);
  return {
    ...circle,
    ...totals,
    error,
    absolute: absolute * sums,
    kernel,
    frequencies: frequencies.subarray(0, kept),
    re: re.subarray(0, kept),
    im: im.subarray(0, kept),
  };
}

/** At least e^x, and quick for small x >= 0. */
function expAbove(x: number): number {
  return x >= 0 && x < 0.01 ? 1 + 1.01 * x : Math.exp(x);
}

interface Product {
  readonly logAbs: Float64Array;
  readonly phase: Float64Array;
  readonly logError: Float64Array;
  /** log of the least factor, with its error. */
  readonly least: Float64Array;
}

function product(powers: readonly Power[], length: number): Product {
  const logAbs = new Float64Array(length);
  const phase = new Float64Array(length);
  const logError = new Float64Array(length);
  const least = new Float64Array(length).fill(Infinity);
  for (const { spectrum, count } of powers) {
    const { logAbs: ones, phase: phases, logError: errors } = spectrum;
    for (let k = 0; k < length; k++) {
      const one = ones[k]!;
      const error = errors[k]!;
      logAbs[k]! += count * one;
      logError[k]! += count * error;
      phase[k]! += count * phases[k]!;
      if (one + error < least[k]!) least[k] = one + error;
    }
  }
  return { logAbs, phase, logError, least };
}

interface Totals extends Pick<ComposedSpectrum, 'logMoment' | 'infinite' | 'relativeError' | 'lossError'> {
  readonly eachError: number;
  readonly normError: number;
}

function totalsOf(powers: readonly Power[]): Totals {
  let [logMoment, survival, relativeError, lossError, eachError, normError] = [0, 0, 0, 0, 0, 0];
  for (const { spectrum, count } of powers) {
    logMoment += count * spectrum.logMoment;
    survival += count * Math.log1p(-Math.min(1, spectrum.infinite));
    relativeError += count * 8 * UNIT * (1 + Math.abs(spectrum.logMoment));
    lossError += count * spectrum.lossError;
    eachError += count * spectrum.eachError;
    normError += count * spectrum.normError;
  }
  const infinite = -Math.expm1(survival) * (1 + 16 * UNIT);
  return { logMoment, infinite, relativeError, lossError, eachError, normError };
}
