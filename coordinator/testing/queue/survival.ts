import { describe, expect, test } from 'vitest';
import type { QueueBackend } from './backend.ts';
import { CLOSE_MS, expectEmpty, freshTask, gate, inScene, keyOf, step } from './scene.ts';

export function describeSurvival(backend: () => QueueBackend): void {
  describe('survival', () => {
    test(
      'what waits, is delayed or scheduled is there after close and reopen',
      inScene(backend, async (scene) => {
        const first = await scene.open();
        const [waiting, delayed, task] = [step(), step(), freshTask()];
        await first.add(waiting, { key: keyOf(waiting) });
        await first.add(delayed, { at: Date.now() + 500, key: keyOf(delayed) });
        await first.schedule(task, { seconds: 1 });
        await first.close(CLOSE_MS);
        expect(scene.ran).toEqual([]);

        const second = await scene.open();
        expect(await second.scheduled()).toEqual([task]);
        await second.add(waiting, { key: keyOf(waiting) });
        await scene.work(second);
        await scene.until(5);
        const kinds = scene.ran.map(({ job }) => keyOf(job));
        for (const once of [waiting, delayed]) expect(kinds.filter((key) => key === keyOf(once))).toHaveLength(1);
        expect(kinds.filter((key) => key === `open-round-${task}`).length).toBeGreaterThanOrEqual(3);
        expect(scene.errors).toEqual([]);
      }),
    );

    test(
      'a queue that forgets everything is filled again and goes on, with the same workers',
      inScene(backend, async (scene, { wipe }) => {
        const queue = await scene.open();
        await scene.work(queue);
        const [lost, task] = [step(), freshTask()];
        for (let time = 0; time < 3; time++) {
          const before = scene.ran.length;
          await queue.schedule(task, { seconds: 3_600 });
          await queue.add(lost, { at: Date.now() + 60_000, key: keyOf(lost) });
          await wipe();
          expect(await queue.scheduled()).toEqual([]);
          // As the reconciler does: the same key, the same schedule.
          await queue.add(lost, { key: keyOf(lost) });
          await queue.schedule(task, { seconds: 1 });
          expect(await queue.scheduled()).toEqual([task]);
          await scene.until(before + 3);
          expect(scene.ran.slice(before).map(({ job }) => keyOf(job))).toContain(keyOf(lost));
          await queue.unschedule(task);
        }
      }),
    );

    test(
      'forgetting while a job runs does not run it again, and the next ones come through',
      inScene(backend, async (scene, { wipe }) => {
        const queue = await scene.open();
        const held = gate();
        const job = step();
        await scene.work(queue, (_job, count) => (count === 1 && scene.ran.length === 1 ? held.opened : undefined));
        await queue.add(job, { key: keyOf(job) });
        await scene.until(1);
        await wipe();
        held.open();
        await queue.add(step());
        await scene.until(2);
        await expectEmpty(queue);
        expect(scene.ran.filter((other) => keyOf(other.job) === keyOf(job))).toHaveLength(1);
      }),
    );
  });
}
