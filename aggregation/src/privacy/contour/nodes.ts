/**
 * A dominating pair as a finite sum: E_P e^{sL} is about the sum of w_j e^{s L_j}. Curves are cut into panels of sixteen Gauss points, narrow
 * enough for the noise, for the nearest zero of the mixture in the complex plane (pi scale^2 / distance away) and for the oscillation
 * e^{iyL} up to the largest y asked for. Atoms are themselves.
 */
import { GAUSS_16 } from '../numerics/quadrature.ts';
import { bandOf } from '../pairs/curve.ts';
import type { Curve } from '../pairs/curve.ts';
import { atomLimit } from '../pairs/loss-pair.ts';
import type { Band } from '../pairs/band.ts';
import type { LossPair } from '../pairs/loss-pair.ts';

export interface Nodes {
  readonly losses: Float64Array;
  /** log of P's mass. */
  readonly logMasses: Float64Array;
  /** The oscillation would need more panels than there may be: these nodes do not stand for the pair. */
  readonly isCoarse: boolean;
}

/** What lies this far below the largest term, in logarithms, is left out. */
const DROPPED = 46;
/** Phase that one panel may turn through. */
const PANEL_PHASE = 6;
const SCAN = 200;
const MOST_PANELS = 2 ** 14;

interface Demand {
  readonly tilt: number;
  /** Largest y that the nodes are for; 0 by default. */
  readonly oscillation?: number;
  /** Losses above it need not be told apart finely: what is asked of their sum is smooth there. */
  readonly fineBelow?: number;
  /** Losses that count; all by default. */
  readonly band?: Band;
}

const ALL: Band = { tail: 0 };

export function nodesOf(pair: LossPair, demand: Demand): Nodes {
  const gathered: Gathered = { losses: [], logMasses: [], isCoarse: false };
  const { tail, above } = demand.band ?? ALL;
  const [lowest, highest] = [above === undefined ? -Infinity : atomLimit(pair, above), atomLimit(pair, tail)];
  for (let i = 0; i < pair.losses.length; i++) {
    if (!(pair.masses[i]! > 0) || pair.losses[i]! <= lowest || pair.losses[i]! > highest) continue;
    gathered.losses.push(pair.losses[i]!);
    gathered.logMasses.push(Math.log(pair.masses[i]!));
  }
  for (const curve of pair.curves) addCurve(curve, demand, gathered);
  const { losses, logMasses, isCoarse } = gathered;
  return { losses: Float64Array.from(losses), logMasses: Float64Array.from(logMasses), isCoarse };
}

interface Gathered {
  readonly losses: number[];
  readonly logMasses: number[];
  isCoarse: boolean;
}

function addCurve(curve: Curve, demand: Demand, gathered: Gathered): void {
  const { fineBelow = Infinity } = demand;
  const { intervals, best } = relevant(curve, demand);
  for (const { low, high } of intervals) {
    // The coarse panels must not depend on the oscillation: they stand for the same atoms at every y.
    const border = Math.min(high, Math.max(low, fineBelow < curve.highest ? curve.placeOf(fineBelow, low) : high));
    addPanels(curve, { ...demand, best }, { low, high: border }, gathered);
    addPanels(curve, { tilt: demand.tilt, best }, { low: border, high }, gathered);
  }
}

interface PanelDemand extends Demand {
  /** Largest log density of the tilted P. */
  readonly best: number;
}

function addPanels(curve: Curve, demand: PanelDemand, { low, high }: Interval, gathered: Gathered): void {
  const { tilt, oscillation = 0, best } = demand;
  const distance = curve.greatestCentre - curve.leastCentre;
  const narrowest = (high - low) / MOST_PANELS;
  const isTurning = (start: number, end: number): boolean => {
    const loss = curve.lossAt(end);
    return (
      oscillation * (loss - curve.lossAt(start)) > PANEL_PHASE && curve.logDensity(end) + tilt * loss > best - DROPPED
    );
  };
  for (let start = low; start < high && !gathered.isCoarse;) {
    // Of a loss with a sharp end the tilt leaves what is close to it, so panels grow with the distance from there.
    const widest = curve.noise.kink
      ? Math.max(2 / (1 + tilt * distance), (high - start) / 8)
      : Math.min(1, 3 / distance);
    let end = Math.min(high, start + Math.max(narrowest, widest));
    if (oscillation > 0 && isTurning(start, end)) {
      end = steady(curve, start, end, PANEL_PHASE / oscillation, narrowest);
      gathered.isCoarse = end - start <= narrowest;
    }
    addPanel(curve, start, end, gathered);
    start = end;
  }
}

/** The widest halving of a panel over which the loss rises by no more than `rise`. */
function steady(curve: Curve, start: number, end: number, rise: number, narrowest: number): number {
  const from = curve.lossAt(start);
  let to = end;
  while (to - start > narrowest && curve.lossAt(to) - from > rise) to = start + (to - start) / 2;
  return to;
}

function addPanel(curve: Curve, start: number, end: number, { losses, logMasses }: Gathered): void {
  const half = (end - start) / 2;
  for (let i = 0; i < 16; i++) {
    const x = start + half * (1 + GAUSS_16.nodes[i]!);
    losses.push(curve.lossAt(x));
    logMasses.push(curve.logDensity(x) + Math.log(half * GAUSS_16.weights[i]!));
  }
}

interface Interval {
  readonly low: number;
  readonly high: number;
}

interface Relevant {
  readonly intervals: readonly Interval[];
  readonly best: number;
}

/** Deviations that a tilted Gaussian may move before the way to where it has gone is left out. */
const FAR = 60;

/** The intervals outside which P, Q and the tilted P are all negligible. */
function relevant(curve: Curve, { tilt, band = ALL }: Demand): Relevant {
  const distance = curve.greatestCentre - curve.leastCentre;
  const far = curve.noise.upperQuantile(1e-24);
  const { from, to } = bandOf(curve, band);
  // A Gaussian tilted by c at a distance d moves by c d.
  const moved = curve.noise.kink ? 0 : tilt * distance;
  const low = Math.max(from, curve.leastCentre - far);
  const windows = [{ low, high: Math.max(low, Math.min(to, curve.greatestCentre + far + Math.min(FAR, moved))) }];
  const peak = curve.greatestCentre + moved;
  if (moved > FAR && peak - far < to)
    windows.push({ low: Math.max(windows[0]!.high, peak - far), high: Math.min(to, peak + far) });
  const exponents = [-1, 0, tilt];
  const best = exponents.map(() => -Infinity);
  const scans = windows.map(({ low, high }) => {
    return Array.from({ length: SCAN + 1 }, (_, i) => {
      const x = low + (i * (high - low)) / SCAN;
      const [loss, log] = [curve.lossAt(x), curve.logDensity(x)];
      const row = exponents.map((c) => log + c * loss);
      row.forEach((value, j) => (best[j] = Math.max(best[j]!, value)));
      return row;
    });
  });
  const intervals = windows.flatMap((window, w) => trimmed(window, scans[w]!, best));
  return { intervals, best: best[2]! };
}

/** Every run of places that matter, and one step more to either side. */
function trimmed({ low, high }: Interval, scan: readonly (readonly number[])[], best: readonly number[]): Interval[] {
  const step = (high - low) / SCAN;
  const runs: { low: number; high: number }[] = [];
  scan.forEach((row, i) => {
    if (!row.some((value, j) => value > best[j]! - DROPPED)) return;
    const [from, to] = [Math.max(low, low + (i - 1) * step), Math.min(high, low + (i + 1) * step)];
    const last = runs.at(-1);
    if (last !== undefined && from <= last.high) last.high = to;
    else runs.push({ low: from, high: to });
  });
  return runs;
}
