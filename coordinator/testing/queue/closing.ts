import { describe, expect, test } from 'vitest';
import type { QueueBackend } from './backend.ts';
import { CLOSE_MS, expectEmpty, gate, inScene, step } from './scene.ts';

export function describeClosing(backend: () => QueueBackend, another: () => Promise<QueueBackend>): void {
  describe('closing', () => {
    test(
      'waits for the job that runs, starts no other, and reports nothing',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const held = gate();
        let finished = false;
        await scene.work(queue, async () => {
          await held.opened;
          finished = true;
        });
        await queue.add(step());
        await scene.until(1);
        const closing = queue.close(CLOSE_MS);
        const after = await scene.open();
        await after.add(step());
        expect(finished).toBe(false);
        held.open();
        await closing;
        expect(finished).toBe(true);
        expect(scene.ran).toHaveLength(1);
        await scene.work(after);
        await scene.until(2);
        expect(scene.errors).toEqual([]);
      }),
    );

    test(
      'does not wait longer than it was told for a job that hangs, and says so',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        const held = gate();
        await scene.work(queue, () => held.opened);
        await queue.add(step());
        await scene.until(1);
        const started = performance.now();
        await queue.close(300);
        expect(performance.now() - started).toBeLessThan(3_000);
        expect(scene.errors).toMatchObject([{ code: 'STORE_UNAVAILABLE' }]);
        held.open();
      }),
    );

    test(
      'a queue is healthy while its backend answers, and counts what waits',
      inScene(backend, async (scene) => {
        const queue = await scene.open();
        expect(await queue.healthy(5_000)).toBe(true);
        await queue.add(step());
        await queue.add(step(), { at: Date.now() + 60_000 });
        await queue.add({ kind: 'aggregate', round: 'x.1' as never });
        expect(await queue.counts()).toMatchObject({ 'rounds.waiting': 1, 'rounds.delayed': 1, 'work.waiting': 1 });
        await scene.work(queue);
        await scene.until(2);
        await expect.poll(() => queue.counts()).toMatchObject({ 'rounds.waiting': 0, 'rounds.delayed': 1 });
      }),
    );

    test('a backend that is gone throws at nobody: nudges are reported, and the queue is not healthy', async () => {
      const gone = await another();
      await inScene(
        () => gone,
        async (scene) => {
          const queue = await scene.open();
          await scene.work(queue);
          await queue.add(step());
          await scene.until(1);
          await expectEmpty(queue);
          await gone.close();
          const reported = scene.errors.length;
          await queue.add(step());
          expect(scene.errors.length).toBeGreaterThan(reported);
          expect(await queue.healthy(500)).toBe(false);
          const started = performance.now();
          await queue.close(1_000);
          expect(performance.now() - started).toBeLessThan(3_000);
        },
      )();
    });
  });
}
