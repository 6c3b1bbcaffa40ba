import { describe, expect, test } from 'vitest';
import type { QueueBackend } from './backend.ts';
import { freshTask, inScene, step } from './scene.ts';

export function describeSchedules(backend: () => QueueBackend): void {
  describe('schedules', () => {
    test(
      'a task is opened again and again, by interval and by cron, and its schedule is listed',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const [every, cron] = [freshTask(), freshTask()];
        await queue.schedule(every, { seconds: 1 });
        await queue.schedule(cron, { cron: '* * * * * *' });
        expect([...(await queue.scheduled())].sort()).toEqual([every, cron].sort());
        await scene.work(queue);
        await scene.until(7);
        for (const task of [every, cron]) {
          const opened = scene.ran.filter(({ job }) => job.kind === 'open-round' && job.task === task);
          expect(opened.length).toBeGreaterThanOrEqual(3);
        }
        expect(scene.errors).toEqual([]);
      }),
    );

    test(
      'to schedule a task again replaces its schedule',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const task = freshTask();
        await queue.schedule(task, { seconds: 3_600 });
        await queue.schedule(task, { seconds: 1 });
        expect(await queue.scheduled()).toEqual([task]);
        await scene.work(queue);
        await scene.until(3);
      }),
    );

    test(
      'an unscheduled task is opened no more; to unschedule it twice is no error',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const [stopped, kept] = [freshTask(), freshTask()];
        await queue.schedule(stopped, { seconds: 1 });
        await scene.work(queue);
        await scene.until(2);
        await queue.unschedule(stopped);
        await queue.unschedule(stopped);
        await queue.schedule(kept, { seconds: 1 });
        expect(await queue.scheduled()).toEqual([kept]);
        const before = scene.ran.length;
        // Whatever the old schedule had left to say would have been said before this.
        await queue.add(step(), { at: Date.now() + 2_500 });
        await scene.until(before + 3);
        const after = scene.ran.slice(before).map(({ job }) => job);
        expect(after.filter((job) => job.kind === 'open-round' && job.task === stopped)).toEqual([]);
        expect(scene.errors).toEqual([]);
      }),
    );
  });
}
