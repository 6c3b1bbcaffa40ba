/** kill -9 of the coordinator at random moments of a run: nothing acknowledged is lost or counted twice, the same round goes on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FederatedClient, formatJoinLink } from '@carapace/client-sdk';
import { seededRandom } from '@carapace/simulations';
import { afterAll, describe, expect, test } from 'vitest';
import type { RoundList, RoundPage } from '../src/answers.ts';
import { CoordinatorProcess, diagnosis } from './support/coordinator-process.ts';
import { countedIn, oneHotModel, oneHotTrainer, receiptsOf } from './support/one-hot.ts';
import { startAggregator } from './support/in-process-aggregator.ts';
import { until, within } from './support/within.ts';

const KILLS = 20;
const CLIENTS = 12;
/** What only an answer of the coordinator lets a client tell. */
const ACCEPTED = new Set(['assigned', 'invited', 'sharing', 'admitted', 'unmasked']);
const seed = process.env['CARAPACE_TEST_SEED'] ?? String(Date.now());

const directory = await mkdtemp(join(tmpdir(), 'carapace-kill-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

/**
 * With secure aggregation a kill falls into every step of its protocol, too; the sum then comes out of masks that survived it.
 * With shares a second aggregator lives through it as the clients do.
 */
const PROTECTIONS = [{ kind: 'clear' }, { kind: 'secagg', stepSeconds: 120 }, { kind: 'shares', stepSeconds: 120 }];

describe.each(PROTECTIONS)('$kind', (protection) =>
  test(
    `${KILLS} kills of the coordinator: every receipt counts once (CARAPACE_TEST_SEED=${seed})`,
    { timeout: 400_000 },
    async () => {
      const random = seededRandom(seed);
      const place = (name: string): string => join(directory, protection.kind, name);
      const coordinator = await CoordinatorProcess.start(place('coordinator'));
      const { calls } = coordinator;
      await calls.upload('/v1/models/one-hot/versions', 'application/x-safetensors', oneHotModel(CLIENTS));
      const cohort = { target: CLIENTS, minimum: CLIENTS, reportSeconds: 120, selectionSeconds: 120 };
      const training = { maxExamples: 1 };
      const controller = new AbortController();
      const aggregation = await startAggregator(calls, place('aggregator'), controller.signal);
      const hidden = protection.kind === 'shares' ? { ...protection, aggregator: aggregation.client } : protection;
      await calls.post('/v1/tasks', {
        name: 'kills',
        model: { name: 'one-hot' },
        cohort,
        training,
        protection: hidden,
      });

      const states = Array.from({ length: CLIENTS }, (_value, index) => place(`client-${index}`));
      let acceptedAt = 0;
      let admitted = 0;
      /** The last things that each client told, for a run that stands still. */
      const stories: unknown[][] = [];
      const runs = [aggregation.run];
      for (const [index, stateDirectory] of states.entries()) {
        const { token } = await calls.post<{ token: string }>('/v1/tokens', { site: 'test' });
        const client = new FederatedClient({
          stateDirectory,
          joinLink: formatJoinLink(coordinator.url, token),
          train: oneHotTrainer(index, () => sleep(random.uniform() * 100)),
          onEvent: (event) => {
            const { kind } = event;
            stories[index] = [...(stories[index] ?? []).slice(-5), { at: Date.now(), ...event }];
            if (ACCEPTED.has(kind)) acceptedAt = performance.now();
            if (kind === 'admitted') admitted += 1;
          },
        });
        runs.push(client.run(controller.signal));
      }

      const recoveriesMs: number[] = [];
      try {
        await until(60_000, 'the first round', () => admitted >= CLIENTS);
        for (let kill = 0; kill < KILLS; kill++) {
          await sleep(random.uniform() * 1_500);
          const killedAt = performance.now();
          await coordinator.kill();
          await coordinator.start();
          await until(60_000, `a call is accepted after kill ${kill + 1}`, () => acceptedAt > killedAt);
          recoveriesMs.push(acceptedAt - killedAt);
        }
        const enough = admitted + 2 * CLIENTS;
        await until(60_000, 'two more rounds', () => admitted >= enough);
        await calls.post('/v1/tasks/kills/stop');
      } catch (error) {
        console.error(await diagnosis(coordinator, 'kills'), JSON.stringify(stories));
        throw error;
      } finally {
        controller.abort();
        await within(30_000, 'the clients end', Promise.all(runs));
      }

      try {
        const receipts = await receiptsOf(states);
        const counted = await countedIn(calls, 'one-hot');
        const { rounds } = await calls.get<RoundList>('/v1/tasks/kills/rounds?limit=9999');
        const completed = rounds.filter(({ state }) => state.kind === 'completed');
        const abandoned = rounds.filter(({ state }) => state.kind === 'abandoned');
        // How many depends on the machine; without any, nothing below would be tested.
        expect(completed.length).toBeGreaterThan(1);
        // A round that ran when the coordinator died is the one that completes after it: none is given up but the last, by the stop.
        expect(abandoned.flatMap(({ state }) => ('reason' in state ? [state.reason] : []))).toEqual(
          abandoned.length === 0 ? [] : ['task-stopped'],
        );
        expect(completed.map(({ number }) => number)).toEqual(
          completed.map((_round, index) => completed.length - index),
        );
        for (const { id } of completed) {
          const page = await calls.get<RoundPage>(`/v1/rounds/${id}`);
          const everyone = new Set(states.keys());
          expect(page.participants.filter(({ status }) => status === 'reported')).toHaveLength(CLIENTS);
          // With a quorum of all, a completed round counts everyone, and everyone may hold a receipt for it.
          expect(counted.get(id)).toEqual(everyone);
          expect(receipts.get(id)).toEqual(everyone);
        }
        const sorted = recoveriesMs.toSorted((a, b) => a - b);
        const [median, p95] = [sorted[Math.floor(KILLS / 2)]!, sorted[Math.ceil(0.95 * KILLS) - 1]!];
        console.log(
          `${protection.kind}: ${KILLS} kills, ${completed.length} rounds, ${admitted} receipts; next accepted call after kill -9: median ${Math.round(median)} ms, p95 ${Math.round(p95)} ms`,
        );
      } finally {
        await coordinator.stop();
      }
    },
  ),
);
