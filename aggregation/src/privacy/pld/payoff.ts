/**
 * delta(epsilon) = sum over i of y_i (1 - e^{epsilon - i h})_+ of the composed masses y_i, read off their tilted spectrum without
 * going back: (1/N) sum_k Phi_k W_k, where W_k is the transform of the tilted pay-off, a geometric series.
 *
 * The series runs over all i up to infinity while the spectrum lives on a circle of N places. So the value is the true sum plus what
 * lies a whole number of turns away, weighed by the pay-off: none of that is negative. A circle that is too small makes the bound loose,
 * never low, and no mass outside a window is left to be bounded.
 */
import { UNIT } from '../numerics/normal.ts';
import type { Circle, Kernel } from './kernel.ts';

/** One direction, composed: all that is asked of it for any epsilon. */
export interface ComposedSpectrum extends Circle {
  readonly kernel: Kernel;
  readonly logMoment: number;
  /** Frequencies that are not negligible, and Phi_k / ((1 - z_k) (1 - z_k e^{-h})) there, z_k = e^{-ch + 2 pi i k / N}. */
  readonly frequencies: Float64Array;
  readonly re: Float64Array;
  readonly im: Float64Array;
  /** Sum of the moduli, at least. */
  readonly absolute: number;
  /** Bound on everything that is wrong with the sum, before the factor that {@link finiteDelta} puts before it. */
  readonly error: number;
  /** P's mass with an infinite loss, composed. */
  readonly infinite: number;
  /** Relative rounding error of the factor. */
  readonly relativeError: number;
  /** By so much may a composed loss lie above its place. */
  readonly lossError: number;
}

/** Terms are added up in blocks of so many, and the blocks with a compensation: the error of a sum grows with how many were added one by one. */
const BLOCK = 64;

/** An upper bound on delta(epsilon) of everything composed that has a finite loss. */
export function finiteDelta(spectrum: ComposedSpectrum, epsilon: number): number {
  const { size, spacing: h, tilt } = spectrum;
  // The rounding of places i h is as good as another epsilon: one that is a little lower is on the safe side.
  const shifted = epsilon - spectrum.lossError - 8 * UNIT * (Math.abs(epsilon) + h);
  const first = Math.floor(shifted / h) + 1;
  const gap = Math.min(h, Math.max(0, first * h - shifted));
  const a = -Math.expm1(-gap);
  const b = Math.exp(-h) * Math.expm1(h - gap) * Math.exp(-tilt * h);
  const sum = weighedSum(spectrum, ((first % size) + size) % size, a, b);
  const rounding = (40 + BLOCK) * UNIT * (a + b) * spectrum.absolute;
  const value = (Math.max(0, sum) + rounding + spectrum.error) / size;
  const scale = spectrum.logMoment - tilt * first * h;
  const relative = spectrum.relativeError + 8 * UNIT * (8 + Math.abs(spectrum.logMoment) + Math.abs(tilt * first * h));
  return value * Math.exp(scale + relative);
}

/** Sum over k of Re (coefficient times (a + b e^{i theta_k}) e^{i start theta_k}). */
function weighedSum(spectrum: ComposedSpectrum, start: number, a: number, b: number): number {
  const { size, frequencies, re, im } = spectrum;
  const { cos, sin } = spectrum.kernel;
  const turn = (2 * Math.PI) / size;
  let [sum, lost] = [0, 0];
  for (let from = 0; from < frequencies.length; from += BLOCK) {
    const end = Math.min(frequencies.length, from + BLOCK);
    let block = 0;
    for (let i = from; i < end; i++) {
      const k = frequencies[i]!;
      const angle = turn * ((k * start) % size);
      const c = Math.cos(angle);
      const s = Math.sin(angle);
      const u = a + b * cos[k]!;
      const v = b * sin[k]!;
      block += re[i]! * (u * c - v * s) - im[i]! * (u * s + v * c);
    }
    const next = sum + block;
    lost += Math.abs(sum) >= Math.abs(block) ? sum - next + block : block - next + sum;
    sum = next;
  }
  return sum + lost;
}
