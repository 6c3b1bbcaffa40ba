import { createHash } from 'node:crypto';
import { parseModelName } from '@carapace/aggregation';
import { DOMAINS } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditRecord, Store, VersionRecord } from '../../src/ports.ts';
import { freshName, freshRound, newVersion, NOW, STATES } from './scene.ts';

export function describeModels(store: () => Store): void {
  const freshModel = () => parseModelName(freshName());

  describe('models', () => {
    test('a version comes back as it was published, with the manifest made for its number', async () => {
      const model = freshModel();
      const round = await freshRound(store(), STATES.completed);
      await store().insertVersion(newVersion(model), NOW);
      const published = await store().insertVersion(
        newVersion(model, { round, parent: 1, cohort: 8, metrics: { loss: 0.1, accuracy: 0.97 } }),
        NOW + 1,
      );
      const { manifest, ...content } = newVersion(model, {
        round,
        parent: 1,
        cohort: 8,
        metrics: { loss: 0.1, accuracy: 0.97 },
      });
      expect(published).toEqual({ ...content, version: 2, manifest: manifest(2), createdAt: NOW + 1 });
      expect(await store().findVersion(model, 2)).toEqual(published);
      expect((await store().listVersions(model)).map(({ version }) => version)).toEqual([1, 2]);
      expect(await store().findVersion(model, 3)).toBeNull();
    });

    test('versions published at once are numbered without gaps, and latest is the last of them', async () => {
      const model = freshModel();
      const published = await Promise.all(
        Array.from({ length: 8 }, (_, index) => store().insertVersion(newVersion(model), NOW + index)),
      );
      expect(published.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect((await store().findChannel(model, 'latest'))?.version).toBe(8);
      expect(await store().listVersions(model)).toHaveLength(8);
    });

    test('a round publishes once', async () => {
      const model = freshModel();
      const round = await freshRound(store(), STATES.completed);
      const attempts = await Promise.allSettled(
        Array.from({ length: 4 }, () => store().insertVersion(newVersion(model, { round }), NOW)),
      );
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await store().listVersions(model)).toHaveLength(1);
      expect((await store().insertVersion(newVersion(model), NOW)).version).toBe(2);
    });

    test('a version whose transaction fails was never there, and its number is used again', async () => {
      const model = freshModel();
      await store().insertVersion(newVersion(model), NOW);
      const failing = store().transaction('publish', async (records) => {
        await records.insertVersion(newVersion(model), NOW);
        throw new Error('the state was not written');
      });
      await expect(failing).rejects.toThrow('the state was not written');
      expect((await store().findChannel(model, 'latest'))?.version).toBe(1);
      expect((await store().insertVersion(newVersion(model), NOW)).version).toBe(2);
    });

    test('nothing that the port offers changes a version', async () => {
      const model = freshModel();
      const first = await store().insertVersion(newVersion(model), NOW);
      await store().insertVersion(newVersion(model, { metrics: { loss: 9 } }), NOW + 1);
      await store().moveChannel(model, 'latest', 1, NOW + 2);
      await store().moveChannel(model, 'stable', 2, NOW + 3);
      expect(await store().findVersion(model, 1)).toEqual(first);
    });

    test('a channel names the version it was last moved to', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.constantFrom('latest', 'stable', 'canary'), fc.integer({ min: 0, max: 4 })), {
            maxLength: 8,
          }),
          async (moves) => {
            const model = freshModel();
            const versions: VersionRecord[] = [];
            for (let number = 1; number <= 3; number++)
              versions.push(await store().insertVersion(newVersion(model), NOW));
            const channels: Record<string, number> = { latest: 3 };
            for (const [channel, version] of moves) {
              const moved = await store().moveChannel(model, channel, version, NOW);
              expect(moved).toBe(version >= 1 && version <= 3);
              if (moved) channels[channel] = version;
              expect((await store().findChannel(model, channel))?.version).toBe(channels[channel]);
            }
            const record = (await store().listModels()).find(({ name }) => name === model);
            expect(record).toEqual({ name: model, versions: 3, channels, updatedAt: NOW });
          },
        ),
        { numRuns: 10 },
      );
      expect(await store().findChannel(freshModel(), 'latest')).toBeNull();
    });
  });
}

export function describeAudit(store: () => Store): void {
  const last = async (): Promise<AuditRecord | undefined> => (await store().listAudit(0, 1_000_000)).at(-1);
  const append = (object: string, detail: Record<string, unknown> = {}): Promise<void> =>
    store().appendAudit({ at: NOW, actor: 'admin', action: 'test', object, detail });

  describe('audit', () => {
    test('any entries come back and continue the chain', async () => {
      // jsonb and text hold no NUL, and no entry of ours does.
      const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''));
      const before = await last();
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(text, fc.jsonValue()), { maxLength: 4 }), async (entries) => {
          const from = (await last())?.sequence ?? 0;
          for (const [object, value] of entries) await append(object, { value });
          const records = await store().listAudit(from, 100);
          expect(records.map(({ object, detail }) => [object, detail['value']])).toEqual(
            entries.map(([object, value]) => [object, JSON.parse(JSON.stringify(value))]),
          );
        }),
        { numRuns: 15 },
      );
      expect(brokenLinks(await store().listAudit(before?.sequence ?? 0, 10_000), before)).toEqual([]);
    });

    test('entries written at once stand in one chain, without gaps', async () => {
      const before = await last();
      await Promise.all(Array.from({ length: 20 }, (_, index) => append(`entry ${index}`)));
      const records = await store().listAudit(before?.sequence ?? 0, 100);
      expect(records).toHaveLength(20);
      expect(brokenLinks(records, before)).toEqual([]);
    });

    test('an entry whose transaction fails leaves no gap', async () => {
      const before = await last();
      const failing = store().transaction('fail', async (records) => {
        await records.appendAudit({ at: NOW, actor: 'admin', action: 'test', object: 'never', detail: {} });
        throw new Error('rolled back');
      });
      await expect(failing).rejects.toThrow('rolled back');
      await append('after');
      const records = await store().listAudit(before?.sequence ?? 0, 100);
      expect(records.map(({ object }) => object)).toEqual(['after']);
      expect(brokenLinks(records, before)).toEqual([]);
    });

    test('a changed entry, a missing one and a moved one break the chain', async () => {
      const before = await last();
      for (const object of ['a', 'b', 'c']) await append(object);
      const [a, b, c] = (await store().listAudit(before?.sequence ?? 0, 3)) as [AuditRecord, AuditRecord, AuditRecord];
      expect(brokenLinks([a, { ...b, actor: 'nobody' }, c], before)).toEqual([b.sequence]);
      expect(brokenLinks([a, c], before)).toEqual([c.sequence]);
      expect(brokenLinks([a, c, b], before)).toEqual([c.sequence, b.sequence]);
    });
  });
}

/** The sequences at which the chain does not hold: recomputed from the port's sentence, not by the source. */
function brokenLinks(records: readonly AuditRecord[], before: AuditRecord | undefined): number[] {
  let previous = { sequence: before?.sequence ?? 0, hash: before?.hash ?? '0'.repeat(64) };
  return records.flatMap((record) => {
    const { sequence, at, actor, action, object, detail } = record;
    const entry = JSON.stringify([sequence, at, actor, action, object, JSON.stringify(detail)]);
    const hash = createHash('sha256').update(`${DOMAINS.audit}\0${previous.hash}${entry}`).digest('hex');
    const holds = record.hash === hash && record.previousHash === previous.hash && sequence === previous.sequence + 1;
    previous = record;
    return holds ? [] : [sequence];
  });
}
