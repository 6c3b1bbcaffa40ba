/** The HTTP edge: limits first, then who speaks, then the schema, then ten lines that call the app. */
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify from 'fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CoordinatorError } from '../../errors.ts';
import { docsPage } from './docs-page.ts';
import type { Edge, EdgeParts, Limits, Server, ServerOptions } from './edge.ts';
import { FailedAttempts } from './failed-attempts.ts';
import { answerCrookedRequest, sendProblem } from './problem.ts';
import { clientRoutes } from './routes/clients.ts';
import { healthRoutes } from './routes/health.ts';
import { modelRoutes } from './routes/models.ts';
import { modelUploadRoute, operatorRoutes } from './routes/operators.ts';
import { publicRoutes } from './routes/public.ts';
import { JSON_TYPE, strictJson } from './strict-json.ts';

const JSON_LIMIT = 256 * 1024;
const LIMITS: Limits = {
  headersMs: 10_000,
  // A chunk of an update over the slowest link that is meant to work (256 kbit/s).
  requestMs: 300_000,
  idleMs: 90_000,
  checkMs: 2_000,
};

export async function buildServer(parts: EdgeParts): Promise<Server> {
  const { clock, options } = parts;
  const edge: Edge = { ...parts, attempts: new FailedAttempts(options.authenticationFailuresPerMinute, clock) };
  const limits = { ...LIMITS, ...options.limits };
  const server = Fastify({
    logger:
      edge.options.log === 'silent'
        ? false
        : { level: edge.options.log, redact: ['req.headers.authorization', 'req.headers.signature'] },
    bodyLimit: JSON_LIMIT,
    connectionTimeout: limits.idleMs,
    keepAliveTimeout: 60_000,
    requestTimeout: limits.requestMs,
    handlerTimeout: 60_000,
    http: {
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: 16_384,
    },
    clientErrorHandler: answerCrookedRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(request, reply, error),
    routerOptions: { maxParamLength: 128, ignoreTrailingSlash: false },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    genReqId: () => crypto.randomUUID(),
    requestIdHeader: false,
    // Nothing is coerced or silently dropped: what does not fit its schema is refused.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  useStrictJson(server);
  server.setErrorHandler((error, request, reply) => {
    if (error instanceof CoordinatorError && isAuthenticationFailure(error))
      edge.telemetry.observeAuthenticationFailure(error.code);
    return sendProblem(request, reply, error);
  });
  server.setNotFoundHandler((request, reply) => sendProblem(request, reply, notFound(server, request, reply)));
  server.addHook('onResponse', (request, reply, done) => {
    edge.telemetry.observeRequest(
      request.method,
      request.routeOptions.url ?? 'unmatched',
      reply.statusCode,
      reply.elapsedTime / 1000,
    );
    done();
  });
  await server.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD'],
    strictPreflight: false,
    exposedHeaders: ['etag', 'content-length', 'content-range'],
  });
  await describeApi(server, edge.options);
  publicRoutes(server, edge);
  healthRoutes(server, edge);
  operatorRoutes(server, edge);
  modelRoutes(server, edge);
  await server.register(async (scope) => modelUploadRoute(scope as Server, edge));
  await server.register(async (scope) => clientRoutes(scope as Server, edge));
  await server.ready();
  return server;
}

function useStrictJson(server: Server): void {
  server.removeAllContentTypeParsers();
  const parse = strictJson(server);
  server.addContentTypeParser(JSON_TYPE, { parseAs: 'string' }, (request, body, done) =>
    parse(request, body as string, done),
  );
}

function notFound(server: Server, request: FastifyRequest, reply: FastifyReply): CoordinatorError {
  const path = request.url.split('?')[0] ?? '';
  const others = (['GET', 'POST', 'PUT', 'DELETE'] as const).filter(
    (method) => method !== request.method && server.findRoute({ method, url: path }) !== null,
  );
  if (others.length === 0) return new CoordinatorError('NOT_FOUND', 'there is no such route; /docs lists them');
  void reply.header('allow', others.join(', '));
  return new CoordinatorError('METHOD_NOT_ALLOWED', `this route takes ${others.join(', ')}`);
}

/** Everything about who speaks and how often, and nothing about what is said. */
function isAuthenticationFailure({ status, code }: CoordinatorError): boolean {
  return status === 401 || code === 'ROLE_INSUFFICIENT' || code === 'SEQUENCE_REPLAYED' || code === 'RATE_LIMITED';
}

async function describeApi(server: Server, options: ServerOptions): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Carapace coordinator',
        version: options.version,
        description: 'Operators steer tasks, clients train, anyone loads model versions.',
      },
      components: {
        securitySchemes: {
          operator: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key: carapace prints the first one when it starts',
          },
          client: {
            type: 'apiKey',
            in: 'header',
            name: 'signature',
            description: 'RFC 9421, profile carapace-v1: docs/protocol/client-api.md',
          },
        },
      },
    },
  });
  server.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => reply.send(server.swagger()));
  server.get('/docs', { schema: { hide: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(server.swagger())),
  );
}
