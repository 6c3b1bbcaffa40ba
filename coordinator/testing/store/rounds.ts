import { parseTaskId, roundIdOf } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RoundState } from '../../src/domain/round.ts';
import type { Store, TaskStatus } from '../../src/ports.ts';
import { freshName, freshRound, freshTask, NOW, STATES, taskNamed } from './scene.ts';

const MANY = 8;
const times = <T>(count: number, body: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => body(index)));

export function describeTasks(store: () => Store): void {
  describe('tasks', () => {
    test('a task comes back as it was written', async () => {
      const task = taskNamed(freshName());
      expect(await store().insertTask(task, NOW)).toBe(true);
      expect(await store().findTask(task.name)).toEqual({ task, status: 'active', createdAt: NOW, updatedAt: NOW });
      expect((await store().listTasks()).map((record) => record.task)).toContainEqual(task);
      expect(await store().findTask(parseTaskId(freshName()))).toBeNull();
    });

    test('a name is given once, whoever asks at the same time, and not again after a stop', async () => {
      const task = taskNamed(freshName());
      const given = await times(MANY, () => store().insertTask(task, NOW));
      expect(given.filter(Boolean)).toHaveLength(1);
      await store().setTaskStatus(task.name, ['active'], 'stopped', NOW);
      expect(await store().insertTask(task, NOW)).toBe(false);
    });

    test('the status moves from where it is said to be, and only from there', async () => {
      const statuses = fc.constantFrom<TaskStatus>('active', 'paused', 'stopped', 'completed');
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.subarray(['active', 'paused', 'stopped', 'completed'] as const), statuses), {
            maxLength: 6,
          }),
          async (moves) => {
            const task = await freshTask(store());
            let status: TaskStatus = 'active';
            for (const [index, [from, to]] of moves.entries()) {
              const moved = await store().setTaskStatus(task, from, to, NOW + index);
              expect(moved).toBe(from.some((one) => one === status));
              if (moved) status = to;
              expect((await store().findTask(task))?.status).toBe(status);
            }
          },
        ),
        { numRuns: 15 },
      );
      expect(await store().setTaskStatus(parseTaskId(freshName()), ['active'], 'paused', NOW)).toBe(false);
    });
  });
}

export function describeRounds(store: () => Store): void {
  describe('rounds', () => {
    test.each(Object.values(STATES))('the state $kind comes back as it was written', async (state: RoundState) => {
      const round = await freshRound(store(), state);
      expect((await store().findRound(round))?.state).toEqual(state);
      expect((await store().lockRound(round))?.state).toEqual(state);
    });

    test('a task has one running round, numbered from 1 without gaps, whoever opens them at the same time', async () => {
      const task = await freshTask(store());
      for (let number = 1; number <= 3; number++) {
        const opened = await times(MANY, () => store().insertRound(task, number, STATES.open, NOW + number));
        expect(opened.filter((id) => id !== null)).toEqual([roundIdOf(task, number)]);
        await store().updateRound(
          roundIdOf(task, number),
          number === 2 ? STATES.abandoned : STATES.completed,
          NOW + 100,
        );
      }
      const rounds = await store().listRounds(task, 2);
      expect(rounds.map((round) => [round.number, round.baseVersion, round.createdAt, round.updatedAt])).toEqual([
        [3, 3, NOW + 3, NOW + 100],
        [2, 2, NOW + 2, NOW + 100],
      ]);
    });

    test.each(['paused', 'stopped', 'completed'] as const)('a %s task opens none', async (status) => {
      const task = await freshTask(store());
      await store().setTaskStatus(task, ['active'], status, NOW);
      expect(await store().insertRound(task, 1, STATES.open, NOW)).toBeNull();
    });

    test('an unknown task opens none', async () => {
      expect(await store().insertRound(parseTaskId(freshName()), 1, STATES.open, NOW)).toBeNull();
    });

    test('running rounds are those that have not ended', async () => {
      const rounds = new Map<string, RoundState>();
      for (const state of Object.values(STATES)) rounds.set(await freshRound(store(), state), state);
      const running = (await store().listRunningRounds()).filter(({ id }) => rounds.has(id));
      expect(running.map(({ state }) => state.kind).sort()).toEqual([
        'aggregating',
        'agreeing',
        'collecting',
        'evaluating',
        'open',
        'unmasking',
      ]);
    });

    test('completed rounds are counted, and abandoned ones since the last of them', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 6 }), fc.boolean(), async (ends, running) => {
          const task = await freshTask(store());
          for (const completed of ends)
            await freshRound(store(), completed ? STATES.completed : STATES.abandoned, { task });
          if (running) await freshRound(store(), STATES.collecting, { task });
          expect(await store().countRounds(task)).toEqual({
            completed: ends.filter(Boolean).length,
            abandonedInARow: ends.length - 1 - ends.lastIndexOf(true),
          });
        }),
        { numRuns: 15 },
      );
    });

    test('steppers take turns under the lock: no step is lost', async () => {
      const round = await freshRound(store(), { ...STATES.aggregating, reported: 0 });
      await times(MANY, () =>
        store().transaction('step', async (records) => {
          const found = await records.lockRound(round);
          if (found?.state.kind !== 'aggregating') throw new Error('the round is gone');
          await records.updateRound(round, { ...found.state, reported: found.state.reported + 1 }, NOW);
        }),
      );
      expect((await store().findRound(round))?.state).toMatchObject({ reported: MANY });
    });

    test('the time line keeps the order of its entries and their details', async () => {
      const round = await freshRound(store());
      const details = [{}, { metrics: { loss: 0.1 } }, { text: 'ü "quoted" \\ \u{1f99e}' }, { list: [1, null, 'x'] }];
      for (const [index, detail] of details.entries())
        await store().appendRoundEvent(round, NOW, `kind-${index}`, detail);
      expect(await store().listRoundEvents(round)).toEqual(
        details.map((detail, index) => ({ at: NOW, kind: `kind-${index}`, detail })),
      );
      expect(await store().listRoundEvents(roundIdOf(parseTaskId(freshName()), 1))).toEqual([]);
    });

    test('an unknown round is not found', async () => {
      const id = roundIdOf(parseTaskId(freshName()), 1);
      expect(await store().findRound(id)).toBeNull();
      expect(await store().lockRound(id)).toBeNull();
    });
  });
}
