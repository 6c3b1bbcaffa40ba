import type { ClientId, RoundId } from '@carapace/aggregation';
import { utf8 } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';
import type { ProtocolMessage, Store } from '../../src/ports.ts';
import { digestOf, freshClients, freshRound, NOW, STATES, submission } from './scene.ts';

const said = (member: number, text: string, step: ProtocolMessage['step'] = 'advertise-keys'): ProtocolMessage => {
  return { step, member, message: utf8(text) };
};

export function describeSecagg(store: () => Store): void {
  const session = async (): Promise<RoundId> => {
    const round = await freshRound(store(), STATES.agreeing, { cohort: await freshClients(store(), 3) });
    await store().insertSession(round, utf8('session'), utf8('roster'));
    return round;
  };

  describe('secure aggregation', () => {
    test('a session keeps its bytes, then its survivors, then nothing', async () => {
      const round = await session();
      expect(await store().findSession(round)).toEqual({
        session: utf8('session'),
        roster: utf8('roster'),
        survivors: null,
      });
      const survivors = [
        { member: 0, digest: digestOf('a') },
        { member: 2, digest: digestOf('c') },
      ];
      await store().fixSurvivors(round, survivors);
      expect((await store().findSession(round))?.survivors).toEqual(survivors);
      await store().admitProtocolMessage(round, said(0, 'a'));
      await store().deleteSession(round);
      expect(await store().findSession(round)).toBeNull();
      expect(await store().listProtocolMessages(round, 'advertise-keys', [])).toEqual([]);
      await store().deleteSession(round);
    });

    test('one message a member and step: the same again is the same, another is another', async () => {
      const round = await session();
      expect(await store().admitProtocolMessage(round, said(1, 'hello'))).toBe('accepted');
      expect(await store().admitProtocolMessage(round, said(1, 'hello'))).toBe('again');
      expect(await store().admitProtocolMessage(round, said(1, 'other'))).toBe('other');
      expect(await store().admitProtocolMessage(round, said(0, 'hi'))).toBe('accepted');
      expect(await store().listProtocolMessages(round, 'advertise-keys', [])).toEqual([
        said(0, 'hi'),
        said(1, 'hello'),
      ]);
      expect(await store().listProtocolMessages(round, 'advertise-keys', [0, 2])).toEqual([said(1, 'hello')]);
      expect(await store().listProtocolMessages(round, 'share-keys', [])).toEqual([]);
    });

    test('only the step that the round is in takes messages, and what it took it still knows', async () => {
      const round = await session();
      expect(await store().admitProtocolMessage(round, said(0, 'early', 'share-keys'))).toBe('closed');
      await store().admitProtocolMessage(round, said(0, 'in time'));
      await store().updateRound(round, { ...STATES.agreeing, step: 'share-keys' }, NOW);
      expect(await store().admitProtocolMessage(round, said(1, 'late'))).toBe('closed');
      expect(await store().admitProtocolMessage(round, said(0, 'in time'))).toBe('again');
      expect(await store().admitProtocolMessage(round, said(1, 'now', 'share-keys'))).toBe('accepted');
      for (const state of [STATES.collecting, STATES.aggregating, STATES.abandoned]) {
        await store().updateRound(round, state, NOW);
        expect(await store().admitProtocolMessage(round, said(2, 'too late', 'share-keys'))).toBe('closed');
      }
    });

    test('a step that closes under the lock of its round has every message that was accepted', async () => {
      for (let run = 0; run < 5; run++) {
        const round = await session();
        const closing = store().transaction('close', async (records) => {
          await records.lockRound(round);
          const heard = await records.listProtocolMessages(round, 'advertise-keys', []);
          await new Promise(setImmediate);
          await records.updateRound(round, { ...STATES.agreeing, step: 'share-keys' }, NOW);
          return heard.length;
        });
        const speaking = Array.from({ length: 12 }, async (_value, member) => {
          for (let turn = 0; turn < member * run; turn++) await new Promise(setImmediate);
          return store().admitProtocolMessage(round, said(member, 'hello'));
        });
        const [heard, admissions] = await Promise.all([closing, Promise.all(speaking)]);
        expect(admissions.filter((admission) => admission === 'accepted')).toHaveLength(heard);
        expect(admissions.filter((admission) => admission === 'closed')).toHaveLength(12 - heard);
      }
    });

    test('of two messages of one member at once, one is taken; of two copies of one, both are', async () => {
      const round = await session();
      const copies = await Promise.all(
        Array.from({ length: 4 }, () => store().admitProtocolMessage(round, said(1, 'x'))),
      );
      expect([...copies].sort()).toEqual(['accepted', 'again', 'again', 'again']);
      const texts = ['a', 'b', 'c', 'd'];
      const admissions = await Promise.all(texts.map((text) => store().admitProtocolMessage(round, said(0, text))));
      expect([...admissions].sort()).toEqual(['accepted', 'other', 'other', 'other']);
    });

    test('members of a round that agrees on its masks are assigned to it, and wait for no other', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const round = await freshRound(store(), STATES.agreeing, { cohort: [client] });
      expect((await store().findAssignment(client))?.id).toBe(round);
      await store().recordPresence([{ client, seenAt: NOW, waitingUntil: NOW + 10 }]);
      expect((await store().listCandidates(NOW)).some((candidate) => candidate.client === client)).toBe(false);
      await store().updateRound(round, STATES.unmasking, NOW);
      expect(await store().findAssignment(client)).toBeNull();
    });

    test('the secret of a round is there until the round has ended, and for no other', async () => {
      const [kept, deleted, ended] = await Promise.all([session(), session(), session()]);
      for (const [i, round] of [kept, deleted, ended].entries())
        await store().insertRoundSecret(round, new Uint8Array(32).fill(i));
      expect(await store().findRoundSecret(ended)).toEqual(new Uint8Array(32).fill(2));
      await expect(store().insertRoundSecret(kept, new Uint8Array(32).fill(9))).rejects.toThrow();
      await store().deleteSession(deleted);
      await store().updateRound(ended, STATES.completed, NOW);
      await store().deleteEndedSessions();
      const left = await Promise.all([kept, deleted, ended].map((round) => store().findRoundSecret(round)));
      expect(left).toEqual([new Uint8Array(32), null, null]);
    });

    test('sessions of rounds that ended are swept, others stay', async () => {
      const [running, ended] = [await session(), await session()];
      await store().updateRound(ended, STATES.abandoned, NOW);
      await store().deleteEndedSessions();
      expect(await store().findSession(ended)).toBeNull();
      expect(await store().findSession(running)).not.toBeNull();
    });

    test('deposits go with the session of their round, also of one whose end was not cleared up; receipts stay', async () => {
      const [deleted, ended, running] = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const [client] = (await freshClients(store(), 1)) as [ClientId];
          const round = await freshRound(store(), STATES.collecting, { cohort: [client] });
          await store().insertSession(round, utf8('session'), utf8('roster'));
          const update = submission(round, client, { deposit: utf8('sealed') });
          await store().admitUpdates([update]);
          return { round, update };
        }),
      );
      await store().deleteSession(deleted!.round);
      await store().updateRound(ended!.round, STATES.completed, NOW);
      await store().deleteEndedSessions();
      const left = await Promise.all([deleted, ended, running].map((of) => store().listDeposits(of!.round)));
      expect(left.map(({ size }) => size)).toEqual([0, 0, 1]);
      for (const { update } of [deleted!, ended!]) {
        expect(await store().findUpdate(update.update)).toEqual({ ...update, deposit: null });
        expect(await store().admitUpdates([update])).toMatchObject([{ kind: 'accepted', again: true }]);
      }
    });

    test('dismissal spares those who are present', async () => {
      const cohort = (await freshClients(store(), 3)) as [ClientId, ClientId, ClientId];
      const round = await freshRound(store(), STATES.agreeing, { cohort });
      await store().dismissParticipants(round, [cohort[1]], NOW);
      const statuses = (await store().listParticipants(round)).map(({ client, status }) => [client, status]);
      expect(Object.fromEntries(statuses)).toEqual({
        [cohort[0]]: 'dismissed',
        [cohort[1]]: 'selected',
        [cohort[2]]: 'dismissed',
      });
    });

    test('rosters go by their serial: only a higher one is taken, the highest is in force', async () => {
      const before = (await store().findRoster())?.serial ?? 0;
      const roster = (serial: number) => ({
        digest: digestOf(`roster ${serial}`),
        serial,
        bytes: utf8(`roster ${serial}`),
      });
      expect(await store().insertRoster(roster(before + 2), NOW)).toBe(true);
      expect(await store().insertRoster(roster(before + 1), NOW)).toBe(false);
      expect(await store().insertRoster(roster(before + 2), NOW)).toBe(false);
      expect(await store().findRoster()).toEqual({ ...roster(before + 2), publishedAt: NOW });
    });

    test('keys come in the order of the client ids, for those that exist', async () => {
      const clients = await freshClients(store(), 3);
      const [first] = clients as [ClientId];
      const keys = await store().listClientKeys([...clients].reverse());
      expect(keys.map(({ client }) => client)).toEqual([...clients].sort());
      expect(keys.find(({ client }) => client === first)?.publicKey).toEqual(
        Uint8Array.from((await store().findClient(first))!.publicKey),
      );
    });
  });
}
