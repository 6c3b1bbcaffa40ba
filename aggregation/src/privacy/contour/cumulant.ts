/** The cumulant function K(s) = log E_P e^{sL} of a pair at real s, with two derivatives. (s = order - 1 gives Renyi divergences.) */
import type { Band } from '../pairs/band.ts';
import type { LossPair } from '../pairs/loss-pair.ts';
import { nodesOf } from './nodes.ts';

export interface Cumulant {
  readonly value: number;
  /** Mean and variance of the loss under P tilted by e^{sL}. */
  readonly mean: number;
  readonly variance: number;
}

/** Below it, e^K is computed as 1 plus a sum of terms that are all positive. */
const SMALL = 0.05;

/** s > 0. The infinite part of the pair is left out, and what is not in the band. */
export function cumulant(pair: LossPair, s: number, band: Band = { tail: 0 }): Cumulant {
  const { losses, logMasses } = nodesOf(pair, { tilt: s, band });
  if (losses.length === 0) return { value: -Infinity, mean: 0, variance: 0 };
  let top = -Infinity;
  for (let i = 0; i < losses.length; i++) top = Math.max(top, logMasses[i]! + s * losses[i]!);
  let [sum, first] = [0, 0];
  for (let i = 0; i < losses.length; i++) {
    const weight = Math.exp(logMasses[i]! + s * losses[i]! - top);
    sum += weight;
    first += weight * losses[i]!;
  }
  const mean = first / sum;
  let second = 0;
  for (let i = 0; i < losses.length; i++) {
    second += Math.exp(logMasses[i]! + s * losses[i]! - top) * (losses[i]! - mean) ** 2;
  }
  const direct = top + Math.log(sum);
  const isWhole = band.above === undefined;
  const value = isWhole && Math.abs(direct) < SMALL ? smallValue(losses, logMasses, s) : direct;
  return { value, mean, variance: second / sum };
}

/**
 * E_P e^{sL} - 1 = E_P[expm1(sL) + s expm1(-L)], since E_P e^{-L} = 1: what is averaged is never negative, so a K of 1e-9 comes
 * out as exact as one of 1.
 */
function smallValue(losses: Float64Array, logMasses: Float64Array, s: number): number {
  let excess = 0;
  for (let i = 0; i < losses.length; i++) excess += weighedGap(logMasses[i]!, s, losses[i]!);
  return Math.log1p(excess);
}

/** Above it, an exponential is not formed without the mass that makes it small. */
const LARGE = 600;

/** Mass times (e^x - 1). */
export function weighedExpm1(logMass: number, x: number): number {
  return x < LARGE ? Math.exp(logMass) * Math.expm1(x) : Math.exp(logMass + x);
}

function weighedGap(logMass: number, s: number, loss: number): number {
  if (Math.max(s * loss, -loss) < LARGE) return Math.exp(logMass) * convexGap(s, loss);
  return weighedExpm1(logMass, s * loss) + s * weighedExpm1(logMass, -loss);
}

/** e^{sl} - 1 + s (e^{-l} - 1), by its series where the two nearly cancel. */
function convexGap(s: number, loss: number): number {
  const largest = Math.abs(loss) * Math.max(1, Math.abs(s));
  if (largest > 0.05) return Math.expm1(s * loss) + s * Math.expm1(-loss);
  let [sum, power, sPower, sign] = [0, loss, s, -1];
  for (let k = 2; k < 12; k++) {
    power *= loss / k;
    sPower *= s;
    sign = -sign;
    sum += power * (sPower + sign * s);
  }
  return sum;
}
