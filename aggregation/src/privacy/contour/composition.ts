/** What was done in one direction: each distinct pair with how often, and the cumulant function of the whole. */
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
  /** Upper tail of P that cumulants leave out, because it is charged as an infinite loss; none by default. */
  readonly tail?: number;
}

export type Composition = readonly Term[];

const CUMULANTS = new Memo<Cumulant>(200_000);

/** K(s) of one pair, s > 0. */
export function cumulantOf({ key, pair, tail = 0 }: Term, s: number): Cumulant {
  return CUMULANTS.get(`${s}|${tail}|${key}`, () => cumulant(pair, s, tail));
}

/** K(s) of the whole, s > 0. */
export function totalCumulant(composition: Composition, s: number): Cumulant {
  let [value, mean, variance] = [0, 0, 0];
  for (const term of composition) {
    const one = cumulantOf(term, s);
    value += term.count * one.value;
    mean += term.count * one.mean;
    variance += term.count * one.variance;
  }
  return { value, mean, variance };
}

/** No loss is above it: that epsilon needs no delta. */
export function totalHighestLoss(composition: Composition): number {
  return composition.reduce((sum, { pair, count }) => sum + count * highestLoss(pair), 0);
}

export function totalInfinite(composition: Composition): number {
  return -Math.expm1(composition.reduce((sum, { pair, count }) => sum + count * Math.log1p(-pair.infinite), 0));
}
