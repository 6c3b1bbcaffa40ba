/** Continuous noise: what the accountants ask of it, at unit scale and centre 0. */
import { upperQuantile, upperTail } from '../numerics/normal.ts';

export interface Noise {
  /** P(X > x), relative accuracy for x >= 0. */
  upperTail(x: number): number;
  /** log density(x), up to a constant. */
  logDensity(x: number): number;
  /** log density(x - shift) - log density(x). */
  logRatio(x: number, shift: number): number;
  /** log of the density's constant. */
  readonly logConstant: number;
  /** x with P(X > x) <= probability. */
  upperQuantile(probability: number): number;
  /** Where the density is not smooth. */
  readonly kink: boolean;
}

export const GAUSSIAN_NOISE: Noise = {
  upperTail,
  logDensity: (x) => -0.5 * x * x,
  logRatio: (x, shift) => shift * (x - 0.5 * shift),
  logConstant: -0.5 * Math.log(2 * Math.PI),
  upperQuantile,
  kink: false,
};

export const LAPLACE_NOISE: Noise = {
  upperTail: (x) => (x >= 0 ? 0.5 * Math.exp(-x) : 1 - 0.5 * Math.exp(x)),
  logDensity: (x) => -Math.abs(x),
  logRatio: (x, shift) => Math.abs(x) - Math.abs(x - shift),
  logConstant: -Math.LN2,
  upperQuantile: (probability) => Math.max(0, -Math.log(2 * probability)),
  kink: true,
};
