/** Laws of what the queue says of itself. */
import { describe, expect, test } from 'vitest';
import { aggregateOf, drained, gate, present, record, stepOf, TASK, until } from './bench.ts';
import type { Bench } from './bench.ts';

export function describeHealth(bench: Bench): void {
  describe('health', () => {
    test('counts tell what waits, what is to come and what runs', async () => {
      const queue = await bench.open();
      expect(await present(queue)).toEqual({});
      for (const number of [1, 2, 3]) await queue.add(stepOf(number));
      await queue.add(stepOf(4), { at: Date.now() + 3_600_000 });
      for (const number of [1, 2]) await queue.add(aggregateOf(number));
      expect(await present(queue)).toEqual({ 'rounds.waiting': 3, 'rounds.delayed': 1, 'work.waiting': 2 });
      const running = gate();
      const { begun, handlers } = record(() => running.passed);
      await queue.work(handlers);
      await until(() => expect(begun).toHaveLength(5));
      expect(await present(queue)).toEqual({ 'rounds.active': 3, 'rounds.delayed': 1, 'work.active': 2 });
      running.open();
      await until(async () => expect(await present(queue)).toEqual({ 'rounds.delayed': 1 }));
    });

    test('healthy while the backend answers, at work or not', async () => {
      const queue = await bench.open();
      expect(await queue.healthy(60_000)).toBe(true);
      await queue.work(record().handlers);
      expect(await queue.healthy(60_000)).toBe(true);
      await drained(queue);
    });

    test('a lost backend is told of, and nothing waits for it forever', async () => {
      const queue = await bench.open();
      await queue.add(stepOf(1));
      await bench.lose();
      expect(await queue.healthy(1_000)).toBe(false);
      await Promise.all([
        queue.add(stepOf(2)),
        queue.schedule(TASK, { seconds: 60 }),
        queue.unschedule(TASK),
        expect(queue.scheduled()).rejects.toThrow(),
        expect(queue.counts()).rejects.toThrow(),
      ]);
      expect(bench.takeFailures().length).toBeGreaterThanOrEqual(3);
      await queue.close(1_000);
      bench.takeFailures();
    });
  });
}
