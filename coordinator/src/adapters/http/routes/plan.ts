/** What private training would cost and leave: computed off the loop, so that rounds go on meanwhile. */
import type { Edge, Server } from '../edge.ts';
import { open } from '../schemas.ts';
import { guarded } from './guarded.ts';

/** Longer than a plan and those that wait before it may take, shorter than a silent connection is kept. */
const HANDLER_MS = 85_000;

export function planRoute(server: Server, edge: Edge): void {
  const plan = guarded(
    edge,
    'auditor',
    'planPrivacy',
    'privacy',
    'What private training would cost and leave, and how many of its rounds budgets hold',
  );
  const body = open('The question: docs/privacy/planning.md');
  server.post(
    '/v1/plan',
    { ...plan, handlerTimeout: HANDLER_MS, schema: { ...plan.schema, body } },
    // As `carapace plan --json` says it: an epsilon without end is null.
    ({ body: question }) => edge.api.plan(question),
  );
}
