import { toBase64url } from '@carapace/crypto';
import { PROTOCOL_VERSION } from '@carapace/aggregation';
import { Type } from '@fastify/type-provider-typebox';
import type { Edge, Server } from '../edge.ts';
import { object } from '../schemas.ts';

export function publicRoutes(server: Server, { api, clock, options }: Edge): void {
  const answer = object({
    name: Type.String(),
    version: Type.String(),
    protocol: Type.Integer(),
    publicKey: Type.String(),
    time: Type.Integer(),
  });
  server.get(
    '/v1/coordinator',
    {
      schema: {
        operationId: 'describeCoordinator',
        tags: ['public'],
        summary: 'Who this coordinator is, and what time it has',
        response: { 200: answer },
      },
    },
    () => ({
      name: options.name,
      version: options.version,
      protocol: PROTOCOL_VERSION,
      publicKey: toBase64url(api.publicKey),
      time: clock.now(),
    }),
  );
}
