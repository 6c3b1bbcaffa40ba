/**
 * log E_P e^{sL} along the line s = c + i k step, k = 0, 1, ..., for one pair, relative to its value at c.
 *
 * Where the moment is near 1 it is formed as 1 plus E_P[expm1(sL) + s expm1(-L)], so that its T-th power, T up to millions, is as exact as the
 * moment itself; cos - 1 and sin are carried from one k to the next by a rotation written for small angles.
 */
import type { Band } from '../pairs/band.ts';
import type { LossPair } from '../pairs/loss-pair.ts';
import { weighedExpm1 } from './cumulant.ts';
import { nodesOf } from './nodes.ts';

export interface LineMoments {
  /** Real part of log E e^{sL} - log E e^{cL}, and its imaginary part. */
  readonly logAbs: Float64Array;
  readonly phase: Float64Array;
  /** Nodes that stood for the pair. */
  readonly nodes: number;
}

/** What is known of the line. */
export interface Line {
  readonly tilt: number;
  readonly step: number;
  /** See the demands on nodes. */
  readonly fineBelow: number;
  readonly band?: Band;
}

/** Largest cumulant at c for which the moment counts as near 1. */
const NEAR_ONE = 0.5;
/** Rotations until sine and cosine are formed anew. */
const ROTATIONS = 64;

/** The moments for k = from to to - 1; nothing where too many nodes would be needed for them. @param cumulant log E_P e^{cL} */
export function momentsOnLine(
  pair: LossPair,
  line: Line,
  range: { from: number; to: number },
  cumulant: number,
): LineMoments | undefined {
  const nodes = nodesOf(pair, { ...line, oscillation: line.step * range.to });
  if (nodes.isCoarse) return undefined;
  const near = Math.abs(cumulant) < NEAR_ONE;
  const re = new Float64Array(range.to - range.from);
  const im = new Float64Array(range.to - range.from);
  let [constant, slope] = [0, 0];
  for (let j = 0; j < nodes.losses.length; j++) {
    const loss = nodes.losses[j]!;
    const logMass = nodes.logMasses[j]!;
    const weight = Math.exp(logMass + line.tilt * loss - (near ? 0 : cumulant));
    if (near) {
      const back = weighedExpm1(logMass, -loss);
      constant += weighedExpm1(logMass, line.tilt * loss) + line.tilt * back;
      slope += back;
    }
    if (weight > 1e-22) accumulate(weight, loss * line.step, range.from, re, im);
  }
  // Near 1: re holds E e^{cL}(cos - 1), to which the value at c is added; otherwise the moment is 1 + re + i im.
  const atTilt = near ? constant : 0;
  const scale = near ? cumulant : 0;
  for (let i = 0; i < re.length; i++) {
    const x = re[i]! + atTilt;
    const y = im[i]! + (near ? slope * line.step * (range.from + i) : 0);
    const square = 2 * x + x * x + y * y;
    re[i] = 0.5 * (square > -0.999 ? Math.log1p(square) : Math.log((1 + x) ** 2 + y * y)) - scale;
    im[i] = Math.atan2(y, 1 + x) - (near ? slope * line.step * (range.from + i) : 0);
  }
  return { logAbs: re, phase: im, nodes: nodes.losses.length };
}

/** Adds weight (e^{i k angle} - 1) for k from `first` on. */
function accumulate(weight: number, angle: number, first: number, re: Float64Array, im: Float64Array): void {
  const half = Math.sin(angle / 2);
  const [dc, ds] = [-2 * half * half, Math.sin(angle)];
  for (let start = 0; start < re.length; start += ROTATIONS) {
    const begin = (first + start) * angle;
    const sine = Math.sin(begin / 2);
    let [c, s] = [-2 * weight * sine * sine, weight * Math.sin(begin)];
    const end = Math.min(re.length, start + ROTATIONS);
    for (let i = start; i < end; i++) {
      re[i]! += c;
      im[i]! += s;
      const turned = c + weight * dc + c * dc - s * ds;
      s = s + weight * ds + c * ds + s * dc;
      c = turned;
    }
  }
}
