import { parseTaskId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/ports.ts';
import { freshName, freshRound, NOW, STATES, taskNamed } from './scene.ts';

export function describeTransactions(store: () => Store): void {
  describe('transactions', () => {
    test('a body that throws leaves nothing behind, and its error is passed on', async () => {
      const name = freshName();
      const failure = new Error('on purpose');
      const failing = store().transaction('fail', async (records) => {
        await records.insertTask(taskNamed(name), NOW);
        expect(await records.findTask(parseTaskId(name))).not.toBeNull();
        throw failure;
      });
      await expect(failing).rejects.toBe(failure);
      expect(await store().findTask(parseTaskId(name))).toBeNull();
    });

    test('nobody sees half of a transaction', async () => {
      const [a, b] = [freshName(), freshName()];
      const writing = store().transaction('two tasks', async (records) => {
        await records.insertTask(taskNamed(a), NOW);
        await new Promise(setImmediate);
        await records.insertTask(taskNamed(b), NOW);
      });
      const seen: string[] = [];
      const looking = (async () => {
        for (let look = 0; look < 10; look++) {
          const names = (await store().listTasks()).map(({ task }) => task.name as string);
          seen.push(`${names.includes(a)} ${names.includes(b)}`);
        }
      })();
      await Promise.all([writing, looking]);
      expect(seen.filter((look) => look !== 'false false' && look !== 'true true')).toEqual([]);
      expect(await store().findTask(parseTaskId(b))).not.toBeNull();
    });

    test('a statement that fails leaves the store usable, alone and within a transaction', async () => {
      const unknown = await freshRound(store(), STATES.open);
      const broken = () => store().insertParticipants(unknown, ['cl_nobody' as never], NOW);
      await expect(broken()).rejects.toThrow(/foreign key/);
      const inside = store().transaction('fail', (records) =>
        records.insertParticipants(unknown, ['cl_nobody' as never], NOW),
      );
      await expect(inside).rejects.toThrow(/foreign key/);
      expect(await store().listParticipants(unknown)).toEqual([]);
      await store().ping(5_000);
    });

    test('forty transactions at once all come through', async () => {
      const names = Array.from({ length: 40 }, freshName);
      await Promise.all(
        names.map((name) => store().transaction('insert', (records) => records.insertTask(taskNamed(name), NOW))),
      );
      const known = new Set((await store().listTasks()).map(({ task }) => task.name as string));
      expect(names.filter((name) => !known.has(name))).toEqual([]);
    });
  });
}
