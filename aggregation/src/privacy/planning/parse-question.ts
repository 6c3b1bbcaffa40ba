/** The one line at which a document becomes a {@link PlanQuestion}. Keys and defaults: `docs/privacy/planning.md`. */
import { parseRational, toNumber } from '@carapace/crypto';
import { DocumentReader } from '../../document.ts';
import { AggregationError } from '../../errors.ts';
import { parseTask } from '../../parse-task.ts';
import { MASK_MODES } from '../../secagg/vector-mask.ts';
import { leastSurvivors } from '../../secagg/thresholds.ts';
import type { Task } from '../../task.ts';
import { BUDGET_MODES } from '../drawn.ts';
import { EVEN_PRICES, PLAN_SELECTIONS, PLAN_VIEWS, selectedOf } from './question.ts';
import type { BudgetLeft, ChangePrices, PlanQuestion, PlanTarget } from './question.ts';

/** What whoever asks on behalf of somebody else knows better: used where the document says nothing. */
export interface PlanContext {
  readonly population?: number;
  readonly parameters?: number;
  readonly budgets?: readonly BudgetLeft[];
}

/** `mnist-2nn`, the model of `npm start`: for a question that names none. */
export const PLAN_PARAMETERS = 199_210;

const count = { min: 1, max: 1e9, integer: true } as const;
const refuse = (message: string, options?: ErrorOptions): AggregationError =>
  new AggregationError('PLAN_INVALID', message, options);

/** A task's own numbers stand wherever the document says nothing. @throws AggregationError `PLAN_INVALID` or `TASK_INVALID` */
export function parsePlanQuestion(value: unknown, context: PlanContext = {}): PlanQuestion {
  const at = new DocumentReader(value, '', refuse);
  const task = taskIn(at, value);
  const cohort = readCohort(at, task);
  const question: PlanQuestion = {
    population: at.numberOrNull('population', count, context.population ?? null),
    cohort,
    rounds: at.numberOrNull('rounds', { ...count, max: 1e6 }, task?.rounds ?? null),
    delta: at.number('delta', { min: 1e-30, max: 0.5 }, 1e-6),
    target: readTarget(at),
    selection: at.choice('selection', PLAN_SELECTIONS, 'public'),
    relation: at.choice('relation', ['zero-out', 'replace-one'], 'zero-out'),
    mode: at.choice('mode', BUDGET_MODES, 'planned'),
    participations: at.numberOrNull('participations', { ...count, max: 1e6 }, null),
    ...readMechanism(at, task),
    parameters: at.number('parameters', { min: 1, max: 2 ** 30, integer: true }, context.parameters ?? PLAN_PARAMETERS),
    dropout: at.number('dropout', { min: 0, max: 0.99 }, 0.1),
    prices: readPrices(at.object('prices', {})),
    budgets: context.budgets ?? [],
  };
  at.end();
  return checked(question);
}

function taskIn(at: DocumentReader, value: unknown): Task | null {
  if (!at.has('task')) return null;
  const task = parseTask((value as { readonly task: unknown }).task);
  if (task.protection.kind === 'clear')
    throw at.refuse('task', 'is in the clear: noise is planned for protection secagg or shares');
  return task;
}

/** Without a task, a round is as large as it needs to be for its masks to come off: `minimum` costs nothing up to there. */
function readCohort(at: DocumentReader, task: Task | null): PlanQuestion['cohort'] {
  const { cohort } = task ?? {};
  const target = at.number('cohort', { ...count, max: 65_535 }, cohort?.target);
  const overSelection = at.number('overSelection', { min: 1, max: 10 }, cohort?.overSelection ?? 1);
  const usual = cohort?.target === target ? cohort.minimum : leastSurvivors(target);
  return { target, overSelection, minimum: at.number('minimum', count, usual) };
}

function readTarget(at: DocumentReader): PlanTarget | null {
  const view = at.choice('view', PLAN_VIEWS, 'model');
  const epsilon = at.numberOrNull('epsilon', { min: 1e-6, max: 10_000 }, null);
  return epsilon === null ? null : { epsilon, view };
}

type Mechanism = Pick<
  PlanQuestion,
  'protection' | 'maskMode' | 'bits' | 'noise' | 'noiseMultiplier' | 'clip' | 'colluding'
>;

function readMechanism(at: DocumentReader, task: Task | null): Mechanism {
  const hiding = task === null || task.protection.kind === 'clear' ? null : task.protection;
  const privacy = hiding?.privacy ?? null;
  const maskMode = hiding?.kind === 'secagg' ? hiding.mode : 'auto';
  return {
    protection: at.choice('protection', ['secagg', 'shares'], hiding?.kind ?? 'secagg'),
    maskMode: at.choice('maskMode', ['auto', ...MASK_MODES], maskMode),
    bits: at.number('bits', { min: 4, max: 24, integer: true }, hiding?.bits ?? 16),
    noise: at.choice('noise', ['skellam', 'discrete-gaussian'], privacy?.noise ?? 'skellam'),
    noiseMultiplier: at.has('noiseMultiplier')
      ? at.parsed('noiseMultiplier', parseMultiplier)
      : (privacy?.noiseMultiplier ?? null),
    clip: at.number('clip', { min: 1e-6, max: 1e6 }, privacy?.clip ?? 1),
    colluding: at.number('colluding', { min: 0, max: 1e6, integer: true }, privacy?.colluding ?? 0),
  };
}

/** As in a task. */
function parseMultiplier(text: string): string {
  const value = toNumber(parseRational(text));
  if (value >= 0.02 && value <= 1e6) return text;
  throw refuse('a decimal text from 0.02 to 1000000');
}

function readPrices(at: DocumentReader): ChangePrices {
  const price = { min: 1e-3, max: 1e3 } as const;
  const prices = {
    noise: at.number('noise', price, EVEN_PRICES.noise),
    rounds: at.number('rounds', price, EVEN_PRICES.rounds),
    cohort: at.number('cohort', price, EVEN_PRICES.cohort),
    delta: at.number('delta', price, EVEN_PRICES.delta),
  };
  at.end();
  return prices;
}

function checked(question: PlanQuestion): PlanQuestion {
  const { rounds, target, noiseMultiplier, selection, population, cohort, relation } = question;
  if (rounds === null && target === null) throw refuse('name rounds, or an epsilon that tells how many there may be');
  if (noiseMultiplier === null && target === null)
    throw refuse('name an epsilon to be met, or a noiseMultiplier to be judged');
  if (rounds === null && noiseMultiplier === null)
    throw refuse('name rounds or a noiseMultiplier: an epsilon alone is met by less and less noise in fewer rounds');
  if (selection === 'poisson' && population === null)
    throw refuse('selection poisson needs a population: clients come with the probability cohort / population');
  if (selection === 'poisson' && relation !== 'zero-out')
    throw refuse('selection poisson goes with relation zero-out: no bound is known for the other');
  if (selection === 'poisson' && population !== null && selectedOf(cohort) > population)
    throw refuse(`a cohort of ${selectedOf(cohort)} is more than the population of ${population}`);
  return question;
}
