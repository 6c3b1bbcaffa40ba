/** What a plan warns of: settings that cannot be, that leave nothing of the model, or that promise nothing. */
import type { NoisePlacement } from '../../task.ts';
import { largestCohort } from '../user-level.ts';
import type { CurvePoint } from './curve.ts';
import type { BudgetLeft, PlanQuestion, PlanTarget } from './question.ts';
import type { QuorumOdds } from './quorum.ts';
import type { Signal } from './signal.ts';

/** What each code means. `docs/privacy/planning.md` has the same table, by test. */
export const PLAN_WARNINGS = {
  PLAN_COHORT_SMALL: 'A round has fewer clients than it needs: below the minimum, or below the three that masks need.',
  PLAN_COLLUDING_LARGE: 'Half of the least survivors or more are not relied on: the others make up for their noise.',
  PLAN_IMPOSSIBLE: 'The mechanism or the masks refuse the settings.',
  PLAN_NOISE_DROWNS: 'Over the whole run the noise is longer than the sum of all means can be: no model is left.',
  PLAN_NOISE_ABOVE_SIGNAL: 'In a round the noise is longer than any mean: only many rounds that agree stand out of it.',
  PLAN_EPSILON_LARGE: 'An epsilon above 10 promises next to nothing.',
  PLAN_DELTA_LARGE: 'A delta of 1 / population or more allows to give a client away altogether.',
  PLAN_DELTA_NEAR: 'A delta above population^-1.1 is nearer to 1 / population than it should be.',
  PLAN_BUDGET_STOPS: 'The budget is spent before the rounds are over: the task stops there.',
  PLAN_QUORUM_UNLIKELY: 'Fewer than nine in ten rounds reach their quorum at that drop-out rate.',
} as const;

export type PlanWarningCode = keyof typeof PLAN_WARNINGS;

export interface PlanWarning {
  readonly code: PlanWarningCode;
  /** With the numbers of this plan. */
  readonly text: string;
}

/** Masks and shares hide a client among so many; in the clear nothing hides it. */
const LEAST_HIDDEN = 3;

/** What stands in the way of any plan; with one of these there is none. */
export function obstaclesTo(question: PlanQuestion): PlanWarning[] {
  const { cohort, population, colluding, protection, rate } = question;
  const { target, minimum } = cohort;
  const least = protection === 'clear' ? 1 : LEAST_HIDDEN;
  const found: PlanWarning[] = [];
  const small = (text: string): void => void found.push({ code: 'PLAN_COHORT_SMALL', text });
  if (target < least) small(`a cohort of ${target}: masks hide a client among ${least} at least`);
  else if (minimum < least) small(`a minimum of ${minimum}: masks hide a client among ${least} at least`);
  if (minimum > target) small(`a cohort of ${target} is below its minimum of ${minimum}: no round could close`);
  if (rate === null && population !== null && population < Math.max(minimum, least))
    small(`a population of ${population} is below the minimum of ${Math.max(minimum, least)}`);
  if (colluding >= minimum)
    found.push({
      code: 'PLAN_COLLUDING_LARGE',
      text: `${colluding} of ${minimum} survivors are not relied on: nobody is left to add noise`,
    });
  return found;
}

export interface Findings {
  readonly question: PlanQuestion;
  readonly rounds: number;
  readonly last: CurvePoint;
  readonly signal: Signal;
  readonly odds: QuorumOdds;
  /** Rounds that the target holds, when there is one. */
  readonly held: number | null;
}

export function warningsOf(findings: Findings): PlanWarning[] {
  const all = [noiseOf(findings), epsilonOf(findings), deltaOf(findings.question), ...budgetsOf(findings)];
  return [...all, colludingOf(findings.question), oddsOf(findings)].filter((warning) => warning !== null);
}

/** z: noise over clip; d: parameters; k: survivors; f: those of them whose noise is relied on. */
const FORMULAS: Readonly<Record<NoisePlacement, string>> = {
  distributed: 'z sqrt(d / (f k))',
  central: 'z sqrt(d) / k',
  local: 'z sqrt(d / k)',
};

function noiseOf({ question, rounds, signal }: Findings): PlanWarning | null {
  const { noiseToSignal, noiseToSignalOverRun, survivors, levelCohort } = signal;
  if (noiseToSignal <= 1) return null;
  const round = `${FORMULAS[question.placement]} = ${digits(noiseToSignal)} times as long as any mean of ${survivors} clients`;
  const help = `level in a round at a cohort of ${levelCohort}, at d = ${question.parameters}`;
  if (noiseToSignalOverRun <= 1)
    return { code: 'PLAN_NOISE_ABOVE_SIGNAL', text: `the noise of a round is ${round}; ${help}` };
  const run = `${digits(noiseToSignalOverRun)} times as long as all ${rounds} means together, if they agreed in everything`;
  return { code: 'PLAN_NOISE_DROWNS', text: `the noise of a round is ${round}, that of the run ${run}; ${help}` };
}

const LARGE_EPSILON = 10;

function epsilonOf({ last, question }: Findings): PlanWarning | null {
  const view = question.target?.view ?? 'model';
  const epsilon = last[view];
  if (epsilon <= LARGE_EPSILON) return null;
  const odds = epsilon < 700 ? `e^${digits(epsilon)} = ${digits(Math.exp(epsilon))}` : 'more than any number of';
  return {
    code: 'PLAN_EPSILON_LARGE',
    text: `an epsilon of ${digits(epsilon)} in the ${view} view lets what is released shift the odds about a client by a factor of ${odds}`,
  };
}

function deltaOf({ delta, population }: PlanQuestion): PlanWarning | null {
  if (population === null) return null;
  if (delta >= 1 / population) {
    const text = `delta ${delta} times ${population} clients: ${digits(delta * population)} of them may be given away altogether`;
    return { code: 'PLAN_DELTA_LARGE', text };
  }
  const far = population ** -1.1;
  if (delta <= far) return null;
  return { code: 'PLAN_DELTA_NEAR', text: `delta ${delta} is above population^-1.1 = ${digits(far)}` };
}

function budgetsOf({ question, rounds, held }: Findings): PlanWarning[] {
  const stops = (name: string, left: number): PlanWarning => ({
    code: 'PLAN_BUDGET_STOPS',
    text: `${name} holds ${left} of ${rounds} rounds`,
  });
  const own = held !== null && held < rounds ? [stops(targetText(question, question.target!), held)] : [];
  const left = question.budgets.filter((budget: BudgetLeft) => budget.roundsLeft < rounds);
  return [...own, ...left.map(({ budget, roundsLeft }) => stops(`the budget ${budget}`, roundsLeft))];
}

function targetText({ delta }: PlanQuestion, { epsilon, view }: PlanTarget): string {
  return `epsilon ${epsilon} at delta ${delta} in the ${view} view`;
}

function colludingOf({ colluding, cohort: { minimum } }: PlanQuestion): PlanWarning | null {
  if (2 * colluding < minimum || colluding === 0) return null;
  const wider = Math.sqrt(minimum / (minimum - colluding));
  const text = `${colluding} of ${minimum} survivors are not relied on: every client's noise is ${digits(wider)} times as wide for it`;
  return { code: 'PLAN_COLLUDING_LARGE', text };
}

const LIKELY = 0.9;

function oddsOf({ question, odds: { probability, quorum, dropout } }: Findings): PlanWarning | null {
  if (probability >= LIKELY) return null;
  const text = `${quorum} of ${largestCohort(question.cohort)} report with probability ${digits(probability)} when ${digits(100 * dropout)} % drop out`;
  return { code: 'PLAN_QUORUM_UNLIKELY', text };
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
