/** What a second aggregator calls; it is enrolled and signs as clients do. */
import { Readable } from 'node:stream';
import { parseDigest, parseRoundId } from '@carapace/aggregation';
import { toBase64url } from '@carapace/crypto';
import { Type } from '@fastify/type-provider-typebox';
import { CoordinatorError } from '../../../errors.ts';
import { expectedDigest } from '../authentication.ts';
import type { Edge, Server } from '../edge.ts';
import { digits, object, roundId, text, waitSeconds } from '../schemas.ts';
import { CALL_LIMIT, CHUNK_LIMIT, MAX_WAIT_SECONDS } from './limits.ts';
import { clientOf, goneSignal, signed, verified, whileActive } from './signed-calls.ts';

const bytes = Type.String({ description: 'base64url' });
const work = Type.Union([
  object({ kind: Type.Literal('key'), round: roundId, session: bytes, roster: bytes }),
  object({ kind: Type.Literal('sum'), round: roundId, request: bytes }),
  object({ kind: Type.Literal('idle'), retryAfterMs: Type.Integer() }),
]);
const sumAnswer = Type.Union([
  object({ kind: Type.Literal('partial'), received: Type.Integer() }),
  object({ kind: Type.Literal('taken') }),
]);
const unopened = Type.Array(Type.Integer({ minimum: 0, maximum: 0xffff }), {
  maxItems: 1000,
  description: 'members of the cohort whose shares do not open',
});
const chunkQuery = object({
  offset: digits('where the chunk starts'),
  total: digits('bytes of the whole message'),
  digest: text('SHA-256 of the whole message, hexadecimal'),
});

export function aggregatorRoutes(server: Server, edge: Edge): void {
  workRoute(server, edge);
  declineRoute(server, edge);
  sumRoute(server, edge);
}

function workRoute(server: Server, edge: Edge): void {
  const ask = signed(edge, 'awaitAggregation', 'A round that waits for this aggregator; at most 30 s');
  server.get(
    '/v1/aggregator/work',
    {
      ...ask,
      handlerTimeout: (MAX_WAIT_SECONDS + 30) * 1000,
      schema: {
        ...ask.schema,
        querystring: object({ waitSeconds }),
        response: { ...ask.schema.response, 200: work },
      },
    },
    async (request, reply) => {
      const found = await edge.api.aggregatorWork(
        clientOf(request),
        Number(request.query.waitSeconds) * 1000,
        goneSignal(reply),
      );
      switch (found.kind) {
        case 'key':
          return { ...found, session: toBase64url(found.session), roster: toBase64url(found.roster) };
        case 'sum':
          return { ...found, request: toBase64url(found.request) };
        case 'idle':
          return found;
      }
    },
  );
}

function declineRoute(server: Server, edge: Edge): void {
  const decline = signed(edge, 'declineAggregation', 'Hold no shares in a round, which ends by that');
  server.post(
    '/v1/aggregator/rounds/:round/decline',
    {
      ...decline,
      bodyLimit: CALL_LIMIT,
      schema: {
        ...decline.schema,
        params: object({ round: roundId }),
        body: object({ reason: text('for operators', 500), unopened: Type.Optional(unopened) }),
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const { reason, unopened = [] } = body;
      await edge.api.declineAggregation(clientOf(request), parseRoundId(params.round).id, reason, unopened);
      return reply.code(204).send();
    },
  );
}

function sumRoute(server: Server, edge: Edge): void {
  const upload = signed(edge, 'uploadSum', 'A chunk of the sum of the shares; the last one is judged');
  server.put(
    '/v1/aggregator/rounds/:round/sum',
    {
      ...upload,
      bodyLimit: CHUNK_LIMIT,
      handlerTimeout: 600_000,
      schema: {
        ...upload.schema,
        params: object({ round: roundId }),
        querystring: chunkQuery,
        response: { ...upload.schema.response, 200: sumAnswer, 202: sumAnswer },
      },
    },
    async (request, reply) => {
      const { params, query, body } = request;
      if (!(body instanceof Readable))
        throw new CoordinatorError('MEDIA_TYPE_UNSUPPORTED', 'send the chunk as application/octet-stream');
      const client = clientOf(request);
      const answer = await edge.api.uploadSum(client, {
        round: parseRoundId(params.round).id,
        digest: parseDigest(query.digest),
        offset: Number(query.offset),
        total: Number(query.total),
        body: verified(whileActive(edge, client, body), expectedDigest(request)),
      });
      return reply.code(answer.kind === 'partial' ? 202 : 200).send(answer);
    },
  );
}
