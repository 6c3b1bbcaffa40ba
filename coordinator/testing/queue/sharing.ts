/** Laws of a backend that outlives its queues and is shared by them. */
import { describe, expect, test } from 'vitest';
import type { Job, JobQueue } from '../../src/ports.ts';
import { aggregateOf, drained, gate, present, record, stepOf, until } from './bench.ts';
import type { Bench, Recorder } from './bench.ts';

export function describeSharing(bench: Bench): void {
  describe('one backend', () => {
    test('jobs that were added before work are handled by it', async () => {
      const queue = await bench.open();
      await queue.add(stepOf(1));
      await queue.add(stepOf(2), { at: Date.now() + 500 });
      await queue.add(aggregateOf(3));
      const { begun, handlers } = record();
      await queue.work(handlers);
      await drained(queue);
      expect(begun).toHaveLength(3);
      expect(begun).toEqual(expect.arrayContaining([stepOf(1), stepOf(2), aggregateOf(3)]));
    });

    test('jobs that a closed queue left are handled by the next', async () => {
      const first = await bench.open();
      await first.work(record().handlers);
      await first.add(stepOf(1), { at: Date.now() + 3_600_000 });
      await first.close(10_000);
      const second = await bench.open();
      await second.add(stepOf(2));
      await second.add(aggregateOf(3), { key: 'kept' });
      await second.close(10_000);
      const third = await bench.open();
      expect(await present(third)).toEqual({ 'rounds.delayed': 1, 'rounds.waiting': 1, 'work.waiting': 1 });
      await third.add(aggregateOf(4), { key: 'kept' });
      const { begun, handlers } = record();
      await third.work(handlers);
      await until(async () => expect(await present(third)).toEqual({ 'rounds.delayed': 1 }));
      expect(begun).toHaveLength(2);
      expect(begun).toEqual(expect.arrayContaining([stepOf(2), aggregateOf(3)]));
    });

    test('two queues handle each job once between them, and each has its share', async () => {
      const queues = [await bench.open(), await bench.open()] as const;
      const met = gate();
      const takers = new Set<number>();
      const recorders = [0, 1].map((index) =>
        record(() => {
          takers.add(index);
          if (takers.size === 2) met.open();
          return met.passed;
        }),
      );
      await Promise.all(queues.map((queue, index) => queue.work((recorders[index] as Recorder).handlers)));
      const jobs = Array.from({ length: 40 }, (_, number) => stepOf(number + 1));
      await Promise.all(jobs.map((job, index) => (queues[index % 2] as JobQueue).add(job)));
      await Promise.all(queues.map(drained));
      const begun: Job[] = recorders.flatMap((recorder) => recorder.begun);
      expect(begun).toHaveLength(jobs.length);
      expect(new Set(begun)).toEqual(new Set(jobs));
    });

    test('what one adds, only the other works on', async () => {
      const [adding, working] = [await bench.open(), await bench.open()];
      const { begun, handlers } = record();
      await working.work(handlers);
      await adding.add(stepOf(1));
      await adding.add(aggregateOf(2), { at: Date.now() + 500 });
      await drained(adding);
      expect(begun).toEqual([stepOf(1), aggregateOf(2)]);
    });
  });
}
