/**
 * What an attack that guessed right says of epsilon, from one run: theorem 5.2 of Steinke, Nasr and Jagielski 2023, "Privacy auditing with one
 * (1) training run". Nothing is assumed of the mechanism or of the attack, only that every canary had a fair coin of its own.
 */
import { SimulationError } from '../errors.ts';

export interface Guesses {
  /** Canaries, each in the run or not by a fair coin. */
  readonly canaries: number;
  /** Of how many the attack said whether they are in; settled before it looked. */
  readonly guessed: number;
  readonly correct: number;
}

export interface Confidence {
  /** Of the claim: its epsilon holds but for so much. Choose it well below `falseAlarm` / (2 canaries): above that nothing can be refuted. */
  readonly delta: number;
  /** Probability that the bound is above an epsilon that is true. */
  readonly falseAlarm: number;
}

/** Where all of some thousand guesses are right, the bound is still far below. */
const MOST_EPSILON = 64;
const TURNS = 60;

/** The largest epsilon that is refuted; 0 when none is. @throws SimulationError `AUDIT_INVALID` */
export function epsilonLowerBound(guesses: Guesses, { delta, falseAlarm }: Confidence): number {
  check(guesses, { delta, falseAlarm });
  const isRefuted = (epsilon: number): boolean => luckiest(guesses, epsilon, delta) <= falseAlarm;
  if (!isRefuted(0)) return 0;
  let [refuted, open] = [0, MOST_EPSILON];
  for (let turn = 0; turn < TURNS; turn++) {
    const middle = (refuted + open) / 2;
    if (isRefuted(middle)) refuted = middle;
    else open = middle;
  }
  return refuted;
}

/**
 * Most that the probability of so many right guesses can be under (epsilon, delta): each is a coin that comes up right with
 * e^epsilon / (1 + e^epsilon), and delta buys the best few of them.
 */
export function luckiest({ canaries, guessed, correct }: Guesses, epsilon: number, delta: number): number {
  const right = binomial(guessed, 1 / (1 + Math.exp(-epsilon)));
  let chance = 0;
  for (let k = guessed; k >= correct; k--) chance += right[k]!;
  let [below, most] = [0, 0];
  for (let i = 1; i <= correct; i++) {
    below += right[correct - i]!;
    most = Math.max(most, below / i);
  }
  return Math.min(1, chance + 2 * canaries * delta * most);
}

/** P(X = k) for k = 0 to trials, through logarithms: the ends of thousands of trials are far below the least float. */
function binomial(trials: number, probability: number): Float64Array {
  const [yes, no] = [Math.log(probability), Math.log1p(-probability)];
  const all = new Float64Array(trials + 1);
  let ways = 0;
  for (let k = 0; k <= trials; k++) {
    all[k] = Math.exp(ways + (k === 0 ? 0 : k * yes) + (k === trials ? 0 : (trials - k) * no));
    ways += Math.log((trials - k) / (k + 1));
  }
  return all;
}

function check({ canaries, guessed, correct }: Guesses, { delta, falseAlarm }: Confidence): void {
  const counts = [canaries, guessed, correct];
  const isCount = counts.every((count) => Number.isInteger(count) && count >= 0) && correct <= guessed;
  if (!isCount || guessed > canaries || guessed === 0)
    throw invalid(`${correct} of ${guessed} guesses are right, about ${canaries} canaries`);
  if (!(delta >= 0 && delta < 1)) throw invalid(`a delta of ${delta}`);
  if (!(falseAlarm > 0 && falseAlarm < 1)) throw invalid(`a false-alarm rate of ${falseAlarm}`);
}

function invalid(why: string): SimulationError {
  return new SimulationError('AUDIT_INVALID', why);
}
