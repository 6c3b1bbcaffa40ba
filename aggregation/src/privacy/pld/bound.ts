/**
 * An upper bound on delta as a function of epsilon, good near the epsilon it was made for.
 *
 * Where a single step may, very rarely, lose more than all the others together, no tilt suits both: it would weigh the rare step up beyond
 * everything. Then each step's P is cut into a common and a rare part, B + J, and of the product of all (B + J) three things are taken: no
 * rare step; exactly one, for each event, on a lattice of its own; and two or more, at most (the sum of all J)^2 / 2, as an infinite loss.
 */
import { stepsOf } from '../contour/composition.ts';
import type { Composition } from '../contour/composition.ts';
import { layerFor } from './layer.ts';
import type { Layer } from './layer.ts';
import { finiteDelta } from './payoff.ts';
import type { ComposedSpectrum } from './payoff.ts';
import { planFor } from './plan.ts';
import type { Plan, Query } from './plan.ts';

export interface Bound {
  readonly layers: readonly { readonly weight: number; readonly spectrum: ComposedSpectrum }[];
  readonly infinite: number;
  /** About how much too large log delta is. */
  readonly gap: number;
  /** A finer aim would change nothing. */
  readonly isFinest: boolean;
  readonly tilt: number;
}

/** Of delta so much may be spent on upper tails that are not looked at, and on two rare steps. */
const TAIL_SHARE = 1e-6;
const TWICE_SHARE = 1e-5;
/** Relevance below which a cut is tried, and what it must gain. */
const IRRELEVANT = 1e-3;
const GAIN = 16;
/** A single step has nothing to be rare among. */
const FEWEST_STEPS = 2;
/** At a steeper saddle common losses do not reach epsilon at all. */
const MOST_TILT = 2 ** 20;
/** With more distinct events the layers, one for each, would cost more than they give. */
const MOST_EVENTS = 6;

export function deltaAt({ layers, infinite }: Bound, epsilon: number): number {
  const delta = layers.reduce((sum, { weight, spectrum }) => sum + weight * finiteDelta(spectrum, epsilon), infinite);
  // What has overflowed proves nothing: it is no number that is below 1.
  return delta < 1 ? delta : 1;
}

export function boundFor(whole: Composition, query: Query): Bound {
  const tail = powerOf16((TAIL_SHARE * query.delta) / stepsOf(whole));
  const composition = whole.map((term) => ({ ...term, band: { tail } }));
  const plan = planFor(composition, query);
  if (plan.relevance < IRRELEVANT && whole.length <= MOST_EVENTS && stepsOf(whole) >= FEWEST_STEPS) {
    const common = commonPart(whole, query.delta);
    const above = common[0]!.band!.tail;
    const commonPlan = planFor(common, query);
    const isReached = commonPlan.saddle.tilt < MOST_TILT;
    if (isReached && commonPlan.relevance > GAIN * plan.relevance) {
      return cutBound(whole, query, { common, commonPlan, band: { tail, above } });
    }
  }
  const { spectrum, gap, isFinest } = layerFor(composition, query, plan, composition.length);
  return { layers: [{ weight: 1, spectrum }], infinite: spectrum.infinite, gap, isFinest, tilt: plan.saddle.tilt };
}

/** Steps without their rare losses: so few that two of them together are negligible beside delta. */
export function commonPart(whole: Composition, delta: number): Composition {
  const tail = powerOf16(Math.sqrt(2 * TWICE_SHARE * delta) / stepsOf(whole));
  return whole.map((term) => ({ ...term, band: { tail, continued: true } }));
}

interface Cut {
  readonly common: Composition;
  readonly commonPlan: Plan;
  readonly band: { readonly tail: number; readonly above: number };
}

function cutBound(whole: Composition, query: Query, { common, commonPlan, band }: Cut): Bound {
  const together = whole.length * (whole.length + 2);
  const main = layerFor(common, query, commonPlan, together);
  const layers = [{ weight: 1, spectrum: main.spectrum }];
  let [rare, survival, gap, isFinest] = [0, Math.log1p(-main.spectrum.infinite), main.gap, main.isFinest];
  whole.forEach((term, i) => {
    const others = common.flatMap((other, j) => {
      const count = other.count - (i === j ? 1 : 0);
      return count > 0 ? [{ ...other, count }] : [];
    });
    const layer = rareLayer([...others, { ...term, count: 1, band }], query, term.count, together);
    if (layer === undefined) return;
    const { mass, infinite } = layer.parts.at(-1)!;
    layers.push({ weight: term.count, spectrum: layer.spectrum });
    gap += layer.share * layer.gap;
    isFinest &&= layer.isFinest;
    survival += term.count * Math.log1p(-Math.min(1, infinite));
    rare += term.count * mass;
  });
  // Two or more rare steps: the sum over k >= 2 of rare^k / k!.
  const twice = 0.51 * rare * rare * Math.exp(rare);
  return { layers, infinite: -Math.expm1(survival) * (1 + 1e-14) + twice, gap, isFinest, tilt: commonPlan.saddle.tilt };
}

/** What the logarithm of a rare layer may be off while its share of delta is looked for. */
const ROUGH = 0.1;

/** One rare step among common ones, as finely as its share of delta deserves; nothing where the event has no rare part. */
function rareLayer(
  once: Composition,
  query: Query,
  weight: number,
  together: number,
): (Layer & { readonly share: number }) | undefined {
  const part = { ...query, delta: query.delta / weight, aim: ROUGH, slope: 0 };
  const plan = planFor(once, part);
  if (!Number.isFinite(plan.saddle.cumulant.value)) return undefined;
  const rough = layerFor(once, part, plan, together);
  const at = (epsilon: number): number => finiteDelta(rough.spectrum, epsilon);
  const share = Math.min(1, (weight * at(query.epsilon)) / query.delta);
  if (share * ROUGH < 0.2 * query.aim) return { ...rough, share };
  const step = 0.1 / plan.saddle.tilt;
  const slope = Math.log(at(query.epsilon) / at(query.epsilon + step)) / step;
  const fine = { ...part, slope: Number.isFinite(slope) ? slope : 0, aim: Math.min(ROUGH, (0.5 * query.aim) / share) };
  return { ...layerFor(once, fine, planFor(once, fine), together), share };
}

/** Neighbouring queries share what is computed for powers of 16. */
function powerOf16(tail: number): number {
  return 16 ** Math.floor(Math.log2(tail) / 4);
}
