/** Events under one relation, as the engines take them. */
import { AggregationError } from '../errors.ts';
import { canonicalEvent, gatherCharges } from './events/canonical.ts';
import type { Charge, PrivacyEvent, Relation } from './events/event.ts';
import { checkCharge, MOST_STEPS } from './events/parse-charges.ts';
import type { Composition } from './contour/composition.ts';
import { Memo } from './numerics/memo.ts';
import { dominatingPairs, gaussianSensitivity } from './pairs/dominating.ts';
import type { Directions } from './pairs/dominating.ts';
import { renyiOf } from './rdp/renyi.ts';
import type { RenyiCurves } from './rdp/renyi.ts';

export interface Item {
  readonly key: string;
  readonly event: PrivacyEvent;
  readonly count: number;
  readonly pairs: Directions | undefined;
}

export interface Budget {
  readonly relation: Relation;
  readonly items: readonly Item[];
}

export type Direction = keyof Directions;

const PAIRS = new Memo<{ readonly pairs: Directions | undefined }>(4_000_000);

/** @throws AggregationError `PRIVACY_EVENT_INVALID` */
export function budgetOf(charges: readonly Charge[], relation: Relation): Budget {
  charges.forEach(checkCharge);
  const items = gatherCharges(charges).map(({ event, count }) => {
    if (count > MOST_STEPS) {
      throw new AggregationError(
        'PRIVACY_EVENT_INVALID',
        `an event that happens ${count} times; at most ${MOST_STEPS}`,
      );
    }
    const key = `${relation}|${canonicalEvent(event)}`;
    const { pairs } = PAIRS.get(key, () => ({ pairs: dominatingPairs(event, relation) }), weightOf);
    return { key, event, count, pairs };
  });
  return { relation, items };
}

function weightOf({ pairs }: { readonly pairs: Directions | undefined }): number {
  return 100 + 4 * (pairs?.remove.losses.length ?? 0);
}

/** mu of the whole when all of it is Gaussian without sampling; exact, so it needs no engine. */
export function gaussianMu({ items, relation }: Budget): number | undefined {
  let square = 0;
  for (const { event, count } of items) {
    const sensitivity = gaussianSensitivity(event, relation);
    if (sensitivity === undefined || !('noiseMultiplier' in event)) return undefined;
    square += count * (sensitivity / event.noiseMultiplier) ** 2;
  }
  return Math.sqrt(square);
}

/** One composition for each direction that differs; nothing when an event has no dominating pair. */
export function compositionsOf({
  items,
}: Budget): readonly { direction: Direction | 'both'; composition: Composition }[] | undefined {
  if (items.some(({ pairs }) => pairs === undefined)) return undefined;
  const toward = (direction: Direction): Composition =>
    items.map(({ key, count, pairs }) => {
      const isSame = pairs!.add === pairs!.remove;
      return { key: isSame ? key : `${direction}|${key}`, pair: pairs![direction], count };
    });
  if (items.every(({ pairs }) => pairs!.add === pairs!.remove)) {
    return [{ direction: 'both', composition: toward('remove') }];
  }
  // A pair of neighbours has one direction in all rounds: all removals or all additions.
  return [
    { direction: 'remove', composition: toward('remove') },
    { direction: 'add', composition: toward('add') },
  ];
}

/** The curves of the whole; nothing when an event has none. */
export function renyiOfBudget({ items, relation }: Budget): RenyiCurves | undefined {
  const curves = items.map(({ event, pairs, count }) => ({ count, of: renyiOf(event, relation, pairs) }));
  if (curves.some(({ of }) => of === undefined)) return undefined;
  const sum = (direction: Direction) => (order: number) =>
    curves.reduce((total, { count, of }) => total + count * of![direction](order), 0);
  const remove = sum('remove');
  const isSame = curves.every(({ of }) => of!.add === of!.remove);
  return { remove, add: isSame ? remove : sum('add'), wholeOrders: curves.some(({ of }) => of!.wholeOrders) };
}

/** Renyi divergence at most xi + rho times the order: rho and xi of the whole; nothing when an event has none. */
export function concentrationOf({
  items,
  relation,
}: Budget): { readonly rho: number; readonly xi: number } | undefined {
  let [rho, xi] = [0, 0];
  for (const { event, count } of items) {
    const one = concentration(event, relation);
    if (one === undefined) return undefined;
    rho += count * one.rho;
    xi += count * one.xi;
  }
  return { rho, xi };
}

function concentration(
  event: PrivacyEvent,
  relation: Relation,
): { readonly rho: number; readonly xi: number } | undefined {
  const sensitivity = gaussianSensitivity(event, relation);
  if (sensitivity !== undefined && 'noiseMultiplier' in event) {
    return { rho: sensitivity ** 2 / (2 * event.noiseMultiplier ** 2), xi: 0 };
  }
  const reach = relation === 'replace-one' ? 2 : 1;
  switch (event.kind) {
    case 'zcdp':
      return { rho: event.rho, xi: event.xi };
    case 'discrete-gaussian':
      // Canonne, Kamath and Steinke 2020, theorem 4.
      return { rho: (reach * event.sensitivity) ** 2 / (2 * event.variance), xi: 0 };
    case 'epsilon-delta':
      // Pure privacy alone: Bun and Steinke 2016.
      return event.delta === 0 ? { rho: event.epsilon ** 2 / 2, xi: 0 } : undefined;
    case 'laplace':
      return { rho: (reach / event.scale) ** 2 / 2, xi: 0 };
    case 'discrete-laplace':
      return { rho: ((reach * event.sensitivity) / event.scale) ** 2 / 2, xi: 0 };
    default:
      return undefined;
  }
}
