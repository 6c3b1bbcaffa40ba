/** What the store's suites act on: tasks, clients and rounds with names of their own, so that no case sees another's. */
import { createHash } from 'node:crypto';
import { newClientId, newUpdateId, parseDigest, parseModelName, parseTaskId } from '@carapace/aggregation';
import type { ClientId, Digest, ModelName, RoundId, Task, TaskId, UpdateId } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import type { RoundPlan, RoundState } from '../../src/domain/round.ts';
import type { NewClient, NewVersion, Store, UpdateSubmission } from '../../src/ports.ts';

export const NOW = 1_800_000_000_000;
export const PLAN: RoundPlan = {
  target: 2,
  minimum: 1,
  cohort: 3,
  perSite: null,
  selectionMs: 1_000,
  reportMs: 2_000,
  graceMs: 3_000,
  workMs: 4_000,
  charged: false,
  protocol: null,
};
const SECURE: RoundPlan = { ...PLAN, protocol: { by: 'cohort', stepMs: 500 } };

export const STATES: { readonly [Kind in RoundState['kind']]: Extract<RoundState, { readonly kind: Kind }> } = {
  open: { kind: 'open', plan: PLAN, openedAt: NOW, selectBy: NOW + 1_000 },
  agreeing: {
    kind: 'agreeing',
    plan: SECURE,
    step: 'advertise-keys',
    selected: 3,
    startedAt: NOW,
    deadline: NOW + 500,
  },
  collecting: {
    kind: 'collecting',
    plan: PLAN,
    selected: 3,
    startedAt: NOW,
    deadline: NOW + 2_000,
    closeBy: NOW + 5_000,
  },
  unmasking: {
    kind: 'unmasking',
    plan: SECURE,
    step: 'consistency',
    reported: 2,
    since: NOW,
    deadline: NOW + 500,
  },
  aggregating: { kind: 'aggregating', plan: PLAN, reported: 2, since: NOW, giveUpAt: NOW + 4_000 },
  evaluating: {
    kind: 'evaluating',
    plan: PLAN,
    reported: 2,
    weights: digestOf('weights'),
    since: NOW,
    giveUpAt: NOW + 4_000,
  },
  completed: { kind: 'completed', reported: 2, weights: digestOf('weights'), at: NOW },
  abandoned: { kind: 'abandoned', reason: 'quorum-not-met', during: 'collecting', at: NOW },
};

let names = 0;

export function freshName(): string {
  return `t${process.pid}-${++names}`;
}

export function taskNamed(name: string, model: ModelName = parseModelName('mnist')): Task {
  return {
    name: parseTaskId(name),
    model: { name: model },
    cohort: {
      target: 2,
      minimum: 1,
      overSelection: 1.5,
      perSite: null,
      selectionSeconds: 1,
      reportSeconds: 2,
      graceSeconds: 3,
    },
    training: {
      epochs: 1,
      batchSize: 32,
      optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 },
      loss: 'categorical-crossentropy',
      maxExamples: 1_000,
    },
    strategy: { kind: 'fedavg', serverLearningRate: 1 },
    protection: { kind: 'clear' },
    schedule: { kind: 'continuous' },
    rounds: null,
  };
}

export async function freshTask(store: Store): Promise<TaskId> {
  const task = taskNamed(freshName());
  await store.insertTask(task, NOW);
  return task.name;
}

/** A round in the state given, of a task of its own unless one is named. */
export async function freshRound(
  store: Store,
  state: RoundState = STATES.collecting,
  options: { readonly task?: TaskId; readonly cohort?: readonly ClientId[] } = {},
): Promise<RoundId> {
  const round = await store.insertRound(options.task ?? (await freshTask(store)), 1, STATES.open, NOW);
  if (round === null) throw new Error('the round was not inserted');
  if (options.cohort !== undefined) await store.insertParticipants(round, options.cohort, NOW);
  if (state.kind !== 'open') await store.updateRound(round, state, NOW);
  return round;
}

export function newClient(site = 'site-a'): NewClient {
  const id = newClientId(systemRandom);
  const publicKey = systemRandom.bytes(32);
  return { id, name: `host ${id}`, site, publicKey, key: createHash('sha256').update(publicKey).digest('base64url') };
}

export async function freshClients(store: Store, count: number, site?: string): Promise<ClientId[]> {
  const clients = Array.from({ length: count }, () => newClient(site));
  for (const client of clients) await store.insertClient(client, NOW);
  return clients.map(({ id }) => id);
}

export function submission(
  round: RoundId,
  client: ClientId,
  over: {
    readonly update?: UpdateId;
    readonly digest?: Digest;
    readonly at?: number;
    readonly deposit?: Uint8Array;
  } = {},
): UpdateSubmission {
  return {
    update: newUpdateId(systemRandom),
    round,
    client,
    digest: digestOf(client),
    bytes: 5_000_000_000,
    examples: 60,
    deposit: null,
    metrics: { loss: 0.25, accuracy: 1e-9 },
    at: NOW + 7,
    ...over,
  };
}

export function newVersion(model: ModelName, over: Partial<NewVersion> = {}): NewVersion {
  return {
    model,
    weights: digestOf(`${model} weights`),
    topology: digestOf(`${model} topology`),
    tensors: [
      { name: 'dense/kernel', shape: [2, 3], policy: 'mean' },
      { name: 'norm/moving_mean', shape: [], policy: 'mean' },
      { name: 'norm/moving_variance', shape: [], policy: 'pooled-variance', meanTensor: 'norm/moving_mean' },
    ],
    round: null,
    parent: null,
    metrics: { loss: 0.5 },
    cohort: null,
    manifest: (version) => ({ payload: JSON.stringify({ version }), signature: `signed ${version}`, key: 'a key' }),
    ...over,
  };
}

export function digestOf(text: string): Digest {
  return parseDigest(createHash('sha256').update(text).digest('hex'));
}
