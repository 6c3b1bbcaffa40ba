/** Laws of keys: one job at a time, whatever it waits for, and a new one once it is over. */
import { describe, expect, test } from 'vitest';
import { aggregateOf, drained, gate, present, record, stepOf, until } from './bench.ts';
import type { Bench } from './bench.ts';

export function describeKeys(bench: Bench): void {
  describe('keys', () => {
    test('a key that waits is not added twice; without a key, or with another, it is', async () => {
      const queue = await bench.open();
      await queue.add(stepOf(1), { key: 'wake-mnist.1-7' });
      await queue.add(stepOf(2), { key: 'wake-mnist.1-7' });
      await queue.add(stepOf(1), { key: 'wake-mnist.1-8' });
      await queue.add(stepOf(1));
      await queue.add(stepOf(1));
      const { begun, handlers } = record();
      await queue.work(handlers);
      await drained(queue);
      expect(begun).toEqual([1, 1, 1, 1].map(stepOf));
    });

    test('a key that is to come is not added twice, and keeps its time', async () => {
      const queue = await bench.open();
      const { begun, handlers } = record();
      await queue.work(handlers);
      await queue.add(stepOf(1), { at: Date.now() + 3_600_000, key: 'later' });
      await queue.add(stepOf(2), { key: 'later' });
      await queue.add(stepOf(3), { key: 'now' });
      await until(async () => expect(await present(queue)).toEqual({ 'rounds.delayed': 1 }));
      expect(begun).toEqual([stepOf(3)]);
    });

    test('a key that runs is not added twice, and can be added again afterwards', async () => {
      const queue = await bench.open();
      const running = gate();
      const { begun, handlers } = record(() => running.passed);
      await queue.work(handlers);
      await queue.add(aggregateOf(1), { key: 'aggregate-mnist.1' });
      await until(() => expect(begun).toHaveLength(1));
      for (let times = 0; times < 3; times++) await queue.add(aggregateOf(1), { key: 'aggregate-mnist.1' });
      expect(await present(queue)).toEqual({ 'work.active': 1 });
      running.open();
      await drained(queue);
      expect(begun).toHaveLength(1);
      await queue.add(aggregateOf(1), { key: 'aggregate-mnist.1' });
      await drained(queue);
      expect(begun).toEqual([aggregateOf(1), aggregateOf(1)]);
    });

    test('a key that was added many times at once is handled once', async () => {
      const [queue, other] = [await bench.open(), await bench.open()];
      const adds = Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? queue : other));
      await Promise.all(adds.map((one) => one.add(aggregateOf(1), { key: 'aggregate-mnist.1' })));
      const { begun, handlers } = record();
      await queue.work(handlers);
      await drained(queue);
      expect(begun).toEqual([aggregateOf(1)]);
    });

    test('a key whose job was given up can be added again', async () => {
      const queue = await bench.open();
      let throws = true;
      const { begun, handlers } = record(() => {
        if (throws) throw new Error('never');
      });
      await queue.work(handlers);
      await queue.add(aggregateOf(1), { key: 'aggregate-mnist.1' });
      await drained(queue);
      await bench.failures(begun.length);
      throws = false;
      begun.length = 0;
      await queue.add(aggregateOf(1), { key: 'aggregate-mnist.1' });
      await drained(queue);
      expect(begun).toEqual([aggregateOf(1)]);
    });
  });
}
