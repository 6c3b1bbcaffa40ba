/** The one line at which a document becomes a {@link PlanQuestion}. Keys and defaults: `docs/privacy/planning.md`. */
import { parseRational, toNumber } from '@carapace/crypto';
import { DocumentReader } from '../../document.ts';
import { AggregationError } from '../../errors.ts';
import { parseTask } from '../../parse-task.ts';
import { MASK_MODES } from '../../secagg/vector-mask.ts';
import { leastSurvivors } from '../../secagg/thresholds.ts';
import { matrixOf, NOISE_PLACEMENTS, privacyOf } from '../../task.ts';
import type { ParticipationCap, Task } from '../../task.ts';
import { BUDGET_MODES } from '../drawn.ts';
import { EVEN_PRICES, PLAN_SELECTIONS, PLAN_VIEWS, rateFor } from './question.ts';
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
  const mechanism = readMechanism(at, task);
  const cohort = readCohort(at, task, mechanism.protection);
  const population = at.numberOrNull('population', count, context.population ?? null);
  const question: PlanQuestion = {
    population,
    cohort,
    rounds: at.numberOrNull('rounds', { ...count, max: 1e6 }, task?.rounds ?? null),
    delta: at.number('delta', { min: 1e-30, max: 0.5 }, 1e-6),
    target: readTarget(at),
    rate: readRate(at, task, cohort.target, population),
    relation: at.choice('relation', ['zero-out', 'replace-one'], 'zero-out'),
    mode: at.choice('mode', BUDGET_MODES, 'planned'),
    participations: readParticipations(at, task),
    ...mechanism,
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
  if (task.protection.kind === 'clear' && privacyOf(task.protection) === null)
    throw at.refuse(
      'task',
      'is in the clear and without noise: give it protection.privacy, or protection secagg or shares',
    );
  if (matrixOf(task.protection) !== null)
    throw at.refuse('task', 'has correlated noise, which is charged once for all rounds: ask carapace budget forecast');
  if (privacyOf(task.protection)?.adaptive)
    throw at.refuse('task', 'has a clip that moves, whose bits are charged too: ask carapace budget forecast');
  return task;
}

/** Without a task, a round is as large as it needs to be for its masks to come off: `minimum` costs nothing up to there. */
function readCohort(
  at: DocumentReader,
  task: Task | null,
  protection: PlanQuestion['protection'],
): PlanQuestion['cohort'] {
  const { cohort } = task ?? {};
  const target = at.number('cohort', { ...count, max: 65_535 }, cohort?.target);
  const overSelection = at.number('overSelection', { min: 1, max: 10 }, cohort?.overSelection ?? 1);
  const usual = cohort?.target === target ? cohort.minimum : protection === 'clear' ? 1 : leastSurvivors(target);
  return { target, overSelection, minimum: at.number('minimum', count, usual) };
}

/** Of a task's coins, or such that they bring the cohort. */
function readRate(at: DocumentReader, task: Task | null, target: number, population: number | null): string | null {
  const selection = task?.cohort.selection;
  const asked = at.has('rate') ? at.parsed('rate', parseRate) : null;
  if (at.choice('selection', PLAN_SELECTIONS, selection?.kind ?? 'fixed') === 'fixed') {
    if (asked !== null) throw at.refuse('rate', 'is of secret coins: name selection poisson');
    return null;
  }
  if (asked !== null) return asked;
  const isTasks = selection?.kind === 'poisson' && task?.cohort.target === target;
  if (isTasks) return selection.rate;
  if (population === null)
    throw refuse(
      'selection poisson needs a population, or a rate: clients come with the probability cohort / population',
    );
  if (target > population) throw refuse(`a cohort of ${target} is more than the population of ${population}`);
  return rateFor(target, population);
}

/** As in a task. */
function parseRate(text: string): string {
  const value = toNumber(parseRational(text));
  if (value >= 1e-9 && value <= 1) return text;
  throw refuse('a decimal text from 1e-9 to 1');
}

/** What is stated, or capped; null where it is to be predicted. */
function readParticipations(at: DocumentReader, task: Task | null): ParticipationCap | null {
  const cap = task?.cohort.participation ?? { most: null, apart: 1 };
  const most = at.numberOrNull('participations', { ...count, max: 1e6 }, cap.most);
  const apart = at.number('apart', { ...count, max: 1e6 }, cap.apart);
  return most === null && apart === 1 ? null : { most, apart };
}

function readTarget(at: DocumentReader): PlanTarget | null {
  const view = at.choice('view', PLAN_VIEWS, 'model');
  const epsilon = at.numberOrNull('epsilon', { min: 1e-6, max: 10_000 }, null);
  return epsilon === null ? null : { epsilon, view };
}

type Mechanism = Pick<
  PlanQuestion,
  'protection' | 'placement' | 'maskMode' | 'bits' | 'noise' | 'noiseMultiplier' | 'clip' | 'colluding'
>;

function readMechanism(at: DocumentReader, task: Task | null): Mechanism {
  const protection = at.choice('protection', ['clear', 'secagg', 'shares'], task?.protection.kind ?? 'secagg');
  const isTasks = task?.protection.kind === protection;
  const hiding = task === null || task.protection.kind === 'clear' ? null : task.protection;
  const privacy = task && privacyOf(task.protection);
  const maskMode = hiding?.kind === 'secagg' ? hiding.mode : 'auto';
  return {
    protection,
    placement: at.choice(
      'placement',
      NOISE_PLACEMENTS,
      (isTasks ? privacy?.placement : null) ?? (protection === 'clear' ? 'central' : 'distributed'),
    ),
    maskMode: at.choice('maskMode', ['auto', ...MASK_MODES], maskMode),
    bits: at.number('bits', { min: 4, max: 24, integer: true }, hiding?.bits ?? 16),
    noise: at.choice(
      'noise',
      ['skellam', 'discrete-gaussian'],
      (isTasks ? privacy?.noise : null) ?? (protection === 'clear' ? 'discrete-gaussian' : 'skellam'),
    ),
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
  const { rounds, target, noiseMultiplier } = question;
  if (rounds === null && target === null) throw refuse('name rounds, or an epsilon that tells how many there may be');
  if (noiseMultiplier === null && target === null)
    throw refuse('name an epsilon to be met, or a noiseMultiplier to be judged');
  if (rounds === null && noiseMultiplier === null)
    throw refuse('name rounds or a noiseMultiplier: an epsilon alone is met by less and less noise in fewer rounds');
  checkMechanism(question);
  if (question.rate !== null) checkCoins(question);
  return question;
}

/** As a task is checked. */
function checkMechanism({ protection, placement, noise, colluding, target }: PlanQuestion): void {
  if (protection === 'clear' && placement === 'distributed')
    throw refuse(
      'placement distributed goes with protection secagg or shares: in the clear nobody hides a share of noise',
    );
  if (protection === 'clear' && noise !== 'discrete-gaussian')
    throw refuse(`noise is ${noise}; with protection clear it is discrete-gaussian`);
  if (placement !== 'distributed' && colluding > 0)
    throw refuse(`colluding is ${colluding}, but ${placement} noise is not shared among survivors`);
  if (placement === 'central' && target?.view === 'server')
    throw refuse(
      'view is server, but with placement central the coordinator sees sums without noise: nothing is promised there',
    );
}

function checkCoins({ protection, placement, relation, cohort }: PlanQuestion): void {
  if (protection !== 'clear' || placement !== 'central')
    throw refuse('selection poisson goes with protection clear and placement central: elsewhere no bound is proved');
  if (relation !== 'zero-out')
    throw refuse('selection poisson goes with relation zero-out: no bound is known for the other');
  if (cohort.minimum !== 1 || cohort.overSelection !== 1)
    throw refuse(
      'selection poisson has neither minimum nor overSelection: nothing may hang on how many the coins chose',
    );
}
