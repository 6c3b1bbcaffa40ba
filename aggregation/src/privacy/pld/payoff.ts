/**
 * delta(epsilon) = sum over i of y_i (1 - e^{epsilon - i h})_+ of the composed masses y_i, read off their tilted spectrum without
 * going back: (1/N) sum_k Phi_k W_k, where W_k is the transform of the tilted pay-off, a geometric series.
 *
 * The series runs over all i up to infinity while the spectrum lives on a circle of N places. So the value is the true sum plus what
 * lies a whole number of turns away, weighed by the pay-off: none of that is negative. A circle that is too small makes the bound loose,
 * never low, and no mass outside a window is left to be bounded.
 */
import { UNIT } from '../numerics/normal.ts';

/** One direction, composed: all that is asked of it for any epsilon. */
export interface ComposedSpectrum {
  readonly size: number;
  readonly spacing: number;
  readonly tilt: number;
  readonly logMoment: number;
  /** Frequencies that are not negligible, and Phi_k / ((1 - z_k) (1 - z_k e^{-h})) there, z_k = e^{-ch + 2 pi i k / N}. */
  readonly frequencies: Float64Array;
  readonly re: Float64Array;
  readonly im: Float64Array;
  /** Bound on everything that is wrong with the sum, before the factor that {@link deltaAt} puts before it. */
  readonly error: number;
  /** P's mass with an infinite loss, composed. */
  readonly infinite: number;
  /** Relative rounding error of the factor. */
  readonly relativeError: number;
  /** By so much may a composed loss lie above its place. */
  readonly lossError: number;
}

/** An upper bound on delta(epsilon) of everything composed that has a finite loss. */
export function finiteDelta(spectrum: ComposedSpectrum, epsilon: number): number {
  const { size, spacing: h, tilt, frequencies, re, im } = spectrum;
  const shifted = epsilon - spectrum.lossError;
  const first = Math.floor(shifted / h) + 1;
  const rho = Math.min(1, Math.exp(shifted - first * h));
  const [a, b] = [1 - rho, Math.max(0, rho - Math.exp(-h)) * Math.exp(-tilt * h)];
  const turn = (2 * Math.PI) / size;
  const start = ((first % size) + size) % size;
  let sum = 0;
  let size1 = 0;
  for (let i = 0; i < frequencies.length; i++) {
    const k = frequencies[i]!;
    const angle = turn * ((k * start) % size);
    const next = turn * ((k * (start + 1)) % size);
    const [wr, wi] = [a * Math.cos(angle) + b * Math.cos(next), a * Math.sin(angle) + b * Math.sin(next)];
    sum += re[i]! * wr - im[i]! * wi;
    size1 += Math.abs(re[i]! * wr) + Math.abs(im[i]! * wi);
  }
  const scale = spectrum.logMoment - tilt * first * h;
  const rounding = size1 * (16 + Math.log2(2 + frequencies.length)) * UNIT;
  const value = (Math.max(0, sum) + rounding + spectrum.error) / size;
  const relative = spectrum.relativeError + 8 * UNIT * (8 + Math.abs(spectrum.logMoment) + Math.abs(tilt * first * h));
  return value * Math.exp(scale + relative);
}
