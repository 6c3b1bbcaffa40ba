/** Plans in real threads: one at a time, a few that wait, and an end that only the clock decides. */
import { parseBudgetId, parsePlanQuestion, planPrivacy } from '@carapace/aggregation';
import { afterEach, expect, test } from 'vitest';
import { planThreads } from '../src/adapters/threads/plan-threads.ts';
import { EMPTY_LEDGER } from '../src/domain/budget.ts';
import type { PlanningInput, PlanningWork } from '../src/ports.ts';

const question = parsePlanQuestion({ population: 1000, cohort: 100, rounds: 3, noiseMultiplier: '2', parameters: 100 });
const SOUND: PlanningInput = { question, budgets: [], ledger: EMPTY_LEDGER, now: 0 };

const opened: PlanningWork[] = [];
afterEach(async () => {
  for (const work of opened.splice(0)) await work.close();
});

/** Time passes when the test says so. */
function threads(waiting: number): { work: PlanningWork; pass: () => void; timers: () => number } {
  const due = new Set<() => void>();
  const after = (_delayMs: number, callback: () => void): (() => void) => {
    due.add(callback);
    return () => due.delete(callback);
  };
  const work = planThreads({ planMs: 2_000, waiting }, { after });
  opened.push(work);
  return { work, pass: () => due.forEach((callback) => callback()), timers: () => due.size };
}

const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => 'answered',
    (error: unknown) => (error as { readonly code?: unknown }).code,
  );
const soon = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

test('one at a time, in their order; those who would wait too long are not taken; the next is', async () => {
  const { work, timers } = threads(1);
  const order: number[] = [];
  const plans = [0, 1, 2, 3].map(async (index) => {
    const code = await codeOf(work.plan(SOUND));
    order.push(index);
    return code;
  });
  await soon();
  expect(timers()).toBe(1);
  expect(await Promise.all(plans)).toEqual(['answered', 'answered', 'PLAN_BUSY', 'PLAN_BUSY']);
  expect(order).toEqual([2, 3, 0, 1]);
  expect(timers()).toBe(0);
  expect(await work.plan(SOUND)).toEqual(planPrivacy(question));
});

test('a plan whose time is over ends, and the one that waits has a time of its own', async () => {
  const { work, pass } = threads(1);
  const [first, second] = [codeOf(work.plan(SOUND)), codeOf(work.plan(SOUND))];
  await soon();
  pass();
  expect(await Promise.all([first, second])).toEqual(['PLAN_TOO_LONG', 'answered']);
});

test('closing ends the plan that runs and those that wait', async () => {
  const { work } = threads(1);
  const plans = [codeOf(work.plan(SOUND)), codeOf(work.plan(SOUND))];
  await soon();
  await work.close();
  expect(await Promise.all(plans)).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
});

test('what the planner refuses keeps its code; what nobody foresaw is told with its cause, and the next is served', async () => {
  const { work } = threads(1);
  const unreachable = {
    ...question,
    noiseMultiplier: null,
    bits: 12,
    target: { epsilon: 1e-4, view: 'model' },
  } as const;
  await expect(work.plan({ ...SOUND, question: unreachable })).rejects.toMatchObject({
    name: 'AggregationError',
    code: 'PRIVACY_TARGET_UNREACHABLE',
    message: expect.stringMatching(/^PRIVACY_TARGET_UNREACHABLE: no noise that 12 bits hold/) as string,
  });
  const missing = { ...SOUND, budgets: [parseBudgetId('nowhere')] };
  await expect(work.plan(missing)).rejects.toThrow(TypeError);
  expect(await codeOf(work.plan(SOUND))).toBe('answered');
});
