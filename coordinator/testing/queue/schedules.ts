/** Laws of schedules. What must not happen any more is measured against another schedule that goes on, not against a clock. */
import type { TaskId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { EVERY_SECOND, OTHER, record, TASK, until, YEARLY } from './bench.ts';
import type { Bench, Recorder } from './bench.ts';

export function describeSchedules(bench: Bench): void {
  describe('schedules', () => {
    test.each([
      ['seconds', EVERY_SECOND],
      ['cron', { cron: '* * * * * *' }],
    ])('open-round is repeated for its task, by %s', async (_, every) => {
      const queue = await bench.open();
      const recorder = record();
      await queue.work(recorder.handlers);
      await queue.schedule(TASK, every);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(3));
      expect(new Set(recorder.begun.map((job) => JSON.stringify(job)))).toEqual(
        new Set([JSON.stringify({ kind: 'open-round', task: TASK })]),
      );
    });

    test('it is repeated after a handler that threw', async () => {
      const queue = await bench.open();
      let throws = 1;
      const recorder = record(() => {
        if (throws-- > 0) throw new Error('not now');
      });
      await queue.work(recorder.handlers);
      await queue.schedule(TASK, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(4));
      expect(await bench.failures(1)).toMatchObject([{ message: 'not now' }]);
    });

    test('scheduled names every task that has one, once', async () => {
      const queue = await bench.open();
      expect(await queue.scheduled()).toEqual([]);
      await queue.schedule(TASK, EVERY_SECOND);
      await queue.schedule(OTHER, YEARLY);
      await queue.schedule(TASK, YEARLY);
      expect([...(await queue.scheduled())].sort()).toEqual([OTHER, TASK]);
      await queue.unschedule(OTHER);
      await queue.unschedule(OTHER);
      expect(await queue.scheduled()).toEqual([TASK]);
    });

    test('a slow schedule is replaced by a fast one', async () => {
      const queue = await bench.open();
      const recorder = record();
      await queue.work(recorder.handlers);
      await queue.schedule(TASK, YEARLY);
      await queue.schedule(TASK, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(2));
      expect(await queue.scheduled()).toEqual([TASK]);
    });

    test('a fast schedule is replaced by a slow one', async () => {
      const queue = await bench.open();
      const recorder = record();
      await queue.work(recorder.handlers);
      for (const task of [TASK, OTHER]) await queue.schedule(task, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(2));
      await queue.schedule(TASK, YEARLY);
      await ended(recorder);
      expect([...(await queue.scheduled())].sort()).toEqual([OTHER, TASK]);
    });

    test('unschedule ends it, and it can be scheduled again', async () => {
      const queue = await bench.open();
      const recorder = record();
      await queue.work(recorder.handlers);
      for (const task of [TASK, OTHER]) await queue.schedule(task, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(2));
      await queue.unschedule(TASK);
      await ended(recorder);
      expect(await queue.scheduled()).toEqual([OTHER]);
      const before = opened(recorder, TASK);
      await queue.schedule(TASK, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(before + 2));
    });

    test('unschedule from within the handler ends it', async () => {
      const queue = await bench.open();
      const recorder = record((job) =>
        job.kind === 'open-round' && job.task === TASK ? queue.unschedule(TASK) : undefined,
      );
      await queue.work(recorder.handlers);
      for (const task of [TASK, OTHER]) await queue.schedule(task, EVERY_SECOND);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(1));
      await ended(recorder);
      expect(await queue.scheduled()).toEqual([OTHER]);
    });

    test('it outlives the queue that made it', async () => {
      const first = await bench.open();
      await first.work(record().handlers);
      await first.schedule(TASK, EVERY_SECOND);
      await first.schedule(OTHER, YEARLY);
      await first.close(10_000);
      const second = await bench.open();
      expect([...(await second.scheduled())].sort()).toEqual([OTHER, TASK]);
      const recorder = record();
      await second.work(recorder.handlers);
      await until(() => expect(opened(recorder, TASK)).toBeGreaterThanOrEqual(2));
      await second.unschedule(OTHER);
      expect(await second.scheduled()).toEqual([TASK]);
    });

    test('a pattern that cannot be read is reported, and schedules nothing', async () => {
      const queue = await bench.open();
      await queue.schedule(TASK, { cron: 'every other day' });
      await bench.failures(1);
      expect(await queue.scheduled()).toEqual([]);
    });
  });
}

function opened({ begun }: Recorder, task: TaskId): number {
  return begun.filter((job) => job.kind === 'open-round' && job.task === task).length;
}

/** One opening may have been under way; then the other task's schedule goes on alone. */
async function ended(recorder: Recorder): Promise<void> {
  const before = { task: opened(recorder, TASK), other: opened(recorder, OTHER) };
  await until(() => expect(opened(recorder, OTHER)).toBeGreaterThanOrEqual(before.other + 4));
  expect(opened(recorder, TASK)).toBeLessThanOrEqual(before.task + 1);
}
