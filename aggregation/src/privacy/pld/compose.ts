/**
 * T-fold products of tilted spectra, with the errors that come of them.
 *
 * Of two products whose factors differ by e_i the difference is at most the sum of the e_i, each times the other factors' larger values. The
 * part of e with a bounded 2-norm meets the pay-off in the inequality of Cauchy and Schwarz.
 */
import { UNIT } from '../numerics/normal.ts';
import type { ComposedSpectrum } from './payoff.ts';
import type { TiltedSpectrum } from './spectrum.ts';

interface Power {
  readonly spectrum: TiltedSpectrum;
  readonly count: number;
}

type Circle = Pick<ComposedSpectrum, 'size' | 'spacing' | 'tilt'>;

/** e^-40 of the largest frequency: left out, and charged. */
const DROPPED = -40;

export function compose(powers: readonly Power[], circle: Circle): ComposedSpectrum {
  const { size, spacing } = circle;
  const half = size / 2;
  const frequencies = new Float64Array(half + 1);
  const re = new Float64Array(half + 1);
  const im = new Float64Array(half + 1);
  const kernel = new Float64Array(2);
  const widest = -Math.expm1(-spacing);
  let [kept, dropped, rounding, each, squares] = [0, 0, 0, 0, 0];
  for (let k = 0; k <= half; k++) {
    let [logAbs, phase, logError, turned, least] = [0, 0, 0, 0, Infinity];
    for (const { spectrum, count } of powers) {
      const [one, error] = [spectrum.logAbs[k]!, spectrum.logError[k]!];
      logAbs += count * one;
      logError += count * error;
      phase += count * spectrum.phase[k]!;
      turned += count * Math.abs(spectrum.phase[k]!);
      least = Math.min(least, one + error);
    }
    const twice = k === 0 || k === half ? 1 : 2;
    kernelAt(k, circle, kernel);
    const [kr, ki] = [kernel[0]!, kernel[1]!];
    const weight = widest * Math.sqrt(kr * kr + ki * ki);
    if (logAbs < DROPPED) {
      dropped += twice * weight * Math.exp(logAbs + logError);
      continue;
    }
    const abs = Math.exp(logAbs);
    const others = weight * Math.exp(logAbs + logError - least);
    each += twice * others;
    squares += twice * others * others;
    rounding += twice * weight * abs * 4 * UNIT * (8 - logAbs + turned);
    const [x, y] = [abs * Math.cos(phase), abs * Math.sin(phase)];
    frequencies[kept] = k;
    re[kept] = twice * (x * kr - y * ki);
    im[kept] = twice * (x * ki + y * kr);
    kept += 1;
  }
  const { eachError, normError, ...totals } = totalsOf(powers);
  const error = dropped + rounding + each * eachError + Math.sqrt(squares) * normError;
  const [used, usedRe, usedIm] = [frequencies, re, im].map((all) => all.subarray(0, kept));
  return { ...circle, ...totals, error, frequencies: used!, re: usedRe!, im: usedIm! };
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

/** 1 / ((1 - z) (1 - z e^{-h})), z = e^{-ch + i theta}, the differences formed without cancellation. */
function kernelAt(k: number, { size, spacing: h, tilt }: Circle, out: Float64Array): void {
  const angle = (Math.PI * k) / size;
  const half = Math.sin(angle);
  const [versine, sine] = [2 * half * half, 2 * half * Math.cos(angle)];
  const [r1, r2] = [Math.exp(-tilt * h), Math.exp(-(tilt + 1) * h)];
  const [a, b] = [-Math.expm1(-tilt * h) + r1 * versine, -r1 * sine];
  const [c, d] = [-Math.expm1(-(tilt + 1) * h) + r2 * versine, -r2 * sine];
  const [x, y] = [a * c - b * d, a * d + b * c];
  const square = x * x + y * y;
  out[0] = x / square;
  out[1] = -y / square;
}
