/** Laws of single jobs: once, whole, not too early, and again after a failure. */
import { parseTaskId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import type { Job } from '../../src/ports.ts';
import { aggregateOf, drained, gate, present, record, roundNumber, stepOf, TASK, until } from './bench.ts';
import type { Bench } from './bench.ts';

export function describeJobs(bench: Bench): void {
  describe('jobs', () => {
    test('each is handled once, with its payload, by the handler of its kind', async () => {
      const queue = await bench.open();
      const jobs: Job[] = [
        { kind: 'open-round', task: TASK },
        { kind: 'open-round', task: parseTaskId('a-longer-name-2') },
        stepOf(1),
        stepOf(987_654_321),
        aggregateOf(1),
        { kind: 'evaluate', round: roundNumber(1) },
      ];
      const handled: [string, Job][] = [];
      const note = (kind: Job['kind']) => async (job: Job) => void handled.push([kind, job]);
      await queue.work({
        'open-round': note('open-round'),
        'step-round': note('step-round'),
        aggregate: note('aggregate'),
        evaluate: note('evaluate'),
      });
      for (const job of jobs) await queue.add(job);
      await drained(queue);
      expect(handled).toHaveLength(jobs.length);
      expect(handled).toEqual(expect.arrayContaining(jobs.map((job) => [job.kind, job])));
    });

    test('many at once are each handled once', async () => {
      const queue = await bench.open();
      const { begun, handlers } = record();
      await queue.work(handlers);
      const jobs = Array.from({ length: 60 }, (_, number) => stepOf(number + 1));
      await Promise.all(jobs.map((job) => queue.add(job)));
      await drained(queue);
      expect(begun).toHaveLength(jobs.length);
      expect(new Set(begun)).toEqual(new Set(jobs));
    });

    test('one with a time is handled after it, and those without do not wait for it', async () => {
      const queue = await bench.open();
      const times: number[] = [];
      const { begun, handlers } = record(() => void times.push(Date.now()));
      await queue.work(handlers);
      const at = Date.now() + 1_500;
      await queue.add(stepOf(1), { at });
      await queue.add(stepOf(2), { at: at + 3_600_000 });
      await queue.add(stepOf(3), { at: at - 3_600_000 });
      await queue.add(stepOf(4));
      await until(async () => expect(await present(queue)).toEqual({ 'rounds.delayed': 1 }));
      expect(begun).toHaveLength(3);
      expect(begun).toEqual(expect.arrayContaining([1, 3, 4].map(stepOf)));
      expect(
        times[begun.findIndex((job) => job.kind === 'step-round' && job.round === roundNumber(1))],
      ).toBeGreaterThanOrEqual(at);
    });

    test('one whose handler throws is tried again, and others go on meanwhile', async () => {
      const queue = await bench.open();
      const first = gate();
      let throws = 2;
      const { begun, handlers } = record(({ kind }) => {
        if (kind !== 'open-round' || throws-- === 0) return;
        first.open();
        throw new Error('not yet');
      });
      await queue.work(handlers);
      await queue.add({ kind: 'open-round', task: TASK });
      await first.passed;
      for (const number of [1, 2, 3]) await queue.add(stepOf(number));
      await drained(queue);
      expect(begun.filter(({ kind }) => kind === 'open-round')).toHaveLength(3);
      expect(begun.filter(({ kind }) => kind === 'step-round')).toHaveLength(3);
      expect(await bench.failures(2)).toMatchObject([{ message: 'not yet' }, { message: 'not yet' }]);
    });

    test('one whose handler always throws is given up, and told of each time', async () => {
      const queue = await bench.open();
      const { begun, handlers } = record(() => {
        throw new Error('never');
      });
      await queue.work(handlers);
      await queue.add(aggregateOf(1));
      await drained(queue);
      expect(begun.length).toBeGreaterThan(1);
      expect(await bench.failures(begun.length)).toMatchObject(begun.map(() => ({ message: 'never' })));
    });

    test('work that hangs does not stand in the way of stepping', async () => {
      const queue = await bench.open();
      const work = gate();
      const { begun, handlers } = record(({ kind }) => (kind === 'aggregate' ? work.passed : undefined));
      await queue.work(handlers);
      const numbers = Array.from({ length: 20 }, (_, number) => number + 1);
      for (const number of numbers) await queue.add(aggregateOf(number));
      await until(() => expect(begun.length).toBeGreaterThan(0));
      for (const number of numbers) await queue.add(stepOf(number));
      await until(() => expect(begun.filter(({ kind }) => kind === 'step-round')).toHaveLength(numbers.length));
      expect(begun.filter(({ kind }) => kind === 'aggregate').length).toBeLessThan(numbers.length);
      work.open();
      await drained(queue);
      expect(begun).toHaveLength(2 * numbers.length);
    });
  });
}
