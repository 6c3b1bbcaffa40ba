/**
 * Connect the dots (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022): P's mass in a cell of losses is moved to the two ends of the cell, so
 * that the masses of P and of Q are both kept. The hockey-stick divergence is convex in e^epsilon, so the result dominates the pair at every
 * order, however wide the cells are; they are as wide as the tolerance allows.
 *
 * Rounding errors keep the dominance because each goes the safe way: P is rounded up, the share of the lower end down.
 */
import { UNIT } from '../numerics/normal.ts';
import { bandOf } from '../pairs/curve.ts';
import type { CellMasses, Curve, Edge } from '../pairs/curve.ts';
import { atomLimit } from '../pairs/loss-pair.ts';
import type { Band } from '../pairs/band.ts';
import type { LossPair } from '../pairs/loss-pair.ts';

/** Where the losses may lie, and how finely they are to be told apart. */
export interface Lattice {
  /** Distance of two neighbours; 0 is one of them. */
  readonly spacing: number;
  /** c: what matters is weighed by e^{cL}. */
  readonly tilt: number;
  /** log E_P e^{cL}. */
  readonly logMoment: number;
  /** Losses that count. */
  readonly band: Band;
  /** Part of the composed E e^{cL} that delta is made of; the rest cancels. Cells must be finer where it is small. */
  readonly relevance: number;
}

/** P's masses at multiples of the spacing; an index may come more than once. */
export interface Discretised {
  readonly indices: readonly number[];
  readonly masses: readonly number[];
  readonly infinite: number;
  /** By so much, at most, lies a true loss above the multiple that stands for it: rounding of places and multiples. */
  readonly lossError: number;
}

/** A cell is not cut further when it adds no more than this share to the error of the finest cells. */
const SHARE = 1 / 1000;
/** So many cells at most: wider ones still dominate, and what they cost is measured. Fewer where the ends of each must be searched for. */
const MOST_CELLS = 2 ** 19;
const MOST_SEARCHED = 2 ** 16;
/** Tail of P at the lower end that is rounded up in one piece. */
const LOWER_TAIL = 1e-24;
/** Above it e^loss is not formed: the cell goes to its upper end. */
const LARGE_LOSS = 600;

export function discretise(pair: LossPair, lattice: Lattice): Discretised {
  const isLowest = lattice.band.above === undefined;
  const out: Output = { indices: [], masses: [], infinite: isLowest ? pair.infinite * (1 + 8 * UNIT) : 0, extreme: 0 };
  placeAtoms(pair, lattice, out);
  for (const curve of pair.curves) placeCurve(curve, lattice, out);
  return { ...out, lossError: 64 * UNIT * (1 + out.extreme) };
}

interface Output {
  readonly indices: number[];
  readonly masses: number[];
  infinite: number;
  /** Largest loss, either way. */
  extreme: number;
}

function placeAtoms(pair: LossPair, { spacing, band }: Lattice, out: Output): void {
  const { losses, masses } = pair;
  const lowest = band.above === undefined ? -Infinity : atomLimit(pair, band.above);
  const highest = atomLimit(pair, band.tail);
  // Probabilities of integer noise are sums over their neighbours: their errors grow with how many there are.
  const inflation = 1 + (64 + 2 * losses.length) * UNIT;
  for (let i = 0; i < losses.length; i++) {
    const mass = masses[i]! * inflation;
    if (!(mass > 0) || losses[i]! <= lowest) continue;
    if (losses[i]! > highest) {
      if (band.continued !== true) out.infinite += mass;
      continue;
    }
    const loss = losses[i]! + 8 * UNIT * Math.abs(losses[i]!);
    const low = Math.floor(loss / spacing);
    const upper = Math.min(1, Math.max(0, Math.expm1(low * spacing - loss) / Math.expm1(-spacing)) + 8 * UNIT);
    out.indices.push(low, low + 1);
    out.masses.push(mass * (1 - upper), mass * upper);
    out.extreme = Math.max(out.extreme, Math.abs(loss));
  }
}

function placeCurve(curve: Curve, lattice: Lattice, out: Output): void {
  const { spacing, band } = lattice;
  const { from, to } = bandOf(curve, band);
  if (from >= to) return;
  const isLowest = band.above === undefined;
  const bottom = Math.max(from, curve.leastCentre - curve.noise.upperQuantile(LOWER_TAIL));
  const top = Math.min(to, curve.greatestCentre + curve.noise.upperQuantile(boundedTail(curve, lattice)));
  const [lowEdge, highEdge] = [curve.edgeAt(bottom), curve.edgeAt(curve.highest < Infinity ? top : to)];
  const first = Math.floor(curve.lossAt(bottom) / spacing);
  const last = Math.max(first + 1, Math.ceil(curve.lossAt(highEdge.x) / spacing));
  if (isLowest && bottom > curve.range.from) {
    const below = cellOf(curve, curve.edgeAt(curve.range.from), lowEdge);
    out.indices.push(first);
    out.masses.push(below.p + below.pError);
  }
  if (highEdge.x < curve.range.to) {
    const above = cellOf(curve, highEdge, curve.edgeAt(curve.range.to));
    if (curve.highest < Infinity) {
      out.indices.push(Math.ceil(curve.highest / spacing));
      out.masses.push(above.p + above.pError);
    } else if (band.continued !== true) out.infinite += above.p + above.pError;
  }
  out.extreme = Math.max(out.extreme, Math.abs(first * spacing), Math.abs(last * spacing));
  new Cutter(curve, lattice, out).cut({ low: { index: first, edge: lowEdge }, high: { index: last, edge: highEdge } });
}

/** Where a loss is bounded its last part is rounded up to the bound: so much of P that it does not show under the tilt either. */
function boundedTail({ highest }: Curve, { tilt, logMoment, relevance }: Lattice): number {
  if (highest === Infinity) return LOWER_TAIL;
  return Math.max(1e-300, Math.min(LOWER_TAIL, 1e-10 * relevance * Math.exp(Math.min(0, logMoment - tilt * highest))));
}

function cellOf(curve: Curve, low: Edge, high: Edge): CellMasses {
  const masses = { p: 0, q: 0, pError: 0, qError: 0 };
  curve.massBetween(low, high, masses);
  return masses;
}

interface Dot {
  readonly index: number;
  readonly edge: Edge;
}

interface Cell {
  readonly low: Dot;
  readonly high: Dot;
}

/** Cuts cells in halves until each is fine enough or as narrow as the lattice. */
class Cutter {
  readonly #curve: Curve;
  readonly #lattice: Lattice;
  readonly #out: Output;
  readonly #masses: CellMasses = { p: 0, q: 0, pError: 0, qError: 0 };
  /** Square of the width in cells, times 3/2, at which the chord errs by the whole mass. */
  readonly #ceiling: number;

  constructor(curve: Curve, lattice: Lattice, out: Output) {
    this.#curve = curve;
    this.#lattice = lattice;
    this.#out = out;
    const { tilt, spacing } = lattice;
    this.#ceiling = 12 / (tilt * (tilt + 1) * spacing * spacing);
  }

  /** Level by level, so that when there are enough cells those that matter more are as narrow as those that matter less. */
  cut(whole: Cell): void {
    const most = this.#curve.isSearched ? MOST_SEARCHED : MOST_CELLS;
    let made = 0;
    for (let open = [whole]; open.length > 0;) {
      const mayCut = made + 2 * open.length <= most;
      const next: Cell[] = [];
      for (const cell of open) {
        const { low, high } = cell;
        this.#curve.massBetween(low.edge, high.edge, this.#masses);
        if (mayCut && this.#isWide(cell)) {
          const middle = this.#middle(cell);
          next.push({ low, high: middle }, { low: middle, high });
        } else {
          this.#connect(low.index, high.index);
          made += 1;
        }
      }
      open = next;
    }
  }

  #isWide({ low, high }: Cell): boolean {
    const width = high.index - low.index;
    return width > 1 && this.#error(high.index, width) > SHARE * this.#lattice.relevance;
  }

  #middle({ low, high }: Cell): Dot {
    const index = low.index + Math.floor((high.index - low.index) / 2);
    const near = (low.edge.x + high.edge.x) / 2;
    const place = this.#curve.placeOf(index * this.#lattice.spacing, near);
    // The ends of the band need not lie on the lattice, so a place between them might.
    return { index, edge: this.#curve.edgeAt(Math.min(high.edge.x, Math.max(low.edge.x, place))) };
  }

  /** The cell's part of E_P e^{cL}, times the square of its width, in units of what the finest cells err by together. */
  #error(highIndex: number, width: number): number {
    const { tilt, spacing, logMoment } = this.#lattice;
    const { p, pError } = this.#masses;
    const tilted = (p + pError) * Math.exp(Math.min(700, tilt * highIndex * spacing - logMoment));
    return tilted * Math.min(this.#ceiling, 1.5 * width * width);
  }

  #connect(low: number, high: number): void {
    const { spacing } = this.#lattice;
    const { p, q, pError, qError } = this.#masses;
    const mass = p + pError;
    if (!(mass > 0)) return;
    const loss = low * spacing;
    const width = (high - low) * spacing;
    let lower = 0;
    if (loss < LARGE_LOSS) {
      const fromQ = Math.max(0, q - qError) * Math.exp(loss);
      const fromP = mass * Math.exp(-width);
      const rounding = 8 * UNIT * (fromQ * (1 + Math.abs(loss)) + fromP);
      lower = Math.min(mass, Math.max(0, (fromQ - fromP - rounding) / -Math.expm1(-width)));
    }
    this.#out.indices.push(low, high);
    this.#out.masses.push(lower, mass - lower);
  }
}
