/** What clients call; every call is signed, and a body is read only as far as the checks before it allow. */
import { Readable } from 'node:stream';
import { parseDigest, parseRoundId, parseUpdateId } from '@carapace/aggregation';
import { fromBase64url, parsePublicKey, toBase64url } from '@carapace/crypto';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { CoordinatorError } from '../../../errors.ts';
import { checkPossession, expectedDigest } from '../authentication.ts';
import { JSON_TYPE, strictJson } from '../strict-json.ts';
import { RateLimit } from '../rate-limit.ts';
import { digits, object, PROBLEM, roundId, text, waitSeconds } from '../schemas.ts';
import type { Edge, Server } from '../edge.ts';
import { aggregatorRoutes } from './aggregators.ts';
import { CALL_LIMIT, CHUNK_LIMIT, MAX_WAIT_SECONDS, MESSAGE_LIMIT } from './limits.ts';
import { isFresh } from './freshness.ts';
import { sendBlob } from './models.ts';
import { clientOf, goneSignal, jsonBody, keepBody, signed, verified, whileActive } from './signed-calls.ts';

const signedDocument = object({ payload: Type.String(), signature: Type.String(), key: Type.String() });
const roundParams = object({ round: roundId });
const updateParams = object({ round: roundId, update: text('made by the client') });
const chunkQuery = object({
  offset: digits('where the chunk starts'),
  total: digits('bytes of the whole update'),
  digest: text('SHA-256 of the whole update, hexadecimal'),
});
const uploadAnswer = Type.Union([
  object({ kind: Type.Literal('partial'), received: Type.Integer() }),
  object({ kind: Type.Literal('admitted'), receipt: signedDocument }),
]);

/** A scope of its own, because it keeps the bytes of JSON bodies for their digest and lets chunks stream. */
export function clientRoutes(server: Server, edge: Edge): void {
  server.removeAllContentTypeParsers();
  const parse = strictJson(server);
  server.addContentTypeParser(JSON_TYPE, { parseAs: 'buffer', bodyLimit: CALL_LIMIT }, (request, body, done) => {
    keepBody(request, body as Buffer);
    parse(request, (body as Buffer).toString('utf8'), done);
  });
  server.addContentTypeParser(/^application\/octet-stream$/, (_request, payload, done) => done(null, payload));
  enrolmentRoute(server, edge);
  checkInRoutes(server, edge);
  uploadRoutes(server, edge);
  protocolRoutes(server, edge);
  aggregatorRoutes(server, edge);
}

function enrolmentRoute(server: Server, edge: Edge): void {
  const limit = new RateLimit(edge.options.enrolmentsPerMinute, edge.clock);
  const body = object({
    token: text('cpt1.<id>.<secret>.<pin>', 300),
    publicKey: text('32 bytes, base64url', 43),
    name: text('for operators’ lists', 63),
  });
  const schema = {
    operationId: 'enrol',
    tags: ['clients’ calls'],
    summary: 'Become a client: a token for a key',
    body,
    response: { 201: signedDocument, '4xx': PROBLEM, '5xx': PROBLEM },
  };
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    const retryAfterMs = limit.take(request.ip);
    if (retryAfterMs > 0)
      throw new CoordinatorError('RATE_LIMITED', 'too many enrolments from this address', {
        members: { retryAfterMs },
      });
  };
  server.post('/v1/enrol', { onRequest, schema, bodyLimit: CALL_LIMIT }, async (request, reply) => {
    const { token, name } = request.body;
    const publicKey = parsePublicKey(fromBase64url(request.body.publicKey));
    const enrolment = await edge.attempts.guard(request.ip, token.split('.')[1] ?? '', async () => {
      checkPossession(edge.clock, request, jsonBody(request) ?? new Uint8Array(0), publicKey);
      return edge.api.enrol({ token, publicKey, name });
    });
    return reply.code(201).send(enrolment);
  });
}

function checkInRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const checkIn = signed(edge, 'checkIn', 'Wait for work, at most 30 s');
  const body = object({ waitSeconds: Type.Number({ minimum: 0, maximum: MAX_WAIT_SECONDS }) });
  server.post(
    '/v1/client/check-in',
    {
      ...checkIn,
      bodyLimit: CALL_LIMIT,
      handlerTimeout: (MAX_WAIT_SECONDS + 30) * 1000,
      schema: { ...checkIn.schema, body },
    },
    (request, reply) => {
      return api.checkIn(clientOf(request), request.body.waitSeconds * 1000, goneSignal(reply));
    },
  );
  const assignment = signed(edge, 'showAssignment', 'The signed assignment again');
  server.get(
    '/v1/client/assignments/:round',
    { ...assignment, schema: { ...assignment.schema, params: roundParams } },
    (request) => {
      return api.assignmentOf(clientOf(request), parseRoundId(request.params.round).id);
    },
  );
  const decline = signed(edge, 'declineAssignment', 'Take no part in a round');
  const why = object({ reason: text('for operators', 500) });
  server.post(
    '/v1/client/assignments/:round/decline',
    { ...decline, bodyLimit: CALL_LIMIT, schema: { ...decline.schema, params: roundParams, body: why } },
    async (request, reply) => {
      await api.decline(clientOf(request), parseRoundId(request.params.round).id, request.body.reason);
      return reply.code(204).send();
    },
  );
  const blob = signed(edge, 'downloadBlob', 'Weights or topology by digest');
  server.get(
    '/v1/client/blobs/:digest',
    { ...blob, schema: { ...blob.schema, params: object({ digest: text('SHA-256, hexadecimal') }) } },
    async (request, reply) => {
      const digest = parseDigest(request.params.digest);
      if (isFresh(request, reply, `"${digest}"`, 'private, max-age=31536000, immutable')) return reply.code(304).send();
      return sendBlob(edge, request, reply, digest);
    },
  );
}

function uploadRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const upload = signed(edge, 'uploadUpdate', 'A chunk of an update; the last one admits it');
  const uploadSchema = {
    ...upload.schema,
    params: updateParams,
    querystring: chunkQuery,
    response: { ...upload.schema.response, 200: uploadAnswer, 202: uploadAnswer },
  };
  server.put(
    '/v1/client/rounds/:round/updates/:update',
    { ...upload, bodyLimit: CHUNK_LIMIT, handlerTimeout: 600_000, schema: uploadSchema },
    async (request, reply) => {
      const { params, query, body } = request;
      if (!(body instanceof Readable))
        throw new CoordinatorError('MEDIA_TYPE_UNSUPPORTED', 'send the chunk as application/octet-stream');
      const client = clientOf(request);
      const answer = await api.uploadUpdate(client, {
        round: parseRoundId(params.round).id,
        update: parseUpdateId(params.update),
        digest: parseDigest(query.digest),
        offset: Number(query.offset),
        total: Number(query.total),
        body: verified(whileActive(edge, client, body), expectedDigest(request)),
      });
      return reply.code(answer.kind === 'partial' ? 202 : 200).send(answer);
    },
  );
  const status = signed(edge, 'showUpload', 'How much of an update arrived, or its receipt');
  server.get(
    '/v1/client/rounds/:round/updates/:update',
    {
      ...status,
      schema: { ...status.schema, params: updateParams, response: { ...status.schema.response, 200: uploadAnswer } },
    },
    (request) => {
      return api.uploadStatus(
        clientOf(request),
        parseRoundId(request.params.round).id,
        parseUpdateId(request.params.update),
      );
    },
  );
}

function protocolRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const invitation = signed(edge, 'showInvitation', 'What the cohort of a round is asked to agree on');
  const bytes = Type.String({ description: 'base64url' });
  const invited = object({ session: bytes, roster: bytes });
  server.get(
    '/v1/client/rounds/:round/secagg/invitation',
    {
      ...invitation,
      schema: { ...invitation.schema, params: roundParams, response: { ...invitation.schema.response, 200: invited } },
    },
    async (request) => {
      const { session, roster } = await api.invitation(clientOf(request), parseRoundId(request.params.round).id);
      return { session: toBase64url(session), roster: toBase64url(roster) };
    },
  );
  const send = signed(edge, 'sendProtocolMessage', 'A message of one step of secure aggregation');
  const spoken = Type.Union(
    (['advertise-keys', 'share-keys', 'consistency', 'unmask'] as const).map((step) => Type.Literal(step)),
  );
  const message = object({
    message: Type.String({ description: 'base64url', maxLength: MESSAGE_LIMIT, pattern: '^[A-Za-z0-9_-]*$' }),
  });
  server.post(
    '/v1/client/rounds/:round/secagg/:step',
    {
      ...send,
      bodyLimit: MESSAGE_LIMIT,
      schema: { ...send.schema, params: object({ round: roundId, step: spoken }), body: message },
    },
    async (request, reply) => {
      const { params, body } = request;
      const round = parseRoundId(params.round).id;
      await api.sendProtocolMessage(clientOf(request), round, params.step, fromBase64url(body.message));
      return reply.code(204).send();
    },
  );
  const receive = signed(
    edge,
    'receiveProtocolMessage',
    'What a step of secure aggregation begins with; waits at most 30 s',
  );
  const heard = Type.Union(
    (['share-keys', 'masked-input', 'consistency', 'unmask'] as const).map((step) => Type.Literal(step)),
  );
  const answer = Type.Union([
    object({ kind: Type.Literal('message'), message: bytes }),
    object({ kind: Type.Literal('idle'), retryAfterMs: Type.Integer() }),
  ]);
  server.get(
    '/v1/client/rounds/:round/secagg/:step',
    {
      ...receive,
      handlerTimeout: (MAX_WAIT_SECONDS + 30) * 1000,
      schema: {
        ...receive.schema,
        params: object({ round: roundId, step: heard }),
        querystring: object({ waitSeconds }),
        response: { ...receive.schema.response, 200: answer },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const round = parseRoundId(params.round).id;
      const waitMs = Number(query.waitSeconds) * 1000;
      const got = await api.receiveProtocolMessage(clientOf(request), round, params.step, waitMs, goneSignal(reply));
      return got.kind === 'idle' ? got : { kind: got.kind, message: toBase64url(got.message) };
    },
  );
}
