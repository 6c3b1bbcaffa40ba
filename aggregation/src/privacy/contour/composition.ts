/** What was done in one direction: each distinct pair with how often, and the cumulant function of the whole. */
import type { Band } from '../pairs/band.ts';
import type { LossPair } from '../pairs/loss-pair.ts';
import { highestLoss } from '../pairs/loss-pair.ts';
import { Memo } from '../numerics/memo.ts';
import { cumulant } from './cumulant.ts';
import type { Cumulant } from './cumulant.ts';

export interface Term {
  /** Names the pair: equal keys have equal pairs. */
  readonly key: string;
  readonly pair: LossPair;
  readonly count: number;
  /** Losses that count; all by default. */
  readonly band?: Band;
}

export type Composition = readonly Term[];

/** By pair and band, then by s. */
const CUMULANTS = new Memo<Map<number, Cumulant>>(1000);
const OF_TERM = new WeakMap<Term, Map<number, Cumulant>>();
const OF_WHOLE = new WeakMap<Composition, Map<number, Cumulant>>();

/** K(s) of one pair, s > 0. */
export function cumulantOf(term: Term, s: number): Cumulant {
  let known = OF_TERM.get(term);
  if (known === undefined) {
    known = CUMULANTS.get(`${bandKey(term.band)}|${term.key}`, () => new Map<number, Cumulant>());
    OF_TERM.set(term, known);
  }
  return remembered(known, s, () => cumulant(term.pair, s, term.band));
}

export function bandKey(band: Band | undefined): string {
  return band === undefined ? '' : `${band.tail}:${band.above ?? ''}:${band.continued ?? false}`;
}

/** K(s) of the whole, s > 0. */
export function totalCumulant(composition: Composition, s: number): Cumulant {
  let known = OF_WHOLE.get(composition);
  if (known === undefined) OF_WHOLE.set(composition, (known = new Map<number, Cumulant>()));
  return remembered(known, s, () => {
    let [value, mean, variance] = [0, 0, 0];
    for (const term of composition) {
      const one = cumulantOf(term, s);
      value += term.count * one.value;
      mean += term.count * one.mean;
      variance += term.count * one.variance;
    }
    return { value, mean, variance };
  });
}

function remembered(known: Map<number, Cumulant>, s: number, make: () => Cumulant): Cumulant {
  let value = known.get(s);
  if (value === undefined) known.set(s, (value = make()));
  return value;
}

export function stepsOf(composition: Composition): number {
  return composition.reduce((sum, { count }) => sum + count, 0);
}

/** No loss is above it: that epsilon needs no delta. */
export function totalHighestLoss(composition: Composition): number {
  return composition.reduce((sum, { pair, count }) => sum + count * highestLoss(pair), 0);
}

export function totalInfinite(composition: Composition): number {
  return -Math.expm1(composition.reduce((sum, { pair, count }) => sum + count * Math.log1p(-pair.infinite), 0));
}

/** Whether some losses have a probability of their own: then delta has kinks, or nearly. Those without loss move nothing. */
export function hasAtoms(composition: Composition): boolean {
  return composition.some(isAtomic);
}

export function isAtomic({ pair }: Term): boolean {
  return pair.losses.some((loss) => loss !== 0);
}

/** Whether the composed loss has a density: one continuous noise is enough. Otherwise delta has kinks, at sums of atoms. */
export function isSmooth(composition: Composition): boolean {
  return composition.some((term) => term.pair.curves.length > 0 && !isAtomic(term));
}
