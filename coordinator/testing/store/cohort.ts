import type { ClientId, RoundId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/ports.ts';
import { freshClients, freshRound, NOW, STATES, submission } from './scene.ts';

export function describeCohort(store: () => Store): void {
  const statuses = async (round: RoundId): Promise<Record<string, string>> =>
    Object.fromEntries((await store().listParticipants(round)).map(({ client, status }) => [client, status]));
  const candidates = async (among: readonly ClientId[], now: number): Promise<ClientId[]> =>
    (await store().listCandidates(now)).map(({ client }) => client).filter((client) => among.includes(client));

  describe('cohort', () => {
    test('candidates wait now, are active, and owe no collecting round an update', async () => {
      const [waiting, gone, never, revoked, busy, free, served] = (await freshClients(store(), 7, 'here')) as [
        ClientId,
        ClientId,
        ClientId,
        ClientId,
        ClientId,
        ClientId,
        ClientId,
      ];
      const until = (client: ClientId, waitingUntil: number) => ({ client, seenAt: NOW, waitingUntil });
      await store().recordPresence([until(served, NOW + 10)]);
      await freshRound(store(), STATES.collecting, { cohort: [busy] });
      await freshRound(store(), STATES.aggregating, { cohort: [free, served] });
      await store().recordPresence([
        until(waiting, NOW + 10),
        until(gone, NOW),
        until(revoked, NOW + 10),
        until(busy, NOW + 10),
        until(free, NOW + 10),
      ]);
      await store().revokeClient(revoked, 'lost', NOW);
      // `served` was selected and has not checked in since: nobody knows that it still waits.
      const all = [waiting, gone, never, revoked, busy, free, served];
      expect((await candidates(all, NOW)).sort()).toEqual([waiting, free].sort());
      expect(await candidates(all, NOW + 10)).toEqual([]);
      expect((await store().listCandidates(NOW)).find(({ client }) => client === waiting)?.site).toBe('here');
    });

    test('an assignment is a place in a collecting round that is still expected to report', async () => {
      const clients = (await freshClients(store(), 3)) as [ClientId, ClientId, ClientId];
      const [reporter, decliner, outsider] = clients;
      const round = await freshRound(store(), STATES.open, { cohort: [reporter, decliner] });
      expect(await store().findAssignment(reporter)).toBeNull();
      await store().updateRound(round, STATES.collecting, NOW);
      expect((await store().findAssignment(reporter))?.id).toBe(round);
      expect(await store().findAssignment(outsider)).toBeNull();
      expect(new Set(await store().listAssignments(clients))).toEqual(
        new Set([reporter, decliner].map((client) => ({ client, round }))),
      );
      expect(await store().tally(round)).toEqual({ outstanding: 2, reported: 0 });

      expect(await store().setParticipantStatus(round, decliner, 'declined', 'on battery', NOW + 1)).toBe(true);
      expect(await store().setParticipantStatus(round, decliner, 'declined', 'again', NOW + 2)).toBe(false);
      expect(await store().setParticipantStatus(round, outsider, 'declined', 'not mine', NOW)).toBe(false);
      await store().admitUpdates([submission(round, reporter)]);
      expect(await store().setParticipantStatus(round, reporter, 'declined', 'too late', NOW)).toBe(false);
      expect(await store().tally(round)).toEqual({ outstanding: 0, reported: 1 });
      expect(await store().listAssignments(clients)).toEqual([]);
      expect(await store().listParticipants(round)).toContainEqual({
        client: decliner,
        status: 'declined',
        reason: 'on battery',
        selectedAt: NOW,
        updatedAt: NOW + 1,
      });
    });

    test('dismissal ends what is still expected and nothing else', async () => {
      const [reported, declined, outstanding] = (await freshClients(store(), 3)) as [ClientId, ClientId, ClientId];
      const round = await freshRound(store(), STATES.collecting, { cohort: [reported, declined, outstanding] });
      await store().admitUpdates([submission(round, reported)]);
      await store().setParticipantStatus(round, declined, 'declined', 'no data', NOW);
      await store().dismissParticipants(round, [], NOW);
      expect(await statuses(round)).toEqual({
        [reported]: 'reported',
        [declined]: 'declined',
        [outstanding]: 'dismissed',
      });
    });

    test('a revoked client leaves the rounds that run, not those that ended', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const reported = await freshRound(store(), STATES.collecting, { cohort: [client] });
      await store().admitUpdates([submission(reported, client)]);
      const selected = await freshRound(store(), STATES.collecting, { cohort: [client] });
      const ended = await freshRound(store(), STATES.completed, { cohort: [client] });
      expect(await store().revokeClient(client, 'stolen', NOW + 5)).toBe(true);
      expect(await store().revokeClient(client, 'again', NOW + 6)).toBe(false);
      expect([await statuses(reported), await statuses(selected), await statuses(ended)]).toEqual([
        { [client]: 'revoked' },
        { [client]: 'revoked' },
        { [client]: 'selected' },
      ]);
      expect(await store().findClient(client)).toMatchObject({
        status: 'revoked',
        revokedAt: NOW + 5,
        revokedReason: 'stolen',
      });
      expect(await store().listAcceptedUpdates(reported)).toEqual([]);
      expect(await store().listUpdateDigests(reported)).toHaveLength(1);
    });
  });
}
