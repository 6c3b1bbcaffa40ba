import { newUpdateId } from '@carapace/aggregation';
import type { ClientId, RoundId, UpdateId, UpdateRefusal } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupCommit } from '../../src/adapters/store/group-commit.ts';
import type { Admission, Store, UpdateSubmission } from '../../src/ports.ts';
import { digestOf, freshClients, freshRound, NOW, STATES, submission } from './scene.ts';

/** Admission as the port states it, over plain values: what the databases must agree with. */
class Reference {
  readonly #rounds: ReadonlyMap<RoundId, { readonly collecting: boolean; readonly cohort: ReadonlySet<ClientId> }>;
  readonly #revoked: ReadonlySet<ClientId>;
  readonly accepted: UpdateSubmission[] = [];

  constructor(
    rounds: ReadonlyMap<RoundId, { readonly collecting: boolean; readonly cohort: ReadonlySet<ClientId> }>,
    revoked: ReadonlySet<ClientId>,
  ) {
    this.#rounds = rounds;
    this.#revoked = revoked;
  }

  admit(update: UpdateSubmission): 'accepted' | 'again' | UpdateRefusal {
    if (this.#revoked.has(update.client)) return 'CLIENT_REVOKED';
    const same = this.accepted.find((known) => known.update === update.update);
    if (same !== undefined) {
      const identical = same.client === update.client && same.round === update.round && same.digest === update.digest;
      return identical ? 'again' : 'UPDATE_DUPLICATE';
    }
    const round = this.#rounds.get(update.round);
    if (round?.cohort.has(update.client) !== true) return 'NOT_IN_COHORT';
    if (this.accepted.some((known) => known.round === update.round && known.client === update.client))
      return 'UPDATE_DUPLICATE';
    if (!round.collecting) return 'ROUND_NOT_COLLECTING';
    this.accepted.push(update);
    return 'accepted';
  }
}

const verdictOf = (admission: Admission): string =>
  admission.kind === 'refused' ? admission.code : admission.again ? 'again' : 'accepted';

export function describeUpdates(store: () => Store): void {
  describe('updates', () => {
    test('what goes with them to a second aggregator is kept beside them, a revoked client’s too', async () => {
      const clients = await freshClients(store(), 3);
      const round = await freshRound(store(), STATES.collecting, { cohort: clients });
      const deposits = [Uint8Array.of(0, 255, 92), null, new Uint8Array(300).fill(7)];
      const updates = clients.map((client, i) => {
        const deposit = deposits[i];
        return submission(round, client, deposit ? { deposit } : {});
      });
      await store().admitUpdates(updates);
      await store().revokeClient(clients[0]!, 'test', NOW);
      expect(await store().listDeposits(round)).toEqual(new Map([0, 2].map((i) => [updates[i]!.digest, deposits[i]!])));
      expect((await store().findUpdate(updates[2]!.update))?.deposit).toEqual(deposits[2]);
      expect((await store().findUpdate(updates[1]!.update))?.deposit).toBeNull();
    });

    test('any batches of any submissions are decided as the reference decides them one by one', async () => {
      const index = fc.nat({ max: 3 });
      const shapes = fc.array(
        fc.array(fc.tuple(index, fc.nat({ max: 2 }), index, fc.nat({ max: 1 })), { maxLength: 6 }),
        {
          maxLength: 4,
        },
      );
      await fc.assert(
        fc.asyncProperty(shapes, async (batches) => {
          const clients = await freshClients(store(), 4);
          const [, , outsider, revoked] = clients as [ClientId, ClientId, ClientId, ClientId];
          const cohort = clients.filter((client) => client !== outsider);
          const rounds = [
            await freshRound(store(), STATES.collecting, { cohort }),
            await freshRound(store(), STATES.collecting, { cohort: cohort.slice(1) }),
            await freshRound(store(), STATES.aggregating, { cohort }),
          ];
          await store().revokeClient(revoked, 'lost', NOW);
          const reference = new Reference(
            new Map([
              [rounds[0] as RoundId, { collecting: true, cohort: new Set(cohort) }],
              [rounds[1] as RoundId, { collecting: true, cohort: new Set(cohort.slice(1)) }],
              [rounds[2] as RoundId, { collecting: false, cohort: new Set(cohort) }],
            ]),
            new Set([revoked]),
          );
          const ids = Array.from({ length: 4 }, () => newUpdateId(systemRandom));
          for (const batch of batches) {
            const submissions = batch.map(([client, round, id, bytes]) =>
              submission(rounds[round] as RoundId, clients[client] as ClientId, {
                update: ids[id] as UpdateId,
                digest: digestOf(`bytes ${bytes}`),
              }),
            );
            const admissions = await store().admitUpdates(submissions);
            expect(admissions.map(verdictOf)).toEqual(submissions.map((one) => reference.admit(one)));
          }
          for (const round of rounds) {
            const expected = reference.accepted.filter((update) => update.round === round);
            expect(await store().listAcceptedUpdates(round)).toEqual(
              expected.sort((a, b) => (a.client < b.client ? -1 : 1)),
            );
            expect((await store().tally(round)).reported).toBe(expected.length);
          }
        }),
        { numRuns: 20 },
      );
    });

    test('the same update is answered with its first record for ever, also when the round is over', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const round = await freshRound(store(), STATES.collecting, { cohort: [client] });
      const first = submission(round, client);
      expect(await store().admitUpdates([first])).toEqual([{ kind: 'accepted', record: first, again: false }]);
      await store().updateRound(round, STATES.completed, NOW);
      expect(await store().admitUpdates([{ ...first, at: NOW + 999 }])).toEqual([
        { kind: 'accepted', record: first, again: true },
      ]);
      expect(await store().findUpdate(first.update)).toEqual(first);
      expect(await store().findUpdate(newUpdateId(systemRandom))).toBeNull();
    });

    test('the same update sent many times at once is accepted once', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const round = await freshRound(store(), STATES.collecting, { cohort: [client] });
      const update = submission(round, client);
      const admissions = await Promise.all(Array.from({ length: 8 }, () => store().admitUpdates([update])));
      expect(admissions.flat().map(verdictOf).sort()).toEqual(['accepted', ...Array<string>(7).fill('again')]);
    });

    test('one update id claimed by several clients at once goes to one of them', async () => {
      const clients = await freshClients(store(), 6);
      const update = newUpdateId(systemRandom);
      const rounds = await Promise.all(
        clients.map((client) => freshRound(store(), STATES.collecting, { cohort: [client] })),
      );
      const admissions = await Promise.all(
        clients.map((client, index) =>
          store().admitUpdates([submission(rounds[index] as RoundId, client, { update })]),
        ),
      );
      expect(admissions.flat().map(verdictOf).sort()).toEqual([
        ...Array<string>(5).fill('UPDATE_DUPLICATE'),
        'accepted',
      ]);
    });

    test('what the tally under the lock did not see is not accepted afterwards', async () => {
      for (let run = 0; run < 5; run++) {
        const cohort = await freshClients(store(), 12);
        const round = await freshRound(store(), STATES.collecting, { cohort });
        const closing = store().transaction('close', async (records) => {
          await records.lockRound(round);
          const { reported } = await records.tally(round);
          await new Promise(setImmediate);
          await records.updateRound(round, { ...STATES.aggregating, reported }, NOW);
          return reported;
        });
        const admitting = cohort.map(async (client, index) => {
          for (let turn = 0; turn < index * run; turn++) await new Promise(setImmediate);
          return store().admitUpdates([submission(round, client)]);
        });
        const [reported, admissions] = await Promise.all([closing, Promise.all(admitting)]);
        const verdicts = admissions.flat().map(verdictOf);
        expect(verdicts.filter((verdict) => verdict === 'accepted')).toHaveLength(reported);
        expect(verdicts.filter((verdict) => verdict === 'ROUND_NOT_COLLECTING')).toHaveLength(12 - reported);
        expect((await store().tally(round)).reported).toBe(reported);
      }
    });

    test('a client revoked while its update is admitted contributes nothing', async () => {
      for (let run = 0; run < 30; run++) {
        const [client] = (await freshClients(store(), 1)) as [ClientId];
        const round = await freshRound(store(), STATES.collecting, { cohort: [client] });
        await Promise.all([store().admitUpdates([submission(round, client)]), store().revokeClient(client, 'x', NOW)]);
        expect(await store().listAcceptedUpdates(round)).toEqual([]);
        expect(await store().tally(round)).toEqual({ outstanding: 0, reported: 0 });
      }
    });

    test('admissions that arrive together share commits', async () => {
      const cohort = await freshClients(store(), 100);
      const round = await freshRound(store(), STATES.collecting, { cohort });
      let commits = 0;
      const admit = groupCommit((batch: readonly UpdateSubmission[]) => {
        commits += 1;
        return store().admitUpdates(batch);
      });
      const admissions = await Promise.all(cohort.map((client) => admit(submission(round, client))));
      expect(admissions.map(verdictOf)).toEqual(Array<string>(100).fill('accepted'));
      expect(commits).toBe(1);
    });

    test('one that the database refuses does not take its neighbours along', async () => {
      const cohort = await freshClients(store(), 8);
      const round = await freshRound(store(), STATES.collecting, { cohort });
      const admit = groupCommit((batch: readonly UpdateSubmission[]) => store().admitUpdates(batch));
      const outcomes = await Promise.allSettled(
        cohort.map((client, index) => admit({ ...submission(round, client), examples: index === 3 ? Number.NaN : 1 })),
      );
      expect(outcomes.map(({ status }) => status)).toEqual(
        cohort.map((_, index) => (index === 3 ? 'rejected' : 'fulfilled')),
      );
      expect((await store().tally(round)).reported).toBe(7);
    });

    test('a refusal is kept once, however often it is given', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const round = await freshRound(store());
      const update = newUpdateId(systemRandom);
      for (let i = 0; i < 2; i++) await store().recordRefusal(round, client, update, 'UPDATE_SHAPE', NOW + i);
    });
  });
}
