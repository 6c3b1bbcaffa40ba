import type { ClientId, TaskId } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/ports.ts';
import { digestOf, freshClients, freshRound, freshTask, NOW, STATES, submission } from './scene.ts';

export function describeNoise(store: () => Store): void {
  /** A round of the task that these reported to, and that ended. */
  const round = async (task: TaskId, clients: readonly ClientId[], end: 'completed' | 'abandoned' = 'completed') => {
    const id = await freshRound(store(), STATES.collecting, { task, cohort: clients });
    await store().admitUpdates(clients.map((client) => submission(id, client)));
    await store().updateRound(id, STATES[end], NOW);
    return id;
  };

  describe('a clip that moves', () => {
    test('is that of the latest round which found out, in the phase in which rounds do', async () => {
      const task = await freshTask(store());
      expect(await store().findClipStep(task)).toBeNull();
      const found = async (clip: number, within: number, state: keyof typeof STATES) => {
        const id = await freshRound(store(), STATES[state], { task, cohort: [] });
        expect((await store().findRound(id))?.clip).toBeNull();
        await store().setRoundClip(id, clip);
        await store().noteWithinClip(id, within);
        expect((await store().findRound(id))?.clip).toBe(clip);
        await store().updateRound(id, STATES.abandoned, NOW);
        return store().findClipStep(task);
      };
      expect(await found(0.1 + 0.2, -1 / 3, 'aggregating')).toEqual({ clip: 0.1 + 0.2, within: -1 / 3 });
      expect(await found(1e-6, 0.7, 'aggregating')).toEqual({ clip: 1e-6, within: 0.7 });
      for (const late of ['collecting', 'unmasking', 'evaluating', 'abandoned'] as const)
        expect(await found(7, 0.5, late)).toEqual({ clip: 1e-6, within: 0.7 });
      expect(await store().findClipStep(await freshTask(store()))).toBeNull();
    });
  });

  describe('correlated noise', () => {
    test('each step once, each round at most one, the latest is found', async () => {
      const task = await freshTask(store());
      expect(await store().findNoiseStep(task)).toBeNull();
      const [first, second] = [await round(task, []), await round(task, [])];
      await store().insertNoiseStep(task, { step: 1, state: digestOf('one') }, first);
      await store().insertNoiseStep(task, { step: 2, state: digestOf('two') }, second);
      expect(await store().findNoiseStep(task)).toEqual({ step: 2, state: digestOf('two') });
      const third = await round(task, []);
      await expect(store().insertNoiseStep(task, { step: 2, state: digestOf('x') }, third)).rejects.toThrow();
      await expect(store().insertNoiseStep(task, { step: 3, state: digestOf('x') }, second)).rejects.toThrow();
    });

    test('the latest state of a task that may go on is kept, and no other', async () => {
      const [running, over] = [await freshTask(store()), await freshTask(store())];
      for (const [task, name] of [
        [running, 'running'],
        [over, 'over'],
      ] as const)
        for (const step of [1, 2])
          await store().insertNoiseStep(task, { step, state: digestOf(`${name} ${step}`) }, await round(task, []));
      await store().setTaskStatus(over, ['active'], 'completed', NOW);
      const states = await store().listNoiseStates();
      expect(states).toContain(digestOf('running 2'));
      for (const other of ['running 1', 'over 1', 'over 2']) expect(states).not.toContain(digestOf(other));
    });

    test('who took part is counted by rounds, or by the steps that rounds released', async () => {
      const task = await freshTask(store());
      const [often, once] = (await freshClients(store(), 2)) as [ClientId, ClientId];
      const first = await round(task, [often, once]);
      await round(task, [often], 'abandoned');
      const third = await round(task, [often]);
      await store().insertNoiseStep(task, { step: 1, state: digestOf('a') }, first);
      await store().insertNoiseStep(task, { step: 2, state: digestOf('b') }, third);
      const byClient = (all: Awaited<ReturnType<Store['listParticipations']>>) =>
        Object.fromEntries(all.map(({ client, ...rest }) => [client, rest]));
      expect(byClient(await store().listParticipations(task))).toEqual({
        [often]: { rounds: 3, last: 3 },
        [once]: { rounds: 1, last: 1 },
      });
      expect(byClient(await store().listStepParticipations(task))).toEqual({
        [often]: { rounds: 2, last: 2 },
        [once]: { rounds: 1, last: 1 },
      });
      await store().revokeClient(once, 'gone', NOW);
      expect(byClient(await store().listStepParticipations(task))[once]).toEqual({ rounds: 1, last: 1 });
      expect(await store().listParticipations(await freshTask(store()))).toEqual([]);
    });
  });
}
