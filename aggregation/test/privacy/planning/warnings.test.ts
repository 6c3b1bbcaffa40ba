/** Each warning where it is due and not before, and questions that are refused. */
import { AggregationError, parsePlanQuestion, PLAN_WARNINGS, planPrivacy } from '@carapace/aggregation';
import type { PlanWarningCode } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';

/** Nothing is wrong with it. */
const SOUND = {
  population: 100_000,
  cohort: 2_000,
  minimum: 1_400,
  rounds: 50,
  noiseMultiplier: '6',
  delta: 1e-6,
  epsilon: 8,
  parameters: 10_000,
};
const codesOf = (change: object, context = {}): PlanWarningCode[] =>
  planPrivacy(parsePlanQuestion({ ...SOUND, ...change }, context)).warnings.map(({ code }) => code);

test('a sound plan is warned of nothing', () => {
  expect(codesOf({})).toEqual([]);
});

const cases: [PlanWarningCode, object][] = [
  ['PLAN_COHORT_SMALL', { cohort: 1_399 }],
  ['PLAN_COHORT_SMALL', { cohort: 2, minimum: 2 }],
  ['PLAN_COHORT_SMALL', { minimum: 2, protection: 'shares' }],
  ['PLAN_COHORT_SMALL', { population: 1_399 }],
  ['PLAN_COLLUDING_LARGE', { colluding: 1_400 }],
  ['PLAN_COLLUDING_LARGE', { colluding: 700 }],
  ['PLAN_IMPOSSIBLE', { bits: 8 }],
  ['PLAN_NOISE_DROWNS', { cohort: 8, minimum: 6, parameters: 199_210 }],
  ['PLAN_NOISE_ABOVE_SIGNAL', { parameters: 199_210 }],
  ['PLAN_EPSILON_LARGE', { noiseMultiplier: '1', epsilon: null }],
  ['PLAN_DELTA_LARGE', { delta: 1e-5 }],
  ['PLAN_DELTA_NEAR', { delta: 9e-6 }],
  ['PLAN_BUDGET_STOPS', { rounds: 200 }],
  ['PLAN_QUORUM_UNLIKELY', { dropout: 0.3 }],
];

test.each(cases)('%s with %o', (code, change) => {
  expect(codesOf(change)).toContain(code);
});

test('every code has a case', () => {
  const covered = new Set(cases.map(([code]) => code));
  expect(Object.keys(PLAN_WARNINGS).filter((code) => !covered.has(code as PlanWarningCode))).toEqual([]);
});

test.each([
  ['one colluding fewer', { colluding: 699 }],
  ['a delta within population^-1.1', { delta: 3.1e-6, epsilon: null }],
  ['rounds that the budget holds', { rounds: 60 }],
])('no warning with %s', (_, change) => {
  expect(codesOf(change)).toEqual([]);
});

test('noise that many rounds outweigh does not drown them, and in fewer it does', () => {
  const loud = { cohort: 200, minimum: 140, noiseMultiplier: '20', parameters: 40_000, epsilon: null };
  // About 25 times the signal in a round: level after 600.
  expect(codesOf({ ...loud, rounds: 900 })).toContain('PLAN_NOISE_ABOVE_SIGNAL');
  expect(codesOf({ ...loud, rounds: 400 })).toContain('PLAN_NOISE_DROWNS');
});

test('a budget of the ledger that holds fewer rounds is named', () => {
  const budgets = [
    { budget: 'phones', roundsLeft: 12 },
    { budget: 'tablets', roundsLeft: 60 },
  ];
  const { warnings } = planPrivacy(parsePlanQuestion(SOUND, { budgets }));
  expect(warnings).toEqual([{ code: 'PLAN_BUDGET_STOPS', text: 'the budget phones holds 12 of 50 rounds' }]);
});

describe('a question', () => {
  const TASK = {
    name: 'digits-1',
    model: { name: 'digits' },
    cohort: { target: 40, minimum: 30, overSelection: 1.5 },
    rounds: 25,
    protection: {
      kind: 'shares',
      aggregator: 'cl_aaaaaaaaaaaaaaaaaaaaaaaaaa',
      bits: 18,
      privacy: { noiseMultiplier: '2.5', clip: 0.5, colluding: 3, budgets: ['phones'] },
    },
  };

  const COINS = { minimum: undefined, protection: 'clear', selection: 'poisson' };
  const MATRIX_TASK = {
    name: 'digits-2',
    model: { name: 'digits' },
    cohort: { target: 40 },
    rounds: 8,
    protection: {
      privacy: {
        placement: 'central',
        noiseMultiplier: '1',
        clip: 1,
        budgets: ['phones'],
        matrix: { kind: 'tree', steps: 8, most: 2 },
      },
    },
  };

  const MOVING_TASK = {
    ...TASK,
    protection: { ...TASK.protection, privacy: { ...TASK.protection.privacy, adaptive: { bitDeviation: '5' } } },
  };

  test('about a task with coins, or with a cap, has those', () => {
    const privacy = { placement: 'central', noiseMultiplier: '1', clip: 1, budgets: ['phones'] };
    const task = { name: 'digits-3', model: { name: 'digits' }, rounds: 9, protection: { privacy } };
    const coins = { ...task, cohort: { target: 40, selection: { kind: 'poisson', rate: '0.02' } } };
    expect(parsePlanQuestion({ task: coins })).toMatchObject({
      rate: '0.02',
      placement: 'central',
      protection: 'clear',
    });
    expect(parsePlanQuestion({ task: coins, cohort: 60, population: 1000 })).toMatchObject({ rate: '0.06' });
    const capped = { ...task, cohort: { target: 40, participation: { most: 5, apart: 3 } } };
    const question = parsePlanQuestion({ task: capped });
    expect(question).toMatchObject({ rate: null, participations: { most: 5, apart: 3 } });
    const { participations } = planPrivacy({ ...question, parameters: 10 }).run!;
    expect(participations).toEqual({ basis: 'stated', most: 3, risk: 0 });
  });

  test('about a task has the task’s numbers where it says nothing else', () => {
    expect(parsePlanQuestion({ task: TASK }, { parameters: 7, population: 900 })).toMatchObject({
      cohort: { target: 40, minimum: 30, overSelection: 1.5 },
      rounds: 25,
      protection: 'shares',
      bits: 18,
      noiseMultiplier: '2.5',
      clip: 0.5,
      colluding: 3,
      parameters: 7,
      population: 900,
    });
    const other = parsePlanQuestion({ task: TASK, noiseMultiplier: '3', rounds: 5, population: 80, parameters: 9 });
    expect(other).toMatchObject({ noiseMultiplier: '3', rounds: 5, population: 80, parameters: 9, clip: 0.5 });
  });

  test('without rounds gets as many as its target holds', () => {
    const { run } = planPrivacy(parsePlanQuestion({ ...SOUND, rounds: null }));
    expect(run!.rounds).toBe(run!.target!.roundsHeld);
    expect(run!.target!.met).toBe(true);
    const more = planPrivacy(parsePlanQuestion({ ...SOUND, rounds: run!.rounds + 1 })).run!;
    expect(more.target!.met).toBe(false);
  });

  test.each([
    ['a misspelt key', { cohrt: 5 }, /cohrt is not a key here/],
    ['no cohort', { cohort: undefined }, /cohort is missing/],
    ['NaN for an epsilon', { epsilon: NaN }, /epsilon is NaN/],
    ['an infinite delta', { delta: Infinity }, /delta is Infinity/],
    ['a negative population', { population: -1 }, /population is -1/],
    ['noise that is no decimal', { noiseMultiplier: '1e999' }, /noiseMultiplier is "1e999"/],
    ['a number for a decimal', { noiseMultiplier: 2 }, /noiseMultiplier is 2; allowed is a text/],
    ['all dropping out', { dropout: 1 }, /dropout is 1/],
    ['neither rounds nor epsilon', { rounds: null, epsilon: null }, /name rounds/],
    ['neither noise nor epsilon', { noiseMultiplier: null, epsilon: null }, /name an epsilon/],
    ['an epsilon alone', { noiseMultiplier: null, rounds: null }, /name rounds or a noiseMultiplier/],
    ['coins without a population', { ...COINS, population: null }, /needs a population, or a rate/],
    ['coins under another relation', { ...COINS, relation: 'replace-one' }, /goes with relation zero-out/],
    ['coins of too few', { ...COINS, population: 1_500 }, /more than the population/],
    ['coins in a secure sum', { ...COINS, protection: 'secagg' }, /elsewhere no bound is proved/],
    ['coins with noise of clients', { ...COINS, placement: 'local' }, /elsewhere no bound is proved/],
    ['coins and a quorum', { ...COINS, minimum: 5 }, /neither minimum nor overSelection/],
    ['a rate without coins', { rate: '0.1' }, /name selection poisson/],
    ['shares of noise in the clear', { protection: 'clear', placement: 'distributed' }, /nobody hides a share/],
    ['Skellam noise in the clear', { protection: 'clear', noise: 'skellam' }, /it is discrete-gaussian/],
    ['colluders of central noise', { placement: 'central', colluding: 2 }, /not shared among survivors/],
    ['a target that nobody keeps', { placement: 'central', view: 'server' }, /nothing is promised there/],
    ['a task with a clip that moves', { task: MOVING_TASK }, /whose bits are charged too/],
    ['a task with correlated noise', { task: MATRIX_TASK }, /carapace budget forecast/],
    ['a price of nothing', { prices: { noise: 0 } }, /prices\.noise is 0/],
    ['a task in the clear', { task: { ...TASK, protection: {} } }, /task is in the clear/],
    ['a task that is none', { task: { name: 'x' } }, /TASK_INVALID/],
  ])('is refused with %s', (_, change, why) => {
    expect(() => parsePlanQuestion({ ...SOUND, ...change })).toThrow(why);
    expect(() => parsePlanQuestion({ ...SOUND, ...change })).toThrow(AggregationError);
  });

  test('whose target no noise can meet in its lanes is refused with that code', () => {
    const hard = { ...SOUND, noiseMultiplier: null, epsilon: 0.001, rounds: 10_000 };
    expect(() => planPrivacy(parsePlanQuestion(hard))).toThrow(/PRIVACY_TARGET_UNREACHABLE.*16 bits/);
  });
});
