/**
 * The least change of one thing that would meet a target: more noise, fewer rounds, more clients in a round (with so much more noise that the
 * mean stays as noisy as it is), or a larger delta. Each is confirmed by the accountant, and one step less is not enough. Ranked by price.
 */
import { toNumber, parseRational } from '@carapace/crypto';
import { leastSurvivors } from '../../secagg/thresholds.ts';
import { NOISE_LADDER, noiseAbove } from './calibrated.ts';
import { ladderOf } from './ladder.ts';
import type { Ladder } from './ladder.ts';
import { epsilonAt, idealEpsilonAt } from './price.ts';
import { rateFor } from './question.ts';
import type { PlanQuestion } from './question.ts';
import { roundOrNull } from './round.ts';
import type { PlannedRound } from './round.ts';
import { firstAbove } from './search.ts';
import { signalOf } from './signal.ts';

export interface Change {
  readonly what: 'noise' | 'rounds' | 'cohort' | 'delta';
  /** The question as it would be: whoever plans it meets the target. */
  readonly question: PlanQuestion & { readonly noiseMultiplier: string; readonly rounds: number };
  readonly epsilon: number;
  /** Price of the change: so much for each doubling of noise or cohort, each halving of the rounds, each tenfold of delta. */
  readonly cost: number;
}

type Settled = Change['question'];

/** Two digits: nobody means more by a delta. */
const DELTA_LADDER: Ladder = ladderOf(2);
/** Members are numbered with 16 bits. */
const MOST_COHORT = 65_535;

export interface Changes {
  /** The cheapest first. */
  readonly changes: readonly Change[];
  /** What alone can bring it about by no value. */
  readonly hopeless: readonly Change['what'][];
}

export function changesFor(question: Settled, round: PlannedRound): Changes {
  const tried = {
    noise: moreNoise(question),
    rounds: fewerRounds(question, round),
    cohort: largerCohort(question, round),
    delta: largerDelta(question, round),
  };
  const names = ['noise', 'rounds', 'cohort', 'delta'] as const;
  return {
    changes: Object.values(tried)
      .filter((change) => change !== null)
      .toSorted((a, b) => a.cost - b.cost),
    hopeless: names.filter((name) => tried[name] === null),
  };
}

function moreNoise(question: Settled): Change | null {
  const now = multiplierOf(question);
  const round = noiseAbove(question, question.rounds, NOISE_LADDER.below(now));
  if (round === null) return null;
  const changed = { ...question, noiseMultiplier: round.noiseMultiplier };
  return confirmed('noise', changed, question.prices.noise * Math.log2(multiplierOf(changed) / now), round);
}

function fewerRounds(question: Settled, round: PlannedRound): Change | null {
  const rounds = roundsHeld(question, round, question.rounds - 1);
  if (rounds === 0) return null;
  const cost = question.prices.rounds * Math.log2(question.rounds / rounds);
  return confirmed('rounds', { ...question, rounds }, cost, round);
}

/** Most rounds, up to `most`, that meet the target; 0 when not even one does. */
export function roundsHeld(question: PlanQuestion, { releases }: PlannedRound, most: number): number {
  const misses = (rounds: number): boolean => idealEpsilonAt(question, releases, rounds) > question.target!.epsilon;
  let held = (firstAbove(0, most, misses) ?? most + 1) - 1;
  while (held > 0 && epsilonAt(question, releases, held) > question.target!.epsilon) held--;
  return held;
}

function largerCohort(question: Settled, round: PlannedRound): Change | null {
  const { cohort, population, rounds, prices, target } = question;
  const loudest = signalOf(question, round, rounds).noiseToSignal;
  const at = (clients: number): { readonly question: Settled; readonly round: PlannedRound } | null =>
    asNoisy(withCohort(question, clients), loudest);
  const most = Math.floor(Math.min(MOST_COHORT, population ?? MOST_COHORT) / cohort.overSelection);
  const clients = firstAbove(cohort.target, most, (count) => {
    const larger = at(count);
    return larger !== null && idealEpsilonAt(larger.question, larger.round.releases, rounds) <= target!.epsilon;
  });
  const found = clients === null ? null : at(clients);
  if (found === null) return null;
  const cost = prices.cohort * Math.log2(found.question.cohort.target / cohort.target);
  return confirmed('cohort', found.question, cost, found.round);
}

/** The same share of it must survive; where it was what masks ask for anyway, so it is again. Coins come up so much more often. */
function withCohort(question: Settled, target: number): Settled {
  const { cohort, rate, population } = question;
  if (rate !== null) return { ...question, rate: rateFor(target, population!), cohort: { ...cohort, target } };
  const isUsual = cohort.minimum === leastSurvivors(cohort.target);
  const minimum = isUsual ? leastSurvivors(target) : Math.ceil((cohort.minimum * target) / cohort.target);
  return { ...question, cohort: { ...cohort, target, minimum } };
}

/** With the most noise that leaves a mean no noisier than it was. */
function asNoisy(question: Settled, noiseToSignal: number): { question: Settled; round: PlannedRound } | null {
  const before = roundOrNull(question, question.noiseMultiplier);
  if (before === null) return null;
  const room = noiseToSignal / signalOf(question, before, question.rounds).noiseToSignal;
  // Rounding is another part of the noise with other integers: a rung less now and then.
  for (let rung = NOISE_LADDER.below(multiplierOf(question) * room); ; rung--) {
    const changed = { ...question, noiseMultiplier: NOISE_LADDER.textAt(rung) };
    const round = roundOrNull(changed, changed.noiseMultiplier);
    if (round === null) return null;
    if (signalOf(changed, round, changed.rounds).noiseToSignal <= noiseToSignal) return { question: changed, round };
  }
}

/** Below 1 / population, where a delta stops meaning that nobody is given away. */
function largerDelta(question: Settled, round: PlannedRound): Change | null {
  const { population, delta, rounds, prices, target } = question;
  if (population === null || delta >= 1 / population) return null;
  const at = (rung: number): Settled => ({ ...question, delta: DELTA_LADDER.at(rung) });
  const last = DELTA_LADDER.below((1 - 1e-9) / population);
  const meets = (rung: number): boolean => epsilonAt(at(rung), round.releases, rounds) <= target!.epsilon;
  const rung = firstAbove(DELTA_LADDER.below(delta), last, meets);
  if (rung === null) return null;
  return confirmed('delta', at(rung), prices.delta * Math.log10(at(rung).delta / delta), round);
}

function confirmed(what: Change['what'], question: Settled, cost: number, round: PlannedRound): Change | null {
  const epsilon = epsilonAt(question, round.releases, question.rounds);
  return epsilon <= question.target!.epsilon ? { what, question, epsilon, cost } : null;
}

function multiplierOf({ noiseMultiplier }: Settled): number {
  return toNumber(parseRational(noiseMultiplier));
}
