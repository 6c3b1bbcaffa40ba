/** The least noise, of four digits, that meets the target. */
import { AggregationError } from '../../errors.ts';
import { ladderOf } from './ladder.ts';
import type { Ladder } from './ladder.ts';
import { epsilonAt, idealEpsilonAt } from './price.ts';
import type { PlanQuestion } from './question.ts';
import { roundOf, roundOrNull } from './round.ts';
import type { PlannedRound } from './round.ts';
import { firstAbove } from './search.ts';

export const NOISE_LADDER: Ladder = ladderOf(4);
const LEAST = NOISE_LADDER.below(0.02);
const MOST = NOISE_LADDER.below(1e6);
/** Here it is asked what goes: a search leaves it for lesser or for greater noise. */
const MIDDLE = NOISE_LADDER.below(1);

/** @throws AggregationError `PRIVACY_TARGET_UNREACHABLE`, or as {@link roundOf} when not even a multiplier of 1 goes */
export function leastNoise(question: PlanQuestion, rounds: number): PlannedRound {
  roundOf(question, NOISE_LADDER.textAt(MIDDLE));
  const rung = meetsAt(question, rounds, MIDDLE)
    ? lastMetBelow(question, rounds)
    : firstAbove(MIDDLE, MOST, (at) => meetsAt(question, rounds, at) || isTooWide(question, at));
  const round = rung === null ? null : confirmedFrom(question, rounds, rung);
  if (round !== null) return round;
  const { epsilon, view } = question.target!;
  throw new AggregationError(
    'PRIVACY_TARGET_UNREACHABLE',
    `${question.protection === 'clear' ? 'no noise' : `no noise that ${question.bits} bits hold`} brings the ${view} view's epsilon to ${epsilon} after ${rounds} rounds at delta ${question.delta}`,
  );
}

/** The first rung above `from` that meets the target, or null when the lanes are too narrow for so much noise. */
export function noiseAbove(question: PlanQuestion, rounds: number, from: number): PlannedRound | null {
  const rung = firstAbove(from, MOST, (at) => meetsAt(question, rounds, at) || isTooWide(question, at));
  return rung === null ? null : confirmedFrom(question, rounds, rung);
}

function lastMetBelow(question: PlanQuestion, rounds: number): number {
  const missed = firstAbove(-MIDDLE, -LEAST, (at) => !meetsAt(question, rounds, -at));
  return missed === null ? LEAST : 1 - missed;
}

function isTooWide(question: PlanQuestion, rung: number): boolean {
  return roundOrNull(question, NOISE_LADDER.textAt(rung)) === null;
}

function meetsAt(question: PlanQuestion, rounds: number, rung: number): boolean {
  const round = roundOrNull(question, NOISE_LADDER.textAt(rung));
  return round !== null && idealEpsilonAt(question, round.releases, rounds) <= question.target!.epsilon;
}

/** With the noise as it is drawn, which hardly ever is a rung more. */
function confirmedFrom(question: PlanQuestion, rounds: number, from: number): PlannedRound | null {
  for (let rung = from; rung <= MOST; rung++) {
    const round = roundOrNull(question, NOISE_LADDER.textAt(rung));
    if (round === null) return null;
    if (epsilonAt(question, round.releases, rounds) <= question.target!.epsilon) return round;
  }
  return null;
}
