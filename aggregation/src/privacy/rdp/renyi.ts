/** The Renyi curve of an event, exact at every real order where its dominating pair is known, else by the bound of its paper. */
import type { PrivacyEvent, Relation, Sampleable } from '../events/event.ts';
import { cumulant } from '../contour/cumulant.ts';
import type { Directions } from '../pairs/dominating.ts';
import { gaussianSensitivity } from '../pairs/dominating.ts';
import { poissonAmplified } from './amplified.ts';
import type { RenyiCurve } from './convert.ts';
import { distributedGaussianRenyi, skellamRenyi } from './integer-vectors.ts';

export interface RenyiCurves {
  readonly remove: RenyiCurve;
  readonly add: RenyiCurve;
  /** Known at whole orders only. */
  readonly wholeOrders: boolean;
}

export function renyiOf(
  event: PrivacyEvent,
  relation: Relation,
  pairs: Directions | undefined,
): RenyiCurves | undefined {
  const sensitivity = gaussianSensitivity(event, relation);
  if (sensitivity !== undefined && 'noiseMultiplier' in event) {
    const rho = sensitivity ** 2 / (2 * event.noiseMultiplier ** 2);
    return sameBothWays((order) => rho * order, false);
  }
  if (pairs !== undefined) {
    const of = (direction: keyof Directions): RenyiCurve => curveOf(pairs[direction]);
    const remove = of('remove');
    return { remove, add: pairs.add === pairs.remove ? remove : of('add'), wholeOrders: false };
  }
  switch (event.kind) {
    case 'zcdp':
      return sameBothWays((order) => event.xi + event.rho * order, false);
    case 'bounded-range':
      return sameBothWays(boundedRangeRenyi(event.epsilon), false);
    case 'skellam-vector':
    case 'distributed-discrete-gaussian':
      return sameBothWays(vectorRenyi(event, relation), false);
    case 'poisson':
      return sampledRenyi(event.event, event.probability, relation);
    default:
      return undefined;
  }
}

function sameBothWays(curve: RenyiCurve, wholeOrders: boolean): RenyiCurves {
  return { remove: curve, add: curve, wholeOrders };
}

/** log E_P e^{(a - 1) L} / (a - 1). */
function curveOf(pair: Directions['remove']): RenyiCurve {
  if (pair.infinite > 1e-40) return () => Infinity;
  return (order) => cumulant(pair, order - 1).value / (order - 1);
}

function vectorRenyi(
  event: Extract<Sampleable, { kind: 'skellam-vector' | 'distributed-discrete-gaussian' }>,
  relation: Relation,
): RenyiCurve {
  const reach = relation === 'replace-one' ? 2 : 1;
  const moved = { ...event, l1: reach * event.l1, l2: reach * event.l2 };
  return moved.kind === 'skellam-vector' ? skellamRenyi(moved) : distributedGaussianRenyi(moved);
}

/** Zhu and Wang's bound is about a person more or less; what is zeroed out is as good as absent from a sum. */
function sampledRenyi(event: Sampleable, probability: number, relation: Relation): RenyiCurves | undefined {
  if (event.kind !== 'skellam-vector' && event.kind !== 'distributed-discrete-gaussian') return undefined;
  const plain = vectorRenyi(event, relation);
  if (probability === 1) return sameBothWays(plain, false);
  if (relation === 'replace-one') return undefined;
  return sameBothWays(poissonAmplified(probability, plain), true);
}

/** min(eps, KL - eps^2/8 + a eps^2 / 8), KL the most that a loss within an interval of length eps can have (Cesar and Rogers 2021). */
export function boundedRangeRenyi(epsilon: number): RenyiCurve {
  const ratio = epsilon / -Math.expm1(-epsilon);
  const leading = epsilon < 1e-2 ? epsilon ** 2 / 8 - epsilon ** 4 / 576 : ratio - 1 - Math.log(ratio);
  return (order) => Math.min(epsilon, leading + ((order - 1) * epsilon ** 2) / 8);
}
