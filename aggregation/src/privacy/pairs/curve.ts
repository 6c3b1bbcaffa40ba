/**
 * The continuous part of a dominating pair: P and Q are mixtures of one noise at several centres, over an interval on which the
 * privacy loss rises strictly. In units of the noise's scale.
 */
import { UNIT } from '../numerics/normal.ts';
import type { Noise } from './noise.ts';
import type { Band } from './band.ts';
import { logMean } from './shift-mixture.ts';
import type { ShiftMixture } from './shift-mixture.ts';

/** Everything about one end of a cell: the place, and for each centre the smaller tail and the side it lies on. */
export interface Edge {
  readonly x: number;
  readonly tails: Float64Array;
}

export interface CellMasses {
  p: number;
  q: number;
  /** Bounds on the rounding errors of `p` and `q`. */
  pError: number;
  qError: number;
}

/** Units in the last place that a tail may be off, before the part that grows with the square of its argument. */
const TAIL_ULPS = 20;

export interface CurveRange {
  readonly from: number;
  readonly to: number;
  /** P and Q are multiplied by it: the probability of the public case that the curve belongs to. */
  readonly weight: number;
}

export class Curve {
  readonly noise: Noise;
  readonly range: CurveRange;
  /** Losses at the two ends of the interval. */
  readonly lowest: number;
  readonly highest: number;
  readonly centres: readonly number[];
  readonly #pCentres: readonly number[];
  readonly #qCentres: readonly number[];
  readonly #pWeights: readonly number[];
  readonly #qWeights: readonly number[];
  /** By centre of {@link centres}. */
  readonly #pOf: readonly number[];
  readonly #qOf: readonly number[];
  readonly #scratchP: number[];
  readonly #scratchQ: number[];

  /** @param scale of the noise, in the units of the mixture */
  constructor(noise: Noise, scale: number, mixture: ShiftMixture, range: Partial<CurveRange> = {}) {
    this.noise = noise;
    this.range = { from: -Infinity, to: Infinity, weight: 1, ...range };
    this.#pCentres = mixture.p.map(({ centre }) => centre / scale);
    this.#qCentres = mixture.q.map(({ centre }) => centre / scale);
    this.#pWeights = mixture.p.map(({ weight }) => weight);
    this.#qWeights = mixture.q.map(({ weight }) => weight);
    this.centres = [...new Set([...this.#pCentres, ...this.#qCentres])];
    this.#pOf = this.centres.map((centre) => weightAt(centre, this.#pCentres, this.#pWeights));
    this.#qOf = this.centres.map((centre) => weightAt(centre, this.#qCentres, this.#qWeights));
    this.#scratchP = this.#pCentres.map(() => 0);
    this.#scratchQ = this.#qCentres.map(() => 0);
    this.lowest = this.#endLoss(this.range.from);
    this.highest = this.#endLoss(this.range.to);
  }

  get leastCentre(): number {
    return Math.min(...this.centres);
  }

  get greatestCentre(): number {
    return Math.max(...this.centres);
  }

  /** log dP/dQ at x. */
  lossAt(x: number): number {
    this.#ratios(x);
    return logMean(this.#pWeights, this.#scratchP) - logMean(this.#qWeights, this.#scratchQ);
  }

  /** log of P's density at x, weight included. */
  logDensity(x: number): number {
    this.#ratios(x);
    const { noise, range } = this;
    return noise.logDensity(x) + noise.logConstant + Math.log(range.weight) + logMean(this.#pWeights, this.#scratchP);
  }

  #ratios(x: number): void {
    const { noise } = this;
    for (let i = 0; i < this.#pCentres.length; i++) this.#scratchP[i] = noise.logRatio(x, this.#pCentres[i]!);
    for (let i = 0; i < this.#qCentres.length; i++) this.#scratchQ[i] = noise.logRatio(x, this.#qCentres[i]!);
  }

  #endLoss(x: number): number {
    if (Number.isFinite(x)) return this.lossAt(x);
    // Far out one centre rules, except where P and Q share the outermost one: then the loss tends to the ratio of its weights.
    const outermost = x > 0 ? this.greatestCentre : this.leastCentre;
    const i = this.centres.indexOf(outermost);
    const [p, q] = [this.#pOf[i]!, this.#qOf[i]!];
    if (p > 0 && q > 0) return Math.log(p) - Math.log(q);
    return p > 0 ? Infinity : -Infinity;
  }

  /** The place with that loss; an end of the interval when the loss is not within. `near` is where the search starts. */
  placeOf(loss: number, near: number): number {
    if (loss <= this.lowest) return this.range.from;
    if (loss >= this.highest) return this.range.to;
    return this.#simplePlace(loss) ?? this.#searchedPlace(loss, near);
  }

  /** Whether places are searched for, which takes longer. */
  get isSearched(): boolean {
    return this.noise.kink || !(isOrigin(this.#qCentres) || isOrigin(this.#pCentres));
  }

  /** In closed form where one side is a single Gaussian at 0 and the other has one more centre. */
  #simplePlace(loss: number): number | undefined {
    if (this.noise.kink) return undefined;
    if (isOrigin(this.#qCentres)) return gaussianPlace(this.#pCentres, this.#pWeights, loss);
    if (isOrigin(this.#pCentres)) return gaussianPlace(this.#qCentres, this.#qWeights, -loss);
    return undefined;
  }

  /** Bisection inside a bracket, sped up by secants. */
  #searchedPlace(loss: number, near: number): number {
    const { from, to } = this.range;
    let start = Math.min(Math.max(near, from), to);
    if (!Number.isFinite(start)) start = 0;
    let [low, high] = [start, start];
    for (let step = 0.1; low > from && this.lossAt(low) > loss; step *= 2) low = Math.max(from, low - step);
    for (let step = 0.1; high < to && this.lossAt(high) < loss; step *= 2) high = Math.min(to, high + step);
    let [below, above] = [this.lossAt(low) - loss, this.lossAt(high) - loss];
    const close = UNIT * (1 + Math.abs(loss));
    let last = 0;
    for (let i = 0; i < 120 && high - low > 2 * UNIT * Math.abs(high); i++) {
      let x = (low * above - high * below) / (above - below);
      if (i % 3 === 2 || !(x > low && x < high)) x = low + (high - low) / 2;
      if (x <= low || x >= high) break;
      const value = this.lossAt(x) - loss;
      if (Math.abs(value) <= close) return x;
      if (value < 0) {
        [low, below] = [x, value];
        if (last === -1) above /= 2;
        last = -1;
      } else {
        [high, above] = [x, value];
        if (last === 1) below /= 2;
        last = 1;
      }
    }
    return -below < above ? low : high;
  }

  edgeAt(x: number): Edge {
    const tails = new Float64Array(this.centres.length);
    for (let i = 0; i < tails.length; i++) tails[i] = this.noise.upperTail(Math.abs(x - this.centres[i]!));
    return { x, tails };
  }

  /** P and Q of the cell between two edges, into `masses`. */
  massBetween(low: Edge, high: Edge, masses: CellMasses): void {
    let [p, q, pError, qError] = [0, 0, 0, 0];
    for (let i = 0; i < this.centres.length; i++) {
      const centre = this.centres[i]!;
      const [a, b] = [low.x - centre, high.x - centre];
      const [lowTail, highTail] = [low.tails[i]!, high.tails[i]!];
      const mass = Math.max(0, a >= 0 ? lowTail - highTail : b <= 0 ? highTail - lowTail : 1 - lowTail - highTail);
      const square = Math.min(a * a, b * b);
      const largest = a < 0 && b > 0 ? 1 : Math.max(lowTail, highTail);
      const error = (TAIL_ULPS + (square < 1e4 ? 2 * square : 0)) * UNIT * largest;
      p += this.#pOf[i]! * mass;
      q += this.#qOf[i]! * mass;
      pError += this.#pOf[i]! * error;
      qError += this.#qOf[i]! * error;
    }
    const { weight } = this.range;
    masses.p = weight * p;
    masses.q = weight * q;
    masses.pError = weight * pError + 4 * UNIT * masses.p;
    masses.qError = weight * qError + 4 * UNIT * masses.q;
  }
}

/** The places of a band; of a curve whose loss has a bound all belong to the lowest band. */
export function bandOf(curve: Curve, { tail, above }: Band): { readonly from: number; readonly to: number } {
  const { from, to } = curve.range;
  if (curve.highest < Infinity) return above === undefined ? { from, to } : { from: to, to };
  const placeOf = (mass: number): number => Math.min(to, curve.greatestCentre + curve.noise.upperQuantile(mass));
  return { from: above === undefined ? from : Math.max(from, placeOf(above)), to: tail > 0 ? placeOf(tail) : to };
}

function weightAt(centre: number, centres: readonly number[], weights: readonly number[]): number {
  const i = centres.indexOf(centre);
  return i < 0 ? 0 : weights[i]!;
}

function isOrigin(centres: readonly number[]): boolean {
  return centres.length === 1 && centres[0] === 0;
}

/** x with log(sum of weight e^{c (x - c/2)}) = value, for centres 0 and c or c alone; NaN where there is none. */
function gaussianPlace(centres: readonly number[], weights: readonly number[], value: number): number | undefined {
  if (centres.length === 1) {
    const centre = centres[0]!;
    return centre === 0 ? undefined : value / centre + 0.5 * centre;
  }
  if (centres.length > 2 || !centres.includes(0)) return undefined;
  const at = centres[0] === 0 ? 1 : 0;
  const centre = centres[at]!;
  const weight = weights[at]!;
  const rest = weights[1 - at]!;
  // log((e^value - rest) / weight), without cancellation near 0 and without overflow.
  const exponent =
    value > 30
      ? value - Math.log(weight) + Math.log1p(-rest * Math.exp(-value))
      : Math.abs(value) < 0.5
        ? Math.log1p(Math.expm1(value) / weight)
        : Math.log((Math.exp(value) - rest) / weight);
  return exponent / centre + 0.5 * centre;
}
