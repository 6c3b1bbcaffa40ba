/** Both epsilons as rounds go by. */
import { canonicalCharges } from '../events/canonical.ts';
import type { Participations } from './participations.ts';
import { epsilonOf } from './price.ts';
import type { PlanQuestion, PlanView } from './question.ts';
import type { Releases } from './releases.ts';

export interface CurvePoint {
  /** Completed rounds. */
  readonly rounds: number;
  readonly model: number;
  readonly server: number;
  /** Of the client that takes part most: what the server's view counts. */
  readonly participations: number;
}

/** A run of more rounds has a curve of as many points, evenly spread, the first and the last round among them. */
export const CURVE_POINTS = 100;

export function curveOf(
  question: PlanQuestion,
  releases: Releases,
  rounds: number,
  participations: Participations,
): CurvePoint[] {
  // To the server rounds in which the worst client has no further part are the same again.
  const known = new Map<string, number>();
  const epsilonAfter = (view: PlanView, at: number, taken: number): number => {
    const charges = releases.charges(view, at, taken);
    if (charges === null) return Infinity;
    const key = canonicalCharges(charges);
    const epsilon = known.get(key) ?? epsilonOf(question, releases, view, at, taken);
    known.set(key, epsilon);
    return epsilon;
  };
  // What bounds more rounds bounds fewer: where a search of orders ended a hair higher, the later bound is the better one.
  let next = { model: Infinity, server: Infinity };
  const points = pointsUpTo(rounds).toReversed();
  const backwards = points.map((at): CurvePoint => {
    const taken = participations.after(at);
    next = {
      model: Math.min(next.model, epsilonAfter('model', at, taken)),
      server: Math.min(next.server, epsilonAfter('server', at, taken)),
    };
    return { rounds: at, ...next, participations: taken };
  });
  return backwards.toReversed();
}

function pointsUpTo(rounds: number): number[] {
  if (rounds <= CURVE_POINTS) return Array.from({ length: rounds }, (_, i) => i + 1);
  const even = Array.from({ length: CURVE_POINTS }, (_, i) => Math.round(1 + (i * (rounds - 1)) / (CURVE_POINTS - 1)));
  return [...new Set(even)];
}
