/** The questions: epsilon for a delta, delta for an epsilon, by one of four engines, with what the answer rests on. */
import { AggregationError } from '../errors.ts';
import { budgetOf, compositionsOf, concentrationOf, gaussianMu, renyiOfBudget } from './budget.ts';
import type { Budget, Direction } from './budget.ts';
import { exactDelta, exactEpsilon } from './contour/exact.ts';
import { isSmooth } from './contour/composition.ts';
import type { Composition } from './contour/composition.ts';
import { singleStep } from './contour/single-step.ts';
import type { Charge, Relation } from './events/event.ts';
import { gaussianDelta, gaussianEpsilon } from './gaussian.ts';
import { certifiedDelta, certifiedEpsilon } from './pld/certified.ts';
import { bestInteger, bestReal, epsilonAt, logDeltaAt } from './rdp/convert.ts';
import type { Converted, RenyiCurve } from './rdp/convert.ts';
import type { RenyiCurves } from './rdp/renyi.ts';

/** Counts up whenever an answer may come out different to the bit; a ledger records it. */
export const PRIVACY_ENGINE_VERSION = 2;

/**
 * `certified`: an upper bound that is proved, by privacy loss distributions, or by Renyi curves where an event has nothing else.
 * `exact`: the value itself, with an observed error, for comparison. `rdp` and `zcdp`: looser bounds that stay valid when later
 * parameters are chosen after earlier outputs.
 */
export const PRIVACY_ENGINES = ['certified', 'exact', 'rdp', 'zcdp'] as const;
export type PrivacyEngine = (typeof PRIVACY_ENGINES)[number];

export interface QueryOptions {
  readonly relation: Relation;
  /** `certified` by default. */
  readonly engine?: PrivacyEngine;
  /** How far above the truth a certified answer may be, relative: 1e-3 by default. */
  readonly tolerance?: number;
}

export interface PrivacyAnswer {
  readonly value: number;
  readonly engine: PrivacyEngine;
  /** What gave the value. */
  readonly method:
    'closed form' | 'privacy loss distribution' | 'contour integral' | 'Renyi divergence' | 'zero-concentrated';
  readonly relation: Relation;
  /** Which of a person's coming and going was the worse. */
  readonly direction: Direction | 'both';
  /** About how far the value may be from the truth, relative; null where a bound is known to be loose. */
  readonly errorBound: number | null;
  /** Of Renyi bounds, the order that gave the value. */
  readonly order: number | null;
  readonly engineVersion: number;
}

const EXACT_CLOSED_FORM = 1e-12;
/** A closed form is rounded so often that this covers it. */
const CLOSED_FORM_MARGIN = 1e-11;

/** Least epsilon for which delta is enough. @throws AggregationError `PRIVACY_EVENT_INVALID`, `PRIVACY_EVENT_UNSUPPORTED`, `PRIVACY_QUERY_INVALID` */
export function privacyEpsilon(charges: readonly Charge[], delta: number, options: QueryOptions): PrivacyAnswer {
  if (!(delta >= 1e-30 && delta < 1)) throw invalid(`delta is ${delta}; allowed is a number from 1e-30 to below 1`);
  return answer(charges, options, {
    closed: (mu) => gaussianEpsilon(mu, delta),
    certified: (composition, tolerance) => certifiedEpsilon(composition, delta, tolerance),
    exact: (composition) => exactEpsilon(composition, delta),
    renyi: (renyi, order) => epsilonAt(renyi, order, delta),
  });
}

/** Least delta for which epsilon is enough. @throws AggregationError `PRIVACY_EVENT_INVALID`, `PRIVACY_EVENT_UNSUPPORTED`, `PRIVACY_QUERY_INVALID` */
export function privacyDelta(charges: readonly Charge[], epsilon: number, options: QueryOptions): PrivacyAnswer {
  if (!(epsilon >= 0 && epsilon <= 10_000)) throw invalid(`epsilon is ${epsilon}; allowed is a number from 0 to 10000`);
  return answer(charges, options, {
    closed: (mu) => gaussianDelta(mu, epsilon),
    certified: (composition, tolerance) => certifiedDelta(composition, epsilon, tolerance),
    exact: (composition) => exactDelta(composition, epsilon),
    renyi: (renyi, order) => Math.exp(logDeltaAt(renyi, order, epsilon)),
  });
}

interface Question {
  closed(mu: number): number;
  certified(composition: Composition, tolerance: number): { readonly value: number; readonly excess: number };
  exact(composition: Composition): { readonly value: number; readonly change: number };
  renyi(renyi: number, order: number): number;
}

function answer(charges: readonly Charge[], options: QueryOptions, question: Question): PrivacyAnswer {
  const { relation, engine = 'certified', tolerance = 1e-3 } = options;
  if (!(tolerance >= 1e-7 && tolerance <= 1)) {
    throw invalid(`the tolerance is ${tolerance}; allowed is a number from 1e-7 to 1`);
  }
  const budget = budgetOf(charges, relation);
  const found = ENGINES[engine](budget, question, tolerance);
  if (found === undefined) throw unsupported(budget, engine);
  return { ...found, engine, relation, engineVersion: PRIVACY_ENGINE_VERSION };
}

type Found = Omit<PrivacyAnswer, 'engine' | 'relation' | 'engineVersion'>;

const ENGINES: Readonly<
  Record<PrivacyEngine, (budget: Budget, question: Question, tolerance: number) => Found | undefined>
> = { certified: byCertificate, exact: byContour, rdp: byRenyi, zcdp: byConcentration };

function byCertificate(budget: Budget, question: Question, tolerance: number): Found | undefined {
  const closed = byClosedForm(budget, question, CLOSED_FORM_MARGIN);
  if (closed !== undefined) return closed;
  const compositions = compositionsOf(budget);
  if (compositions === undefined) return byRenyi(budget, question);
  const all = compositions.map(({ direction, composition }) => {
    const { value, excess } = question.certified(composition, tolerance);
    // An error that cannot be told is none that is known to be small.
    return { direction, value, errorBound: Number.isNaN(excess) ? Infinity : excess };
  });
  const worst = largest(all);
  const found = { ...worst, method: 'privacy loss distribution', order: null } as const;
  if (worst.errorBound <= 2 * tolerance) return found;
  // The largest lattice was too coarse: another bound may be the better one.
  const renyi = byRenyi(budget, question);
  return renyi !== undefined && renyi.value < worst.value ? renyi : found;
}

function byContour(budget: Budget, question: Question): Found | undefined {
  const closed = byClosedForm(budget, question, 0);
  if (closed !== undefined) return closed;
  const compositions = compositionsOf(budget);
  if (compositions === undefined) return undefined;
  const all = compositions.map(({ direction, composition }) => ({ direction, ...exactly(composition, question) }));
  return { ...largest(all), order: null };
}

/** What the exact engine asks of lattices where a contour is of no use. */
const FINE = 1e-5;

function exactly(composition: Composition, question: Question): Pick<Found, 'value' | 'errorBound' | 'method'> {
  // Among atoms alone a contour meets kinks, and its integrand comes back again and again.
  const isContour = isSmooth(composition) || singleStep(composition) !== undefined;
  const { value: closest, change } = isContour ? question.exact(composition) : { value: NaN, change: Infinity };
  const contour = { value: closest, errorBound: change, method: 'contour integral' } as const;
  if (change <= FINE) return contour;
  const { value, excess } = question.certified(composition, FINE);
  return change < excess ? contour : { value, errorBound: excess, method: 'privacy loss distribution' };
}

function byClosedForm(budget: Budget, question: Question, margin: number): Found | undefined {
  const mu = gaussianMu(budget);
  if (mu === undefined) return undefined;
  const value = question.closed(mu) * (1 + margin);
  return { value, method: 'closed form', direction: 'both', errorBound: margin + EXACT_CLOSED_FORM, order: null };
}

function byRenyi(budget: Budget, question: Question): Found | undefined {
  const curves = renyiOfBudget(budget);
  return curves && { ...bestOrder(curves, question), method: 'Renyi divergence' };
}

function byConcentration(budget: Budget, question: Question): Found | undefined {
  const line = concentrationOf(budget);
  if (line === undefined) return undefined;
  const curve: RenyiCurve = (order) => line.xi + line.rho * order;
  return { ...bestOrder({ remove: curve, add: curve, wholeOrders: false }, question), method: 'zero-concentrated' };
}

function bestOrder({ remove, add, wholeOrders }: RenyiCurves, question: Question): Omit<Found, 'method'> {
  const best = (curve: RenyiCurve): Converted =>
    (wholeOrders ? bestInteger : bestReal)((order) => question.renyi(curve(order), order));
  const toward = (direction: Direction | 'both', curve: RenyiCurve): Omit<Found, 'method'> => {
    const { value, order } = best(curve);
    return { direction, value, order, errorBound: null };
  };
  if (add === remove) return toward('both', remove);
  return largest([toward('remove', remove), toward('add', add)]);
}

function largest<T extends { readonly value: number }>(all: readonly T[]): T {
  return all.reduce((worst, next) => (next.value > worst.value ? next : worst));
}

function invalid(why: string): AggregationError {
  return new AggregationError('PRIVACY_QUERY_INVALID', why);
}

function unsupported(budget: Budget, engine: PrivacyEngine): AggregationError {
  const alone = budget.items.find(
    ({ event, count }) =>
      !isKnown(
        { ...budget, items: budget.items.filter((item) => item.event === event && item.count === count) },
        engine,
      ),
  );
  const kind = alone?.event.kind ?? 'the events together';
  return new AggregationError(
    'PRIVACY_EVENT_UNSUPPORTED',
    `${kind} under ${budget.relation}: the engine ${engine} knows no bound for it`,
  );
}

function isKnown(budget: Budget, engine: PrivacyEngine): boolean {
  if (engine === 'zcdp') return concentrationOf(budget) !== undefined;
  if (engine === 'rdp') return renyiOfBudget(budget) !== undefined;
  return compositionsOf(budget) !== undefined || (engine === 'certified' && renyiOfBudget(budget) !== undefined);
}
