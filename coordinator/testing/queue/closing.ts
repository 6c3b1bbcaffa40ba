/** Laws of the end: what runs is waited for, what hangs is not, and somebody else takes it up. */
import { describe, expect, test } from 'vitest';
import { aggregateOf, drained, gate, present, record, stepOf, until } from './bench.ts';
import type { Bench } from './bench.ts';

export function describeClosing(bench: Bench): void {
  describe('close', () => {
    test('waits for what runs, and begins nothing more', async () => {
      const queue = await bench.open();
      const running = gate();
      let ended = 0;
      const { begun, handlers } = record(async () => {
        await running.passed;
        ended += 1;
      });
      await queue.work(handlers);
      for (let number = 1; number <= 20; number++) await queue.add(stepOf(number));
      await until(() => expect(begun.length).toBeGreaterThan(0));
      const closing = queue.close(60_000);
      running.open();
      await closing;
      expect(ended).toBe(begun.length);
      const next = await bench.open();
      const left = 20 - begun.length;
      expect(await present(next)).toEqual(left === 0 ? {} : { 'rounds.waiting': left });
      const again = record();
      await next.work(again.handlers);
      await drained(next);
      expect(new Set([...begun, ...again.begun])).toEqual(
        new Set(Array.from({ length: 20 }, (_, index) => stepOf(index + 1))),
      );
      expect(begun.length + again.begun.length).toBe(20);
    });

    test('ends within its deadline while a handler hangs, and the next queue takes its job up', async () => {
      const queue = await bench.open();
      const hung = gate();
      const { begun, handlers } = record(() => hung.passed);
      await queue.work(handlers);
      await queue.add(stepOf(1));
      await queue.add(aggregateOf(2));
      await until(() => expect(begun).toHaveLength(2));
      // The gate is shut: only the deadline can end this.
      await queue.close(5_000);
      const code = 'STORE_UNAVAILABLE';
      expect(await bench.failures(2)).toMatchObject([{ code }, { code }]);
      const next = await bench.open();
      const again = record();
      await next.work(again.handlers);
      await drained(next);
      expect(again.begun).toHaveLength(2);
      expect(again.begun).toEqual(expect.arrayContaining([stepOf(1), aggregateOf(2)]));
      hung.open();
    });

    test('ends at once without work, and twice', async () => {
      const queue = await bench.open();
      await queue.close(60_000);
      await queue.close(60_000);
    });
  });
}
