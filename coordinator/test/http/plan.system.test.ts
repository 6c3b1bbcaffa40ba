/** Plans over real HTTP: with what the coordinator knows, with what its budgets have left, and within its time. */
import { parseBudgetId, parsePlanQuestion, parseTaskId, planPrivacy } from '@carapace/aggregation';
import type { PlanQuestion, PrivacyPlan } from '@carapace/aggregation';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assigned, call, chunkDraft, enrolled, makeUpdate, startHouse, startTask } from './kit.ts';
import type { Answer, HandClient, House } from './kit.ts';

/** Values of the model `small`. */
const PARAMETERS = 8;
const HELD = 4;
const DELTA = 1e-6;
const PHONES = parseBudgetId('phones');
const PRIVACY = { placement: 'central', noiseMultiplier: '3', clip: 2, budgets: [PHONES] };
const QUESTION = { population: 1000, cohort: 100, rounds: 20, noiseMultiplier: '2', parameters: 100 };

let house: House;
let client: HandClient;

beforeAll(async () => {
  house = await startHouse();
  client = await enrolled(house);
  await enrolled(house, 'another');
  // As much as so many rounds of the task cost, and a little.
  const epsilon = 1.01 * planHere({ ...taskPlan(HELD), parameters: PARAMETERS }).run!.epsilon.model;
  await house.call('PUT', '/v1/budgets/phones', { body: { epsilon, delta: DELTA } });
});
afterAll(() => house.close());

const planHere = (question: object): PrivacyPlan => planPrivacy(parsePlanQuestion(question));
const asked = (question: unknown, key = house.adminKey): Promise<Answer> =>
  house.call('POST', '/v1/plan', { key, body: question });
const planOf = (answer: Answer): PrivacyPlan => {
  expect(answer.status, answer.text).toBe(200);
  return answer.json as unknown as PrivacyPlan;
};
const overWire = (plan: PrivacyPlan): unknown => JSON.parse(JSON.stringify(plan));

function taskPlan(rounds: number): Record<string, unknown> {
  const protection = { kind: 'clear', privacy: PRIVACY };
  return {
    task: { name: 'planned', model: { name: 'small' }, cohort: { target: 1 }, rounds, protection },
    delta: DELTA,
  };
}

test('a question that leaves nothing out is answered as it is without a coordinator', async () => {
  expect(planOf(await asked(QUESTION))).toEqual(overWire(planHere(QUESTION)));
});

test('of a budget that is half spent, the rest of the rounds fit', { timeout: 60_000 }, async () => {
  const holds = (left: number): PlanQuestion['budgets'] => [{ budget: PHONES, roundsLeft: left }];
  await startTask(house, 'planned', { target: 1 }, undefined, { kind: 'clear', privacy: PRIVACY });
  for (let spent = 0; spent < HELD / 2; spent++) {
    const round = await assigned(client);
    if (spent === 1) await house.api.pauseTask(parseTaskId('planned'), 'system');
    const update = await makeUpdate(house, round, (index) => index / 16, undefined, 1);
    expect((await client.send(chunkDraft(update))).json['kind']).toBe('admitted');
    await ended(round);
  }
  const { question, warnings, run } = planOf(await asked(taskPlan(HELD)));
  expect(question).toMatchObject({ population: 2, parameters: PARAMETERS, budgets: holds(HELD / 2) });
  expect(run!.events).toEqual(planHere({ ...taskPlan(HELD), parameters: PARAMETERS }).run!.events);
  const stops = `the budget phones holds ${HELD / 2} of ${HELD} rounds`;
  expect(warnings).toContainEqual({ code: 'PLAN_BUDGET_STOPS', text: stops });
  expect((await house.call('GET', '/v1/tasks/planned/forecast')).json).toEqual({ budgets: holds(HELD / 2) });

  // More noise, and more of it fits: the rounds of the plan are counted, not those of the task.
  const louder = planOf(await asked({ ...taskPlan(HELD), noiseMultiplier: '12' }));
  expect(louder.question.budgets).toEqual(holds(HELD));
  expect(louder.warnings.map(({ code }) => code)).not.toContain('PLAN_BUDGET_STOPS');
  // Named without a task, or not asked for.
  const named = planOf(await asked({ ...QUESTION, noiseMultiplier: '1', model: 'small', budgets: ['phones'] }));
  expect(named.question.budgets[0]!.roundsLeft).toBeLessThan(QUESTION.rounds);
  expect(planOf(await asked({ ...taskPlan(HELD), budgets: [] })).question.budgets).toEqual([]);
});

async function ended(round: string): Promise<void> {
  await expect
    .poll(async () => (await house.call('GET', `/v1/rounds/${round}`)).json['round'], { timeout: 20_000 })
    .toMatchObject({ state: { kind: 'completed' } });
}

test('whoever may read may plan, nobody else', async () => {
  const { paths } = (await house.call('GET', '/openapi.json')).json as { paths: Record<string, object> };
  expect(paths['/v1/plan']).toMatchObject({
    post: { operationId: 'planPrivacy', description: 'Needs the role auditor.' },
  });
  for (const role of ['auditor', 'operator'] as const) {
    const { key } = await house.api.createApiKey({ name: role, role }, 'system');
    expect((await asked(QUESTION, key)).status).toBe(200);
  }
  const body = QUESTION;
  expect((await client.send({ method: 'POST', path: '/v1/plan', body })).json['code']).toBe('AUTHENTICATION_REQUIRED');
  expect((await call(house.url, 'POST', '/v1/plan', { body })).status).toBe(401);
});

test.each([
  [{ ...QUESTION, cohorts: 3 }, 400, 'PLAN_INVALID', /cohorts is not a key/],
  [{ ...QUESTION, cohort: 'many' }, 400, 'PLAN_INVALID', /cohort is "many"/],
  [{ ...QUESTION, budgets: 'phones' }, 400, 'PLAN_INVALID', /budgets is "phones".*a list/],
  [{ ...QUESTION, model: 'No such' }, 400, 'PLAN_INVALID', /model is "No such"/],
  [{ task: { name: 'x' } }, 400, 'TASK_INVALID', /cohort is missing/],
  [[QUESTION], 400, 'REQUEST_INVALID', /object/],
  [{ ...QUESTION, budgets: ['tablets'] }, 404, 'BUDGET_NOT_FOUND', /no budget tablets/],
  [{ cohort: 100, rounds: 2, noiseMultiplier: '2', model: 'absent' }, 404, 'VERSION_NOT_FOUND', /publish one, or name/],
  [
    { ...QUESTION, bits: 12, noiseMultiplier: null, epsilon: 1e-4, rounds: 1000 },
    400,
    'PRIVACY_TARGET_UNREACHABLE',
    /12 bits/,
  ],
])('%j is refused', async (question, status, code, detail) => {
  const answer = await asked(question);
  expect(answer).toMatchObject({ status, json: { code, detail: expect.stringMatching(detail) as string } });
});

test('a budget that is about the coordinator takes no plan whose noise is the coordinator’s', async () => {
  await house.call('PUT', '/v1/budgets/insiders', { body: { epsilon: 8, delta: DELTA, view: 'server' } });
  const answer = await asked({ ...taskPlan(HELD), parameters: PARAMETERS, budgets: ['insiders'] });
  expect(answer).toMatchObject({ status: 409, json: { code: 'BUDGET_VIEW' } });
});

test('a plan ends when its time is over', async () => {
  const hasty = await startHouse({}, { plans: { planMs: 1 } });
  try {
    const late = await hasty.call('POST', '/v1/plan', { body: QUESTION });
    expect(late).toMatchObject({ status: 422, json: { code: 'PLAN_TOO_LONG' } });
    expect(late.json['detail']).toMatch(/not done in 0\.001 s.*without --url/);
  } finally {
    await hasty.close();
  }
});

test('of many at once some are answered, the others told when to come again', async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => asked(QUESTION)));
  const busy = answers.filter(({ status }) => status !== 200);
  expect(busy.length).toBeLessThan(8);
  for (const answer of busy) {
    expect(answer).toMatchObject({ status: 503, json: { code: 'PLAN_BUSY' } });
    expect(answer.headers.get('retry-after')).toBe('5');
  }
});
