import { describe, expect, test } from 'vitest';
import type { LedgerRecord, Store } from '../../src/ports.ts';

const record = (sequence: number, previousHash: string): LedgerRecord => ({
  sequence,
  at: 1_800_000_000_000 + sequence,
  actor: 'key:somebody',
  // Texts come back as they were: jsonb would order the keys.
  entry: `{"z":1,"a":"ü ${sequence}"}`,
  previousHash,
  hash: `hash ${sequence}`,
});

export function describeLedger(store: () => Store): void {
  describe('the privacy ledger', () => {
    test('gives back what was appended, in its order, and where it ends', async () => {
      const before = (await store().ledgerHead())?.sequence ?? 0;
      const records = [1, 2, 3].map((i) => record(before + i, `hash ${before + i - 1}`));
      for (const one of records)
        await store().transaction('append', async (inside) => {
          await inside.lockLedger();
          await inside.insertLedger(one);
        });
      expect(await store().listLedger(before, 100)).toEqual(records);
      expect(await store().listLedger(before + 1, 1)).toEqual([records[1]]);
      expect(await store().ledgerHead()).toEqual({ sequence: before + 3, hash: `hash ${before + 3}` });
      await expect(store().insertLedger(records[0]!)).rejects.toThrow();
    });

    test('has one writer at a time, and forgets what was rolled back', async () => {
      const before = (await store().ledgerHead())?.sequence ?? 0;
      const order: string[] = [];
      const append = (name: string): Promise<void> =>
        store().transaction('append', async (records) => {
          const head = await records.lockLedger();
          order.push(`${name} begins`);
          const sequence = (head?.sequence ?? 0) + 1;
          await records.insertLedger(record(sequence, head?.hash ?? ''));
          order.push(`${name} ends`);
          if (name === 'fails') throw new Error('rolled back');
        });
      const ends = await Promise.allSettled([append('one'), append('fails'), append('two')]);
      expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await store().listLedger(before, 100)).map(({ sequence }) => sequence)).toEqual([before + 1, before + 2]);
      for (let i = 0; i < order.length; i += 2) expect(order[i + 1]).toBe(order[i]!.replace('begins', 'ends'));
    });
  });
}
