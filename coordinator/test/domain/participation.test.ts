/** Caps on how often a client takes part. */
import { parseTask } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capOf, within } from '../../src/domain/participation.ts';
import type { TakenPart } from '../../src/domain/participation.ts';
import { candidates } from './round-fixtures.ts';

test('whatever clients ask for, nobody takes part more often, or closer together, than the cap', () => {
  const people = candidates(5);
  const script = fc.array(fc.subarray(people), { minLength: 1, maxLength: 30 });
  const caps = fc.record({
    by: fc.constant('steps' as const),
    most: fc.option(fc.integer({ min: 1, max: 4 })),
    apart: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(script, caps, (asking, cap) => {
      const taken = new Map<string, number[]>();
      for (const [i, waiting] of asking.entries()) {
        const before: TakenPart[] = people.flatMap(({ client }) => {
          const rounds = taken.get(client);
          return rounds === undefined ? [] : [{ client, rounds: rounds.length, last: rounds.at(-1) }];
        });
        for (const { client } of within(cap, waiting, before, i + 1))
          taken.set(client, [...(taken.get(client) ?? []), i + 1]);
      }
      for (const rounds of taken.values()) {
        if (cap.most !== null) expect(rounds.length).toBeLessThanOrEqual(cap.most);
        for (let i = 1; i < rounds.length; i++) expect(rounds[i]! - rounds[i - 1]!).toBeGreaterThanOrEqual(cap.apart);
      }
      // And nobody is kept out without a reason.
      if (cap.most === null && cap.apart === 1)
        for (const { client } of people)
          expect(taken.get(client)?.length ?? 0).toBe(
            asking.filter((of) => of.some((one) => one.client === client)).length,
          );
    }),
  );
});

test('a matrix caps by its steps, a cohort by its rounds, and most tasks by nothing', () => {
  const task = { name: 't', model: { name: 'm' }, cohort: { target: 2 } };
  expect(capOf(parseTask(task))).toBeNull();
  const cohort = { target: 2, participation: { most: 3, apart: 2 } };
  expect(capOf(parseTask({ ...task, cohort }))).toEqual({ by: 'rounds', most: 3, apart: 2 });
  const matrix = { kind: 'tree', steps: 4, most: 2, apart: 2 };
  const privacy = { placement: 'central', noiseMultiplier: '1', clip: 1, budgets: ['b'], matrix };
  const correlated = parseTask({ ...task, rounds: 4, protection: { kind: 'clear', privacy } });
  expect(capOf(correlated)).toEqual({ by: 'steps', most: 2, apart: 2 });
});
