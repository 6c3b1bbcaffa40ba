/** What the routes of operators share: a role that is asked for before a byte of the body is read. */
import type { FastifyRequest, onRequestAsyncHookHandler, RouteShorthandOptions } from 'fastify';
import type { Actor } from '../../../app/api.ts';
import type { ApiKeyRecord, Role } from '../../../ports.ts';
import { authenticateOperator } from '../authentication.ts';
import type { Edge } from '../edge.ts';
import { PROBLEM } from '../schemas.ts';

const operators = new WeakMap<FastifyRequest, ApiKeyRecord>();

/** Before a byte of the body is read: a stranger's body is never parsed. */
function needs(edge: Edge, role: Role): onRequestAsyncHookHandler {
  return async (request) => {
    operators.set(request, await authenticateOperator(edge, request, role));
  };
}

export function actorOf(request: FastifyRequest): Actor {
  const key = operators.get(request);
  if (key === undefined) throw new Error('a route without an authenticated operator asked who acts');
  return `key:${key.id}`;
}

export function guarded(
  edge: Edge,
  role: Role,
  operationId: string,
  tag: string,
  summary: string,
): { onRequest: onRequestAsyncHookHandler } & {
  schema: NonNullable<RouteShorthandOptions['schema']> & { operationId: string; tags: string[]; summary: string };
} {
  return {
    onRequest: needs(edge, role),
    schema: {
      operationId,
      tags: [tag],
      summary,
      description: `Needs the role ${role}.`,
      security: [{ operator: [] }],
      response: { '4xx': PROBLEM, '5xx': PROBLEM },
    },
  };
}
