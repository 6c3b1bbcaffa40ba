/** A question to the planner: what is known here stands where it says nothing, and budgets say what they have left. */
import {
  AggregationError,
  DocumentReader,
  layoutOf,
  parseBudgetId,
  parseModelName,
  parsePlanQuestion,
  parseTask,
  privacyOf,
} from '@carapace/aggregation';
import type { BudgetId, ModelName, PrivacyPlan } from '@carapace/aggregation';
import { CoordinatorError } from '../../errors.ts';
import type { Context } from '../context.ts';
import type { Budgets } from './budgets.ts';

type Document = Readonly<Record<string, unknown>>;

/** Beyond the planner's own keys: `model`, of which there is a version here, and `budgets`; by default those of the task. */
export async function answerPlan(ctx: Context, budgets: Budgets, asked: Document): Promise<PrivacyPlan> {
  const { model, named } = readNames(asked);
  const { model: _model, budgets: _budgets, ...document } = asked;
  const [population, parameters] = await Promise.all([
    'population' in document ? null : enrolledIn(ctx),
    model === null || 'parameters' in document ? null : parametersOf(ctx, model),
  ]);
  const question = parsePlanQuestion(document, {
    ...(population !== null && { population }),
    ...(parameters !== null && { parameters }),
  });
  return ctx.planning.plan({
    question,
    budgets: named,
    ledger: await budgets.ledgerFor(named),
    now: ctx.clock.now(),
  });
}

interface Named {
  readonly model: ModelName | null;
  readonly named: readonly BudgetId[];
}

function readNames(asked: Document): Named {
  const at = new DocumentReader(
    asked,
    '',
    (message, options) => new AggregationError('PLAN_INVALID', message, options),
  );
  const task = at.has('task') ? parseTask(asked['task']) : null;
  const model = at.has('model') ? at.parsed('model', parseModelName) : null;
  const budgets = at.has('budgets') ? at.parsedList('budgets', parseBudgetId) : null;
  const ofTask = task === null ? [] : (privacyOf(task.protection)?.budgets ?? []);
  return { model: model ?? task?.model.name ?? null, named: [...new Set(budgets ?? ofTask)] };
}

/** Null where nobody is: a plan for clients that are still to come is not about none. */
async function enrolledIn({ store }: Context): Promise<number | null> {
  const active = (await store.listClients()).filter(({ status }) => status === 'active');
  return active.length === 0 ? null : active.length;
}

async function parametersOf({ store }: Context, model: ModelName): Promise<number> {
  const latest = await store.findChannel(model, 'latest');
  if (latest !== null) return layoutOf(latest.tensors).size;
  throw new CoordinatorError(
    'VERSION_NOT_FOUND',
    `${model} has no version here whose parameters could be counted: publish one, or name parameters`,
  );
}
