/** The HTTP edge: limits first, then who speaks, then the schema, then ten lines that call the app. */
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CoordinatorError } from '../../errors.ts';
import type { CoordinatorApi } from '../../app/api.ts';
import type { Clock } from '../../ports.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { docsPage } from './docs-page.ts';
import { sendProblem } from './problem.ts';
import { clientRoutes } from './routes/clients.ts';
import { healthRoutes } from './routes/health.ts';
import { modelRoutes } from './routes/models.ts';
import { operatorRoutes } from './routes/operators.ts';
import { publicRoutes } from './routes/public.ts';

export interface ServerOptions {
  readonly name: string;
  readonly version: string;
  readonly publicModels: boolean;
  readonly enrolmentsPerMinute: number;
  readonly log: 'silent' | 'error' | 'info';
}

export interface Edge {
  readonly api: CoordinatorApi;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly options: ServerOptions;
}

export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

const JSON_LIMIT = 256 * 1024;
/** A chunk of an update over the slowest link that is meant to work (256 kbit/s). */
const REQUEST_MS = 300_000;

export async function buildServer(edge: Edge): Promise<Server> {
  const server = Fastify({
    logger:
      edge.options.log === 'silent'
        ? false
        : { level: edge.options.log, redact: ['req.headers.authorization', 'req.headers.signature'] },
    bodyLimit: JSON_LIMIT,
    connectionTimeout: 120_000,
    keepAliveTimeout: 60_000,
    requestTimeout: REQUEST_MS,
    handlerTimeout: 60_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2_000, maxHeaderSize: 16_384 },
    routerOptions: { maxParamLength: 128, ignoreTrailingSlash: false },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    genReqId: () => crypto.randomUUID(),
    requestIdHeader: false,
    // Nothing is coerced or silently dropped: what does not fit its schema is refused.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  useStrictContentTypes(server);
  server.setErrorHandler((error, request, reply) => sendProblem(request, reply, error));
  server.setNotFoundHandler((request, reply) => sendProblem(request, reply, notFound(server, request)));
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
    exposedHeaders: ['etag', 'content-length', 'content-range'],
  });
  await describeApi(server, edge.options);
  publicRoutes(server, edge);
  healthRoutes(server, edge);
  operatorRoutes(server, edge);
  modelRoutes(server, edge);
  await server.register(async (scope) => clientRoutes(scope as Server, edge));
  await server.ready();
  return server;
}

/**
 * Content types are matched to the letter: Fastify has twice let a crooked one (a tab, trailing garbage) slip past body validation
 * (CVE-2026-25223, CVE-2026-3419).
 */
function useStrictContentTypes(server: Server): void {
  server.removeAllContentTypeParsers();
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser(
    /^application\/json(?:; ?charset=utf-8)?$/i,
    { parseAs: 'string' },
    (request, body, done) => {
      if (body === '') done(new CoordinatorError('REQUEST_INVALID', 'the body is empty'));
      else void parse(request, body as string, done);
    },
  );
}

function notFound(server: Server, request: FastifyRequest): CoordinatorError {
  const path = request.url.split('?')[0] ?? '';
  const others = (['GET', 'POST', 'PUT', 'DELETE'] as const).filter(
    (method) => method !== request.method && server.findRoute({ method, url: path }) !== null,
  );
  return others.length === 0
    ? new CoordinatorError('NOT_FOUND', 'there is no such route; /docs lists them')
    : new CoordinatorError('METHOD_NOT_ALLOWED', `this route takes ${others.join(', ')}`);
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
