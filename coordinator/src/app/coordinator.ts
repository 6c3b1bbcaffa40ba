/** The app as its edges see it: {@link CoordinatorApi} for HTTP, job handlers for the queue, a life cycle for `main.ts`. */
import type { ClientId, Digest, ModelName, RoundId } from '@carapace/aggregation';
import { CoordinatorError } from '../errors.ts';
import type { Admission, ClientRecord, JobHandlers, Presence, SequenceVerdict, UpdateSubmission } from '../ports.ts';
import type { Actor, CoordinatorApi } from './api.ts';
import { authenticateApiKey, createApiKey, revokeApiKey } from './api-keys.ts';
import { CheckIns } from './check-in.ts';
import { ClientKeys } from './client-keys.ts';
import { CohortSecrecy } from './cohort-secrecy.ts';
import type { Context } from './context.ts';
import { createToken, enrol } from './enrolment.ts';
import { Reconciler } from './reconciler.ts';
import { Rounds } from './rounds.ts';
import { ProtocolCalls } from './protocol-calls.ts';
import { Budgets } from './privacy/budgets.ts';
import { answerPlan } from './privacy/answer-plan.ts';
import { Protocols } from './protocols.ts';
import { publishRoster, requireRoster } from './secagg/rosters.ts';
import { AggregatorCalls } from './shares/aggregator-calls.ts';
import { baseOf, createTask, pauseTask, requireTask, resumeTask, stopTask } from './tasks.ts';
import { Uploads } from './uploads.ts';
import { audit, moveChannel, requireVersion, uploadModel } from './versions.ts';
import { Waiters } from './waiters.ts';

const PING_MS = 2_000;

/** Writes that many requests make at once, each committed together with its neighbours. */
export interface Batched {
  readonly admit: (update: UpdateSubmission) => Promise<Admission>;
  readonly acceptSequence: (number: {
    readonly client: ClientId;
    readonly sequence: bigint;
  }) => Promise<SequenceVerdict>;
  readonly recordPresence: (presence: Presence) => Promise<void>;
}

export interface Coordinator {
  readonly api: CoordinatorApi;
  readonly jobs: JobHandlers;
  /** Repairs what the queue forgot while nobody ran, then keeps doing so. */
  start(): Promise<void>;
  /** Ends every wait; resolves when nothing is being worked on. The ports stay open: they are the caller's. */
  stop(): Promise<void>;
}

export function createCoordinator(
  ctx: Context,
  batched: Batched,
  options: { readonly reconcileMs: number },
): Coordinator {
  const waiters = new Waiters(ctx.clock);
  const protocols = new Protocols(ctx);
  const budgets = new Budgets(ctx);
  const rounds: Rounds = new Rounds(ctx, protocols, budgets, {
    selected: (clients) => waiters.wake(clients),
    moved: () => [protocolCalls, aggregatorCalls].forEach((calls) => calls.ring()),
  });
  const protocolCalls = new ProtocolCalls(ctx, rounds, protocols);
  const aggregatorCalls = new AggregatorCalls(ctx, rounds, protocols);
  const secrecy = new CohortSecrecy(ctx.store);
  const checkIns = new CheckIns(ctx, rounds, waiters, batched.recordPresence);
  const reconciler = new Reconciler(
    ctx,
    rounds,
    { checkIns, calls: [protocolCalls, aggregatorCalls], protocols },
    options.reconcileMs,
  );
  return {
    api: apiOf(
      ctx,
      {
        rounds,
        checkIns,
        uploads: new Uploads(ctx, rounds, protocols, batched.admit),
        protocolCalls,
        aggregatorCalls,
        budgets,
        secrecy,
        keys: new ClientKeys(ctx.store, ctx.clock),
      },
      batched,
    ),
    jobs: {
      'open-round': async ({ task }) => {
        await secrecy.hides();
        await rounds.open(task);
      },
      'step-round': async ({ round }) => void (await rounds.step(round)),
      aggregate: ({ round }) => rounds.aggregate(round),
      evaluate: ({ round }) => rounds.evaluate(round),
    },
    start: async () => {
      await secrecy.hides();
      await reconciler.start();
    },
    stop: async () => {
      waiters.close();
      protocolCalls.close();
      aggregatorCalls.close();
      await reconciler.stop();
      await rounds.idle();
    },
  };
}

interface Parts {
  readonly rounds: Rounds;
  readonly checkIns: CheckIns;
  readonly uploads: Uploads;
  readonly protocolCalls: ProtocolCalls;
  readonly aggregatorCalls: AggregatorCalls;
  readonly budgets: Budgets;
  readonly secrecy: CohortSecrecy;
  readonly keys: ClientKeys;
}

/** One line a call: which part of the app answers it. */
function apiOf(
  ctx: Context,
  { rounds, checkIns, uploads, protocolCalls, aggregatorCalls, budgets, secrecy, keys }: Parts,
  batched: Batched,
): CoordinatorApi {
  const { store } = ctx;
  return {
    publicKey: ctx.key.publicKey,

    createTask: async (task, actor) => {
      await budgets.require(task, await baseOf(ctx, task));
      return createTask(ctx, rounds, task, actor);
    },
    findTask: (id) => requireTask(ctx, id),
    listTasks: () => store.listTasks(),
    pauseTask: (id, actor) => pauseTask(ctx, id, actor),
    resumeTask: (id, actor) => resumeTask(ctx, rounds, id, actor),
    stopTask: (id, actor) => stopTask(ctx, rounds, id, actor),
    hidesCohorts: () => secrecy.hides(),
    listRounds: async (id, limit) => store.listRounds((await requireTask(ctx, id)).task.name, limit),
    showRound: (id) => showRound(ctx, id),

    listClients: () => store.listClients(),
    findClient: (id) => requireClient(ctx, id),
    revokeClient: async (id, reason, actor) => {
      const revoked = await revokeClient(ctx, rounds, keys, id, reason, actor);
      checkIns.wake(id);
      return revoked;
    },
    createToken: (options, actor) => createToken(ctx, options, actor),
    listTokens: () => store.listTokens(),
    revokeToken: (id, actor) => revokeToken(ctx, id, actor),
    createApiKey: (options, actor) => createApiKey(ctx, options, actor),
    listApiKeys: () => store.listApiKeys(),
    revokeApiKey: (id, actor) => revokeApiKey(ctx, id, actor),
    authenticateApiKey: (text) => authenticateApiKey(ctx, text),
    listAudit: (after, limit) => store.listAudit(after, limit),

    publishRoster: (bytes, actor) => publishRoster(ctx, bytes, actor),
    findRoster: () => requireRoster(ctx),

    setBudget: (budget, terms, actor) => budgets.setTerms(budget, terms, actor),
    findBudget: (budget) => budgets.show(budget),
    listBudgets: () => budgets.list(),
    forecast: async (id) => {
      const { task } = await requireTask(ctx, id);
      const base = requireVersion(await store.findChannel(task.model.name, 'latest'), task.model.name, 'latest');
      return budgets.forecast(task, base);
    },
    plan: (question) => answerPlan(ctx, budgets, question),
    listLedger: (after, limit) => store.listLedger(after, limit),
    acceptLedger: (actor) => budgets.acceptLedger(actor),

    uploadModel: (name, file, actor) => uploadModel(ctx, name, file, actor),
    moveChannel: (name, channel, version, actor) => moveChannel(ctx, name, channel, version, actor),
    listModels: () => store.listModels(),
    listVersions: (name) => listVersions(ctx, name),
    findVersion: async (name, version) => requireVersion(await store.findVersion(name, version), name, String(version)),
    findChannel: async (name, channel) => requireVersion(await store.findChannel(name, channel), name, channel),
    openBlob: (digest) => openBlob(ctx, digest),

    enrol: (request) => enrol(ctx, request),
    authenticateClient: (key) => keys.find(key),
    acceptSequence: (client, sequence) => batched.acceptSequence({ client, sequence }),
    checkIn: (client, waitMs, signal) => checkIns.checkIn(client, waitMs, signal),
    assignmentOf: (client, round) => checkIns.assignmentOf(client, round),
    decline: (client, round, reason) => decline(ctx, rounds, client, round, reason),
    uploadUpdate: (client, chunk) => uploads.upload(client, chunk),
    uploadStatus: (client, round, update) => uploads.status(client, round, update),

    invitation: (client, round) => protocolCalls.invitation(client, round),
    sendProtocolMessage: (client, round, step, message) => protocolCalls.send(client, round, step, message),
    receiveProtocolMessage: (client, round, step, waitMs, signal) =>
      protocolCalls.receive(client, round, step, waitMs, signal),

    aggregatorWork: (client, waitMs, signal) => aggregatorCalls.work(client, waitMs, signal),
    declineAggregation: (client, round, reason, unopened) => aggregatorCalls.decline(client, round, reason, unopened),
    uploadSum: (client, chunk) => aggregatorCalls.sum(client, chunk),

    readiness: () => readiness(ctx),
  };
}

async function listVersions(ctx: Context, name: ModelName): ReturnType<CoordinatorApi['listVersions']> {
  const versions = await ctx.store.listVersions(name);
  if (versions.length === 0) throw new CoordinatorError('MODEL_NOT_FOUND', `there is no model ${name}`);
  return versions;
}

async function openBlob(ctx: Context, digest: Digest): ReturnType<CoordinatorApi['openBlob']> {
  const blob = await ctx.models.open(digest);
  if (blob === null) throw new CoordinatorError('BLOB_NOT_FOUND', `there is no blob ${digest}`);
  return blob;
}

async function showRound(ctx: Context, id: RoundId): ReturnType<CoordinatorApi['showRound']> {
  const round = await ctx.store.findRound(id);
  if (round === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${id}`);
  const [participants, timeline] = await Promise.all([ctx.store.listParticipants(id), ctx.store.listRoundEvents(id)]);
  return { round, participants, timeline };
}

async function requireClient(ctx: Context, id: ClientId): Promise<ClientRecord> {
  const client = await ctx.store.findClient(id);
  if (client === null) throw new CoordinatorError('CLIENT_NOT_FOUND', `there is no client ${id}`);
  return client;
}

async function revokeClient(
  ctx: Context,
  rounds: Rounds,
  keys: ClientKeys,
  id: ClientId,
  reason: string,
  actor: Actor,
): Promise<ClientRecord> {
  const client = await requireClient(ctx, id);
  const now = ctx.clock.now();
  const revoked = await ctx.store.transaction('revoke_client', async (records) => {
    const changed = await records.revokeClient(id, reason, now);
    if (changed) await audit(records, now, actor, 'client.revoke', id, { reason });
    return changed;
  });
  keys.forget(client.key);
  if (revoked) {
    ctx.emit({ kind: 'client-revoked', at: now, client: id, reason });
    for (const round of await ctx.store.listRunningRounds()) rounds.nudge(round.id);
  }
  return requireClient(ctx, id);
}

async function revokeToken(ctx: Context, id: string, actor: Actor): Promise<void> {
  await ctx.store.transaction('revoke_token', async (records) => {
    const now = ctx.clock.now();
    const revoked = await records.revokeToken(id, now);
    if (!revoked) throw new CoordinatorError('TOKEN_NOT_FOUND', `no open enrolment token has the id ${id}`);
    await audit(records, now, actor, 'token.revoke', id);
  });
}

async function decline(
  ctx: Context,
  rounds: Rounds,
  client: ClientRecord,
  round: RoundId,
  reason: string,
): Promise<void> {
  const now = ctx.clock.now();
  const declined = await ctx.store.setParticipantStatus(round, client.id, 'declined', reason, now);
  if (!declined) throw new CoordinatorError('ROUND_OVER', `${round} expects nothing of this client`);
  const found = await ctx.store.findRound(round);
  if (found !== null)
    ctx.emit({ kind: 'participant-declined', at: now, task: found.task, round, client: client.id, reason });
  rounds.nudge(round);
}

async function readiness(ctx: Context): ReturnType<CoordinatorApi['readiness']> {
  const [database, queue] = await Promise.all([
    ctx.store.ping(PING_MS).then(
      () => 'ok' as const,
      () => 'failing' as const,
    ),
    ctx.queue.healthy(PING_MS).then(
      (healthy) => (healthy ? ('ok' as const) : ('degraded' as const)),
      () => 'degraded' as const,
    ),
  ]);
  return { ready: database === 'ok', checks: { database, queue } };
}
