import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newClientId, newUpdateId, parseDigest, parseTask } from '@carapace/aggregation';
import type { ClientId, RoundId, Task } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import { figure, measure, perSecond, readable } from '../../scripts/bench-kit.ts';
import type { Bench } from '../../scripts/bench-kit.ts';
import { groupCommit } from '../src/adapters/store/group-commit.ts';
import { openStore } from '../src/adapters/store/open-store.ts';
import { planOf } from '../src/domain/plan.ts';
import type { Admission, Store, UpdateSubmission } from '../src/ports.ts';

const CLIENTS = 400;
const CALLERS = 64;
const REPEATS = { warmUps: 1, repeats: 5 } as const;
const DIGEST = parseDigest('0'.repeat(64));

export const bench: Bench = {
  description: 'durable admissions per second into the embedded store, with group commit beside without',
  method:
    'a round of 400 selected clients on a PGlite with fsync on; 64 callers admit one update each until all are in, one transaction an update or one a batch; only admission is timed, not the upload; 1 warm-up, 5 repeats with a new round each, medians; the disk: 400 appends of 4 KiB, each with fsync',
  run: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'carapace-bench-'));
    const { store } = await openStore({ kind: 'embedded', directory: join(directory, 'records') }, reportAndExit);
    try {
      const clients = await enrol(store);
      const single = await measure(
        async () =>
          admitAll(await newRound(store, clients), clients, async (update) =>
            first(await store.admitUpdates([update])),
          ),
        REPEATS,
      );
      const grouped = await measure(
        async () =>
          admitAll(
            await newRound(store, clients),
            clients,
            groupCommit((batch) => store.admitUpdates(batch)),
          ),
        REPEATS,
      );
      const disk = await measure(() => syncedAppends(join(directory, 'appends')), REPEATS);
      const limit = `the disk: ${readable(disk.median)} synced appends/s`;
      return [
        figure('one commit an update', 'admissions/s', single, { anchor: limit }),
        figure('group commit', 'admissions/s', grouped, {
          goal: 3 * single.median,
          anchor: `one commit an update: ${readable(single.median)} admissions/s; ${limit}`,
        }),
      ];
    } finally {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

const task: Task = parseTask({ name: 'bench', model: { name: 'bench' }, cohort: { target: CLIENTS } });

async function enrol(store: Store): Promise<ClientId[]> {
  const clients = Array.from({ length: CLIENTS }, () => newClientId(systemRandom));
  await store.insertTask(task, 0);
  await store.transaction('enrol', async (records) => {
    for (const id of clients) {
      const publicKey = systemRandom.bytes(32);
      await records.insertClient({ id, name: id, site: 'bench', publicKey, key: id }, 0);
    }
  });
  return clients;
}

/** Ends the round before it, because a task has one at a time. */
async function newRound(store: Store, clients: readonly ClientId[]): Promise<RoundId> {
  for (const { id } of await store.listRunningRounds()) {
    await store.updateRound(id, { kind: 'abandoned', reason: 'task-stopped', during: 'collecting', at: 0 }, 0);
  }
  const later = Number.MAX_SAFE_INTEGER;
  const plan = planOf(task);
  const state = { kind: 'collecting', plan, selected: CLIENTS, startedAt: 0, deadline: later, closeBy: later } as const;
  const round = await store.insertRound(task.name, 1, state, 0);
  if (round === null) throw new Error('no round could be opened');
  await store.insertParticipants(round, clients, 0);
  return round;
}

async function admitAll(
  round: RoundId,
  clients: readonly ClientId[],
  admit: (update: UpdateSubmission) => Promise<Admission>,
): Promise<number> {
  const updates = clients.map((client) => submission(round, client));
  const caller = async (): Promise<void> => {
    for (let update = updates.pop(); update !== undefined; update = updates.pop()) {
      const admission = await admit(update);
      if (admission.kind === 'refused') throw new Error(`an update was refused: ${admission.code}`);
    }
  };
  return perSecond(CLIENTS, async () => void (await Promise.all(Array.from({ length: CALLERS }, caller))));
}

function submission(round: RoundId, client: ClientId): UpdateSubmission {
  const update = newUpdateId(systemRandom);
  return {
    update,
    round,
    client,
    digest: DIGEST,
    bytes: 40_000,
    examples: 100,
    deposit: null,
    metrics: { trainLoss: 0.5 },
    at: 0,
  };
}

async function syncedAppends(path: string): Promise<number> {
  const file = await open(path, 'w');
  try {
    const page = new Uint8Array(4096);
    return await perSecond(CLIENTS, async () => {
      for (let i = 0; i < CLIENTS; i++) {
        await file.write(page);
        await file.sync();
      }
    });
  } finally {
    await file.close();
  }
}

function first(admissions: readonly Admission[]): Admission {
  const [admission] = admissions;
  if (admission === undefined) throw new Error('one update got no answer');
  return admission;
}

function reportAndExit(error: unknown): never {
  console.error(error);
  process.exit(1);
}
