/** Where a lattice is laid, and how fine: from cumulants alone, before anything is put on it. */
import { stepsOf } from '../contour/composition.ts';
import type { Composition } from '../contour/composition.ts';
import { circumference, saddleAt, saddleForEpsilon } from '../contour/saddle.ts';
import type { Saddle } from '../contour/saddle.ts';

export interface Query {
  /** About the one that comes out. */
  readonly epsilon: number;
  readonly delta: number;
  /** -d log delta / d epsilon, or 0 where it is not known yet. */
  readonly slope: number;
  /** By how much log delta may come out too large. */
  readonly aim: number;
}

export interface Plan {
  readonly saddle: Saddle;
  /** delta over what the contour's integrand amounts to: rounding errors, aliases and wide cells count for its inverse. */
  readonly relevance: number;
  /** Circumference, in losses. */
  readonly around: number;
  /** What the square of a spacing is worth in log delta, for the whole composition. */
  readonly curvature: number;
}

/** Rungs below the saddle that are tried as well: where losses are rare but large, less tilt has a smaller circle. */
const LOWER_RUNGS = [0, 2, 4, 7, 11, 16, 22, 30] as const;

/** What a loss of relevance, which rounding errors are paid with, is worth in size of the circle. */
const ROUNDING_COST = 0.15;

export function planFor(composition: Composition, query: Query): Plan {
  const { epsilon, slope, aim } = query;
  const saddle = saddleForEpsilon(composition, epsilon);
  const steep = Math.max(slope, saddle.tilt);
  const curvature = (stepsOf(composition) * steep * (steep + 1)) / 12;
  let best: (Plan & { readonly cost: number }) | undefined;
  for (const lower of LOWER_RUNGS) {
    const at = lower === 0 ? saddle : saddleAt(composition, saddle.step - lower);
    const relevance = relevanceOf(at, query);
    const around = circumference(composition, at, epsilon, 7 - Math.log(relevance * aim));
    const cost = around * relevance ** -ROUNDING_COST;
    if (best !== undefined && cost > 1.5 * best.cost) break;
    // A change must be worth it: the plan should not hop about between neighbouring queries.
    if (best === undefined || cost < 0.7 * best.cost) best = { saddle: at, relevance, around, curvature, cost };
  }
  return best!;
}

/** A power of 4, so that neighbouring queries share it. */
function relevanceOf({ tilt, cumulant }: Saddle, { epsilon, delta }: Query): number {
  const log = Math.log(delta) - (cumulant.value - tilt * epsilon) + Math.log(tilt + 1);
  return 4 ** Math.min(0, Math.max(-40, Math.round(log / Math.log(4))));
}
