import { Type } from '@fastify/type-provider-typebox';
import type { Edge, Server } from '../edge.ts';
import { authenticateOperator } from '../authentication.ts';
import { object, open } from '../schemas.ts';

export function healthRoutes(server: Server, edge: Edge): void {
  const { api, telemetry } = edge;
  const tags = ['health'];
  server.get(
    '/livez',
    {
      schema: {
        operationId: 'livez',
        tags,
        summary: 'The event loop turns',
        response: { 200: object({ status: Type.String() }) },
      },
    },
    () => ({
      status: 'ok',
    }),
  );
  const readiness = object({ ready: Type.Boolean(), checks: open('ok, degraded or failing, by part') });
  server.get(
    '/readyz',
    {
      schema: {
        operationId: 'readyz',
        tags,
        summary: 'The records answer; a lost queue only degrades',
        response: { 200: readiness, 503: readiness },
      },
    },
    async (_request, reply) => {
      const { ready, checks } = await api.readiness();
      return reply.code(ready ? 200 : 503).send({ ready, checks: { ...checks } });
    },
  );
  server.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        tags,
        summary: 'Prometheus text; with an API key where a task has secret cohorts, which the counts would tell',
      },
      onRequest: async (request) => {
        if (await api.hidesCohorts()) await authenticateOperator(edge, request, 'auditor');
      },
    },
    async (_request, reply) => {
      return reply.type(telemetry.contentType).send(await telemetry.text());
    },
  );
}
