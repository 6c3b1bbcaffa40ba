import { parseClientId, parseModelName, parseRoundId, parseTask, parseTaskId } from '@carapace/aggregation';
import type { TaskId } from '@carapace/aggregation';
import { fromBase64url } from '@carapace/crypto';
import { Type } from '@fastify/type-provider-typebox';
import type { Actor } from '../../../app/api.ts';
import { CoordinatorError } from '../../../errors.ts';
import type { Role, TaskRecord } from '../../../ports.ts';
import { budgetRoutes } from './budgets.ts';
import { actorOf, guarded } from './guarded.ts';
import { planRoute } from './plan.ts';
import { apiKeyView, clientView, object, open, rosterView, text, tokenView, versionView } from '../schemas.ts';
import type { Edge, Server } from '../edge.ts';

const MODEL_LIMIT = 2 ** 30;
/** Some hundred thousand clients. */
const ROSTER_LIMIT = 16 * 2 ** 20;
const DAY = 86_400;

const taskParams = object({ task: text('name of the task') });
const roundParams = object({ round: text('<task>.<number>') });
const clientParams = object({ client: text('client id') });
const idParams = object({ id: Type.String({ pattern: '^[a-z2-7]{26}$', description: 'id' }) });
const limitQuery = object({
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$', description: 'how many, newest first (100)' })),
});

export function operatorRoutes(server: Server, edge: Edge): void {
  taskRoutes(server, edge);
  clientRoutesForOperators(server, edge);
  credentialRoutes(server, edge);
  channelRoute(server, edge);
  rosterRoutes(server, edge);
  budgetRoutes(server, edge);
  planRoute(server, edge);
}

function taskRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const of = (role: Role, id: string, summary: string): ReturnType<typeof guarded> =>
    guarded(edge, role, id, 'tasks', summary);
  const create = of('operator', 'createTask', 'Create a task from its document; its model must have a version');
  server.post(
    '/v1/tasks',
    { ...create, schema: { ...create.schema, body: open('The task document: docs/task.md') } },
    async (request, reply) => {
      return reply.code(201).send(await api.createTask(parseTask(request.body), actorOf(request)));
    },
  );
  server.get('/v1/tasks', of('auditor', 'listTasks', 'All tasks'), async () => ({ tasks: await api.listTasks() }));
  const show = of('auditor', 'showTask', 'One task');
  server.get('/v1/tasks/:task', { ...show, schema: { ...show.schema, params: taskParams } }, ({ params }) =>
    api.findTask(parseTaskId(params.task)),
  );
  const steps: Readonly<Record<string, (id: TaskId, actor: Actor) => Promise<TaskRecord>>> = {
    pause: (id, actor) => api.pauseTask(id, actor),
    resume: (id, actor) => api.resumeTask(id, actor),
    stop: (id, actor) => api.stopTask(id, actor),
  };
  for (const [verb, run] of Object.entries(steps)) {
    const step = of('operator', `${verb}Task`, `${verb[0]?.toUpperCase()}${verb.slice(1)} a task`);
    server.post(`/v1/tasks/:task/${verb}`, { ...step, schema: { ...step.schema, params: taskParams } }, (request) => {
      return run(parseTaskId(request.params.task), actorOf(request));
    });
  }
  const rounds = of('auditor', 'listRounds', 'Rounds of a task, newest first');
  server.get(
    '/v1/tasks/:task/rounds',
    { ...rounds, schema: { ...rounds.schema, params: taskParams, querystring: limitQuery } },
    async ({ params, query }) => {
      return { rounds: await api.listRounds(parseTaskId(params.task), Number(query.limit ?? '100')) };
    },
  );
  const round = of('auditor', 'showRound', 'A round with its participants and time line');
  server.get('/v1/rounds/:round', { ...round, schema: { ...round.schema, params: roundParams } }, ({ params }) =>
    api.showRound(parseRoundId(params.round).id),
  );
}

function clientRoutesForOperators(server: Server, edge: Edge): void {
  const { api } = edge;
  const of = (role: Role, id: string, summary: string): ReturnType<typeof guarded> =>
    guarded(edge, role, id, 'clients', summary);
  server.get('/v1/clients', of('auditor', 'listClients', 'All clients'), async () => ({
    clients: (await api.listClients()).map(clientView),
  }));
  const show = of('auditor', 'showClient', 'One client');
  server.get(
    '/v1/clients/:client',
    { ...show, schema: { ...show.schema, params: clientParams } },
    async ({ params }) => {
      return clientView(await api.findClient(parseClientId(params.client)));
    },
  );
  const revoke = of(
    'operator',
    'revokeClient',
    'Revoke a client for good: it may do nothing from now on, and its open updates do not count',
  );
  const body = object({ reason: text('why, for the audit') });
  server.post(
    '/v1/clients/:client/revoke',
    { ...revoke, schema: { ...revoke.schema, params: clientParams, body } },
    async (request) => {
      return clientView(
        await api.revokeClient(parseClientId(request.params.client), request.body.reason, actorOf(request)),
      );
    },
  );
}

function credentialRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const of = (role: Role, id: string, summary: string): ReturnType<typeof guarded> =>
    guarded(edge, role, id, 'credentials', summary);
  const token = of('operator', 'createToken', 'A single-use enrolment token; its text is shown this once');
  const tokenBody = object({
    site: text('who owns the host, for caps per site', 63),
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: DAY, description: '3600 unless told' })),
  });
  server.post('/v1/tokens', { ...token, schema: { ...token.schema, body: tokenBody } }, async (request, reply) => {
    const { site, ttlSeconds = 3600 } = request.body;
    const created = await api.createToken({ site, ttlSeconds }, actorOf(request));
    return reply.code(201).send({ ...tokenView(created.record), token: created.token });
  });
  server.get('/v1/tokens', of('auditor', 'listTokens', 'Enrolment tokens, without their secrets'), async () => ({
    tokens: (await api.listTokens()).map(tokenView),
  }));
  const revokeToken = of('operator', 'revokeToken', 'Revoke an open enrolment token');
  server.delete(
    '/v1/tokens/:id',
    { ...revokeToken, schema: { ...revokeToken.schema, params: idParams } },
    async (request, reply) => {
      await api.revokeToken(request.params.id, actorOf(request));
      return reply.code(204).send();
    },
  );
  const key = of('admin', 'createApiKey', 'An API key; its text is shown this once');
  const keyBody = object({
    name: text('what it is for', 63),
    role: Type.Union([Type.Literal('admin'), Type.Literal('operator'), Type.Literal('auditor')]),
  });
  server.post('/v1/api-keys', { ...key, schema: { ...key.schema, body: keyBody } }, async (request, reply) => {
    const created = await api.createApiKey(request.body, actorOf(request));
    return reply.code(201).send({ ...apiKeyView(created.record), key: created.key });
  });
  server.get('/v1/api-keys', of('admin', 'listApiKeys', 'API keys, without their secrets'), async () => ({
    apiKeys: (await api.listApiKeys()).map(apiKeyView),
  }));
  const revokeKey = of('admin', 'revokeApiKey', 'Revoke an API key');
  server.delete(
    '/v1/api-keys/:id',
    { ...revokeKey, schema: { ...revokeKey.schema, params: idParams } },
    async (request, reply) => {
      await api.revokeApiKey(request.params.id, actorOf(request));
      return reply.code(204).send();
    },
  );
  const audit = of('auditor', 'listAudit', 'The hash-chained audit log, oldest first');
  const auditQuery = object({
    after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$', description: 'sequence number to go on from' })),
  });
  server.get('/v1/audit', { ...audit, schema: { ...audit.schema, querystring: auditQuery } }, async ({ query }) => {
    return { entries: await api.listAudit(Number(query.after ?? '0'), 500) };
  });
}

/** A scope of its own: nothing but a model's file may be as large as a model, and a model's file is nothing else. */
export function modelUploadRoute(server: Server, edge: Edge): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/x-safetensors', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  const upload = guarded(
    edge,
    'operator',
    'uploadModel',
    'models',
    'Publish a version from a safetensors file (application/x-safetensors) whose metadata has `topology`',
  );
  const modelParams = object({ model: text('model name') });
  server.post(
    '/v1/models/:model/versions',
    { ...upload, bodyLimit: MODEL_LIMIT, schema: { ...upload.schema, params: modelParams } },
    async (request, reply) => {
      if (!(request.body instanceof Uint8Array))
        throw new CoordinatorError('MEDIA_TYPE_UNSUPPORTED', 'send the file as application/x-safetensors');
      const version = await edge.api.uploadModel(parseModelName(request.params.model), request.body, actorOf(request));
      return reply.code(201).send(versionView(version));
    },
  );
}

function rosterRoutes(server: Server, edge: Edge): void {
  const publish = guarded(
    edge,
    'admin',
    'publishRoster',
    'clients',
    'A roster that an enrolment authority signed: cohorts of secure aggregation are taken from it from now on',
  );
  const body = object({
    roster: Type.String({ description: 'base64url', maxLength: ROSTER_LIMIT, pattern: '^[A-Za-z0-9_-]+$' }),
  });
  server.put(
    '/v1/roster',
    { ...publish, bodyLimit: ROSTER_LIMIT, schema: { ...publish.schema, body } },
    async (request) => rosterView(await edge.api.publishRoster(fromBase64url(request.body.roster), actorOf(request))),
  );
  const show = guarded(edge, 'auditor', 'showRoster', 'clients', 'The roster that was published last');
  server.get('/v1/roster', show, async () => rosterView(await edge.api.findRoster()));
}

function channelRoute(server: Server, edge: Edge): void {
  const move = guarded(edge, 'operator', 'moveChannel', 'models', 'Let a channel name another version');
  const channelParams = object({
    model: text('model name'),
    channel: Type.String({ pattern: '^[a-z][a-z0-9-]{0,30}$' }),
  });
  const body = object({ version: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }) });
  server.put(
    '/v1/models/:model/channels/:channel',
    { ...move, schema: { ...move.schema, params: channelParams, body } },
    async (request) => {
      const { model, channel } = request.params;
      return versionView(
        await edge.api.moveChannel(parseModelName(model), channel, request.body.version, actorOf(request)),
      );
    },
  );
}
