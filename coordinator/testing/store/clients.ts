import { newClientId } from '@carapace/aggregation';
import type { ClientId } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/ports.ts';
import { freshClients, freshName, newClient, NOW } from './scene.ts';

/** RFC 4303, section 3.4.3, by remembering everything. */
class Remembered {
  readonly #seen = new Set<bigint>();
  high = 0n;

  accept(sequence: bigint): boolean {
    const stale = sequence < 1n || sequence + 63n < this.high || sequence > 2n ** 63n - 1n;
    if (stale || this.#seen.has(sequence)) return false;
    this.#seen.add(sequence);
    if (sequence > this.high) this.high = sequence;
    return true;
  }
}

export function describeClients(store: () => Store): void {
  describe('clients', () => {
    test('a client is found by its id and by its key', async () => {
      const client = newClient('site b');
      await store().insertClient(client, NOW);
      const record = {
        ...client,
        status: 'active',
        enrolledAt: NOW,
        lastSeenAt: null,
        waitingUntil: 0,
        revokedAt: null,
        revokedReason: null,
      };
      expect(await store().findClient(client.id)).toEqual(record);
      expect(await store().findClientByKey(client.key)).toEqual(record);
      expect(await store().listClients()).toContainEqual(record);
      expect(await store().findClient(newClientId(systemRandom))).toBeNull();
      expect(await store().findClientByKey('no such key')).toBeNull();
    });

    test('a key belongs to one client', async () => {
      const client = newClient();
      await store().insertClient(client, NOW);
      await expect(store().insertClient({ ...newClient(), key: client.key }, NOW)).rejects.toThrow(/clients_key/);
    });

    test('of several words about one client the last counts', async () => {
      const [client, other] = (await freshClients(store(), 2)) as [ClientId, ClientId];
      await store().recordPresence([
        { client, seenAt: NOW, waitingUntil: NOW + 1 },
        { client: other, seenAt: NOW, waitingUntil: NOW + 2 },
        { client, seenAt: NOW + 3, waitingUntil: 0 },
      ]);
      expect(await store().findClient(client)).toMatchObject({ lastSeenAt: NOW + 3, waitingUntil: 0 });
      expect(await store().findClient(other)).toMatchObject({ lastSeenAt: NOW, waitingUntil: NOW + 2 });
    });

    test('presences recorded from both ends at once do not stand in each other\u2019s way', async () => {
      const clients = await freshClients(store(), 40);
      const words = clients.map((client) => ({ client, seenAt: NOW, waitingUntil: NOW }));
      await Promise.all(
        Array.from({ length: 8 }, (_, index) => store().recordPresence(index % 2 === 0 ? words : words.toReversed())),
      );
    });
  });

  describe('sequence window', () => {
    const near = (high: bigint) =>
      fc.oneof(
        fc.bigInt({ min: -2n, max: 200n }),
        fc.bigInt({ min: high - 70n, max: high + 70n }),
        fc.constantFrom(2n ** 62n, 2n ** 63n - 65n, 2n ** 63n - 64n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n),
      );

    test('batches are judged as by one who remembers every number', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(fc.tuple(fc.nat({ max: 1 }), near(1_000n)), { maxLength: 12 }), { maxLength: 5 }),
          async (batches) => {
            const clients = await freshClients(store(), 2);
            const remembered = clients.map(() => new Remembered());
            for (const batch of batches) {
              const numbers = batch.map(([index, sequence]) => ({ client: clients[index] as ClientId, sequence }));
              const verdicts = await store().acceptSequences(numbers);
              const expected = batch.map(([index, sequence]) => {
                const memory = remembered[index] as Remembered;
                return { accepted: memory.accept(sequence), highest: memory.high };
              });
              expect(verdicts).toEqual(expected);
            }
          },
        ),
        { numRuns: 25 },
      );
    });

    test('a number that many calls bring at once is accepted once', async () => {
      const [client] = (await freshClients(store(), 1)) as [ClientId];
      const numbers = Array.from({ length: 60 }, (_, index) => ({ client, sequence: BigInt((index % 20) + 1) }));
      const verdicts = await Promise.all(numbers.map((number) => store().acceptSequences([number])));
      expect(verdicts.flat().filter(({ accepted }) => accepted)).toHaveLength(20);
      expect((await store().acceptSequences([{ client, sequence: 21n }]))[0]).toEqual({ accepted: true, highest: 21n });
    });
  });

  describe('enrolment tokens', () => {
    const secretHash = Uint8Array.from({ length: 32 }, (_, index) => index);
    const insert = async (expiresAt = NOW + 1_000): Promise<string> => {
      const id = freshName();
      await store().insertToken({ id, secretHash, site: 'clinic', expiresAt, createdBy: 'operator' }, NOW);
      return id;
    };
    const consume = (id: string, now = NOW + 1, hash = secretHash): ReturnType<Store['consumeToken']> =>
      store().consumeToken(id, hash, newClientId(systemRandom), now);

    test('a token is spent by exactly one of many who come at once', async () => {
      const id = await insert();
      const users = Array.from({ length: 10 }, () => newClientId(systemRandom));
      const outcomes = await Promise.all(users.map((user) => store().consumeToken(id, secretHash, user, NOW + 1)));
      const won = outcomes.filter((outcome) => outcome !== null);
      expect(won).toHaveLength(1);
      expect(await store().findToken(id)).toEqual(won[0]);
      expect(users).toContain(won[0]?.usedBy);
      expect(won[0]).toMatchObject({ id, site: 'clinic', createdAt: NOW, usedAt: NOW + 1, revokedAt: null });
    });

    test('a transaction that fails gives the token back', async () => {
      const id = await insert();
      const spent = store().transaction('enrol', async (records) => {
        await records.consumeToken(id, secretHash, newClientId(systemRandom), NOW);
        throw new Error('the client was not inserted');
      });
      await expect(spent).rejects.toThrow('the client was not inserted');
      expect(await consume(id)).not.toBeNull();
    });

    test('its last millisecond is the one before it expires', async () => {
      expect(await consume(await insert(NOW + 5), NOW + 4)).not.toBeNull();
      expect(await consume(await insert(NOW + 5), NOW + 5)).toBeNull();
    });

    test('a wrong secret, of any length, spends nothing', async () => {
      const id = await insert();
      for (const hash of [secretHash.toReversed(), secretHash.subarray(1), new Uint8Array(0)])
        expect(await consume(id, NOW, new Uint8Array(hash))).toBeNull();
      expect(await consume(id)).not.toBeNull();
      expect(await consume(freshName())).toBeNull();
    });

    test('a revoked token is void; a spent one cannot be revoked', async () => {
      const revoked = await insert();
      expect(await store().revokeToken(revoked, NOW)).toBe(true);
      expect(await store().revokeToken(revoked, NOW)).toBe(false);
      expect(await consume(revoked)).toBeNull();
      const spent = await insert();
      await consume(spent);
      expect(await store().revokeToken(spent, NOW)).toBe(false);
      expect((await store().listTokens()).map(({ id }) => id)).toEqual(expect.arrayContaining([revoked, spent]));
      expect(await store().findToken(freshName())).toBeNull();
    });
  });

  describe('API keys', () => {
    test('a key is kept, listed and revoked once', async () => {
      const key = {
        id: freshName(),
        name: 'dashboard',
        role: 'auditor' as const,
        secretHash: new Uint8Array([1, 2, 3]),
      };
      await store().insertApiKey(key, NOW);
      expect(await store().findApiKey(key.id)).toEqual({ ...key, createdAt: NOW, revokedAt: null });
      expect(await store().revokeApiKey(key.id, NOW + 1)).toBe(true);
      expect(await store().revokeApiKey(key.id, NOW + 2)).toBe(false);
      expect(await store().listApiKeys()).toContainEqual({ ...key, createdAt: NOW, revokedAt: NOW + 1 });
      expect(await store().findApiKey(freshName())).toBeNull();
    });
  });
}
