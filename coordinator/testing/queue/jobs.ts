import { describe, expect, test } from 'vitest';
import type { Job } from '../../src/ports.ts';
import type { QueueBackend } from './backend.ts';
import { expectEmpty, freshRound, freshTask, gate, inScene, keyOf, step } from './scene.ts';

export function describeJobs(backend: () => QueueBackend): void {
  describe('jobs', () => {
    test(
      'every kind reaches its handler as it was added, once',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        await scene.work(queue);
        const round = freshRound();
        const jobs: Job[] = [
          { kind: 'open-round', task: freshTask() },
          { kind: 'step-round', round },
          { kind: 'aggregate', round },
          { kind: 'evaluate', round },
        ];
        for (const job of jobs) await queue.add(job);
        await scene.until(jobs.length);
        await expectEmpty(queue);
        expect(scene.ran.map(({ job }) => keyOf(job)).sort()).toEqual(jobs.map(keyOf).sort());
        expect(scene.ran.map(({ job }) => job)).toEqual(expect.arrayContaining(jobs));
        expect(scene.errors).toEqual([]);
      }),
    );

    test(
      'a wake-up comes when it is due: not before, and not behind what was added later and is due earlier',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        await scene.work(queue);
        const due = Date.now() + 700;
        const [late, early, past] = [step(), step(), step()];
        await queue.add(late, { at: due });
        await queue.add(early, { at: due - 400 });
        await queue.add(past, { at: due - 10_000 });
        await scene.until(3);
        expect(scene.ran.map(({ job }) => job)).toEqual([past, early, late]);
        expect(scene.ran[1]?.at).toBeGreaterThanOrEqual(due - 400);
        expect(scene.ran[2]?.at).toBeGreaterThanOrEqual(due);
      }),
    );

    test(
      'a key that waits, is delayed or runs is not added again; one that is done may come again',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const [waiting, delayed] = [step(), step()];
        const soon = { at: Date.now() + 600, key: keyOf(delayed) };
        for (let nudge = 0; nudge < 3; nudge++) {
          await queue.add(waiting, { key: keyOf(waiting) });
          await queue.add(delayed, soon);
        }
        const running = gate();
        await scene.work(queue, () => running.opened);
        await scene.until(2);
        await queue.add(waiting, { key: keyOf(waiting) });
        running.open();
        await expectEmpty(queue);
        expect(scene.ran).toHaveLength(2);
        await queue.add(waiting, { key: keyOf(waiting) });
        await scene.until(3);
        expect(scene.ran[2]?.job).toEqual(waiting);
      }),
    );

    test(
      'a handler that fails is tried again, later each time, and every failure is reported',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        await scene.work(queue, (_job, count) => {
          if (count < 3) throw new Error(`failure ${count}`);
        });
        await queue.add(step(), { key: 'flaky' });
        await scene.until(3);
        await expectEmpty(queue);
        expect(scene.ran).toHaveLength(3);
        expect(scene.errors.map(String)).toEqual(['Error: failure 1', 'Error: failure 2']);
        const [first = 0, second = 0, third = 0] = scene.ran.map(({ at }) => at);
        expect(second - first).toBeGreaterThanOrEqual(240);
        expect(third - second).toBeGreaterThanOrEqual(490);
      }),
    );

    test(
      'a handler that always fails is given up, and its key is free again: the reconciler may ask anew',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        let broken = true;
        await scene.work(queue, () => {
          if (broken) throw new Error('broken');
        });
        const job = step();
        await queue.add(job, { key: keyOf(job) });
        await scene.until(5);
        await expectEmpty(queue);
        expect(scene.ran).toHaveLength(5);
        broken = false;
        await queue.add(job, { key: keyOf(job) });
        await scene.until(6);
        await expectEmpty(queue);
        expect(scene.errors).toHaveLength(5);
      }),
    );

    test(
      'heavy work does not stand in the way of steps, and two of it run at a time',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const held = gate();
        await scene.work(queue, ({ kind }) => (kind === 'aggregate' ? held.opened : undefined));
        for (let work = 0; work < 4; work++) await queue.add({ kind: 'aggregate', round: freshRound() });
        await scene.until(2);
        for (let nudge = 0; nudge < 10; nudge++) await queue.add(step());
        await scene.until(12);
        expect(scene.ran.filter(({ job }) => job.kind === 'aggregate')).toHaveLength(2);
        held.open();
        await scene.until(14);
      }),
    );

    test(
      'two processes share the jobs: each is run by one of them',
      inScene(backend, async (scene) => {
        const [one, other] = [await scene.open(), await scene.open()];
        const ranBy = new Map<string, string[]>();
        const note = (who: string) => (job: Job) => {
          ranBy.set(keyOf(job), [...(ranBy.get(keyOf(job)) ?? []), who]);
        };
        await scene.work(one, note('one'));
        await scene.work(other, note('other'));
        const jobs = Array.from({ length: 60 }, () => step());
        await Promise.all(jobs.map((job, index) => (index % 2 === 0 ? one : other).add(job)));
        await scene.until(jobs.length);
        await Promise.all([expectEmpty(one), expectEmpty(other)]);
        expect([...ranBy.keys()].sort()).toEqual(jobs.map(keyOf).sort());
        expect([...ranBy.values()].filter((who) => who.length !== 1)).toEqual([]);
      }),
    );
  });
}
