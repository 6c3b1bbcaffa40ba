/** Privacy budgets and the ledger behind them. Whoever may read may audit: the ledger's texts are those that were hashed. */
import { BUDGET_MODES, parseBudgetId, parseTaskId } from '@carapace/aggregation';
import { Type } from '@fastify/type-provider-typebox';
import { BUDGET_RELATIONS, BUDGET_VIEWS } from '../../../domain/budget.ts';
import type { Spent } from '../../../domain/budget.ts';
import type { Edge, Server } from '../edge.ts';
import { object, text } from '../schemas.ts';
import { actorOf, guarded } from './guarded.ts';

const budgetParams = object({ budget: text('name of the budget') });
const oneOf = (choices: readonly string[]) => Type.Union(choices.map((choice) => Type.Literal(choice)));
const termsBody = object({
  epsilon: Type.Number({ exclusiveMinimum: 0, maximum: 10_000 }),
  delta: Type.Number({ minimum: 1e-30, exclusiveMaximum: 0.5, description: 'below 1 / clients' }),
  relation: Type.Optional(oneOf(BUDGET_RELATIONS)),
  view: Type.Optional(oneOf(BUDGET_VIEWS)),
  mode: Type.Optional(oneOf(BUDGET_MODES)),
  windowDays: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Null()])),
});
const ledgerQuery = object({
  after: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$', description: 'entries above this number' })),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$', description: 'how many (1000)' })),
});

export function budgetRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const of = (role: 'auditor' | 'admin', id: string, summary: string): ReturnType<typeof guarded> =>
    guarded(edge, role, id, 'privacy', summary);
  const list = of('auditor', 'listBudgets', 'All privacy budgets, and what they stand at');
  server.get('/v1/budgets', list, async () => ({ budgets: (await api.listBudgets()).map(spentView) }));
  const show = of('auditor', 'showBudget', 'One privacy budget');
  server.get('/v1/budgets/:budget', { ...show, schema: { ...show.schema, params: budgetParams } }, async ({ params }) =>
    spentView(await api.findBudget(parseBudgetId(params.budget))),
  );
  const set = of('admin', 'setBudget', 'Set a privacy budget; once it was charged only its epsilon may change');
  server.put(
    '/v1/budgets/:budget',
    { ...set, schema: { ...set.schema, params: budgetParams, body: termsBody } },
    async (request) => {
      const terms = {
        relation: 'zero-out',
        view: 'model',
        mode: 'planned',
        windowDays: null,
        ...request.body,
      } as const;
      const spent = await api.setBudget(parseBudgetId(request.params.budget), terms, actorOf(request));
      return spentView(spent);
    },
  );
  const forecast = of('auditor', 'forecastBudgets', 'How many more rounds of a task its budgets hold');
  server.get(
    '/v1/tasks/:task/forecast',
    { ...forecast, schema: { ...forecast.schema, params: object({ task: text('name of the task') }) } },
    async ({ params }) => ({ budgets: await api.forecast(parseTaskId(params.task)) }),
  );
  ledgerRoutes(server, edge, of);
}

function ledgerRoutes(
  server: Server,
  { api }: Edge,
  of: (role: 'auditor' | 'admin', id: string, summary: string) => ReturnType<typeof guarded>,
): void {
  const ledger = of('auditor', 'listLedger', 'The privacy ledger, in its order, to be recomputed by anyone');
  server.get(
    '/v1/ledger',
    { ...ledger, schema: { ...ledger.schema, querystring: ledgerQuery } },
    async ({ query }) => ({
      entries: await api.listLedger(Number(query.after ?? '0'), Math.min(1000, Number(query.limit ?? '1000'))),
    }),
  );
  const accept = of('admin', 'acceptLedger', 'Go on with a ledger that a restored backup has shortened');
  server.post('/v1/ledger/accept', accept, async (request) => ({ entries: await api.acceptLedger(actorOf(request)) }));
}

function spentView({ budget, terms, epsilon, rounds, answer }: Spent): Record<string, unknown> {
  const finite = Number.isFinite(epsilon) ? epsilon : null;
  const { method = null, engine = null, engineVersion = null } = answer ?? {};
  return {
    budget,
    ...terms,
    spent: finite,
    left: finite === null ? 0 : Math.max(0, terms.epsilon - finite),
    rounds,
    method,
    engine,
    engineVersion,
  };
}
