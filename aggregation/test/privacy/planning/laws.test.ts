/** What holds of every plan, whatever is asked. */
import {
  eventOf,
  largestCohort,
  noisePlan,
  parsePlanQuestion,
  planPrivacy,
  privacyEpsilon,
} from '@carapace/aggregation';
import type { Change, PlannedRun, PlanQuestion } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ladderOf } from '../../../src/privacy/planning/ladder.ts';

const RUNS = 12;

const settings = fc.record({
  population: fc.integer({ min: 300, max: 100_000 }),
  cohort: fc.integer({ min: 40, max: 250 }),
  rounds: fc.integer({ min: 1, max: 60 }),
  epsilon: fc.double({ min: 1, max: 20, noNaN: true }),
  delta: fc.constantFrom(1e-5, 1e-6, 1e-9),
  noise: fc.constantFrom('skellam', 'skellam', 'discrete-gaussian'),
  relation: fc.constantFrom('zero-out', 'replace-one'),
  mode: fc.constantFrom('planned', 'adaptive'),
  view: fc.constantFrom('model', 'server'),
  parameters: fc.integer({ min: 1, max: 100_000 }),
  dropout: fc.constantFrom(0, 0.1, 0.3),
  bits: fc.constantFrom(18, 20),
});
const multiplier = fc.integer({ min: 60, max: 900 }).map((hundredths) => String(hundredths / 100));

const plan = (document: object): ReturnType<typeof planPrivacy> => planPrivacy(parsePlanQuestion(document));
const runOf = (document: object): PlannedRun => {
  const { run, warnings } = plan(document);
  // Lanes of so few bits do not hold every noise: that there is no such run is no law broken.
  fc.pre(run !== null || warnings.every(({ code }) => code !== 'PLAN_IMPOSSIBLE'));
  if (run === null) throw new Error(JSON.stringify(warnings));
  return run;
};

/** From the mechanism and the accountant alone, past everything that plans. */
function freshEpsilon(question: PlanQuestion & { readonly noiseMultiplier: string }, rounds: number): number {
  const { bits, noise, noiseMultiplier, clip, colluding, cohort, parameters, relation, mode, delta } = question;
  const privacy = { placement: 'distributed' as const, noise, noiseMultiplier, clip, colluding, budgets: [] };
  const sizes = { clients: largestCohort(cohort), minimumSurvivors: cohort.minimum };
  const event = eventOf(noisePlan({ bits }, privacy, sizes, parameters));
  const engine = mode === 'planned' ? 'certified' : 'rdp';
  return privacyEpsilon([{ event, count: rounds }], delta, { relation, engine }).value;
}

test('more noise never costs more epsilon, and the curves never fall', () => {
  fc.assert(
    fc.property(settings, multiplier, fc.double({ min: 1.01, max: 3, noNaN: true }), (asked, z, factor) => {
      const less = runOf({ ...asked, noiseMultiplier: z });
      const more = runOf({ ...asked, noiseMultiplier: (Number(z) * factor).toFixed(4) });
      expect(more.epsilon.model).toBeLessThanOrEqual(less.epsilon.model);
      expect(more.epsilon.server).toBeLessThanOrEqual(less.epsilon.server);
      const { curve } = less;
      expect(curve[0]!.rounds).toBe(1);
      expect(curve.at(-1)!.rounds).toBe(asked.rounds);
      for (let i = 1; i < curve.length; i++) {
        expect(curve[i]!.rounds).toBeGreaterThan(curve[i - 1]!.rounds);
        expect(curve[i]!.model).toBeGreaterThanOrEqual(curve[i - 1]!.model);
        expect(curve[i]!.server).toBeGreaterThanOrEqual(curve[i - 1]!.server);
      }
      for (const { model, server } of curve) expect(server).toBeLessThanOrEqual(model);
      expect(less.epsilon).toMatchObject({ model: curve.at(-1)!.model, server: curve.at(-1)!.server });
    }),
    { numRuns: RUNS },
  );
});

test('the model’s epsilon is what the accountant says of the mechanism', () => {
  fc.assert(
    fc.property(settings, multiplier, (asked, noiseMultiplier) => {
      const question = { ...parsePlanQuestion({ ...asked, noiseMultiplier }), noiseMultiplier };
      const { epsilon } = runOf({ ...asked, noiseMultiplier });
      const fresh = freshEpsilon(question, asked.rounds);
      // What drawn noise costs of delta grows with e^epsilon: nothing that shows below 30.
      if (fresh < 30) expect(epsilon.model).toBe(fresh);
      else expect(epsilon.model).toBeGreaterThanOrEqual(fresh);
    }),
    { numRuns: RUNS },
  );
});

test('noise that is chosen meets the target, and a ten-thousandth less does not', () => {
  const ladder = ladderOf(4);
  fc.assert(
    fc.property(settings, (asked) => {
      const { noiseMultiplier, target, calibrated } = runOf({ ...asked, epsilon: asked.epsilon + 3 });
      expect(calibrated).toBe(true);
      expect(target).toMatchObject({ met: true });
      const rung = ladder.below(Number(noiseMultiplier));
      const less = runOf({ ...asked, epsilon: asked.epsilon + 3, noiseMultiplier: ladder.textAt(rung - 1) });
      expect(less.target).toMatchObject({ met: false });
    }),
    { numRuns: RUNS },
  );
});

describe('a change that is suggested', () => {
  const missed = fc
    .tuple(settings, multiplier)
    .map(([asked, noiseMultiplier]) => ({ ...asked, view: 'model', noiseMultiplier }))
    .filter((asked) => !runOf(asked).target!.met);

  /** A target that any one change can meet. */
  const ALL_FOUR = {
    ...{ population: 10_000, cohort: 100, rounds: 10, epsilon: 8, delta: 1e-9, noiseMultiplier: '2.4', view: 'model' },
    ...{ noise: 'skellam', relation: 'zero-out', mode: 'planned', parameters: 1000, dropout: 0.1, bits: 20 },
  };

  test('meets the target by a fresh run of the accountant, and one step less does not', () => {
    const seen = new Set<Change['what']>();
    fc.assert(
      fc.property(missed, (asked) => {
        const { changes, hopeless, signal } = runOf(asked);
        expect([...changes.map(({ what }) => what), ...hopeless].sort()).toEqual([
          'cohort',
          'delta',
          'noise',
          'rounds',
        ]);
        for (const change of changes) {
          seen.add(change.what);
          const { question } = change;
          expect(freshEpsilon(question, question.rounds)).toBeLessThanOrEqual(asked.epsilon);
          expect(oneStepLess(change, signal.noiseToSignal)).toBeGreaterThan(asked.epsilon);
        }
      }),
      { numRuns: RUNS, examples: [[ALL_FOUR]] },
    );
    expect([...seen].sort()).toEqual(['cohort', 'delta', 'noise', 'rounds']);
  });

  test('costs what its price says, the cheapest first', () => {
    fc.assert(
      fc.property(missed, (asked) => {
        const { changes } = runOf(asked);
        for (let i = 1; i < changes.length; i++) expect(changes[i]!.cost).toBeGreaterThanOrEqual(changes[i - 1]!.cost);
        for (const { what, cost, question } of changes) {
          expect(cost).toBeGreaterThan(0);
          const factors = {
            noise: Math.log2(Number(question.noiseMultiplier) / Number(asked.noiseMultiplier)),
            rounds: Math.log2(asked.rounds / question.rounds),
            cohort: Math.log2(question.cohort.target / asked.cohort),
            delta: Math.log10(question.delta / asked.delta),
          };
          expect(cost).toBeCloseTo(factors[what], 9);
          const dear = runOf({ ...asked, prices: { [what]: 1000 } }).changes;
          expect(dear.at(-1)!.what).toBe(what);
        }
      }),
      { numRuns: 4 },
    );
  });

  test('leaves a mean as noisy as it was when it takes more clients', () => {
    fc.assert(
      fc.property(missed, (asked) => {
        const { changes, signal } = runOf(asked);
        const larger = changes.find(({ what }) => what === 'cohort');
        if (larger === undefined) return;
        const { run } = planPrivacy(larger.question);
        expect(run!.signal.noiseToSignal).toBeLessThanOrEqual(signal.noiseToSignal);
        expect(run!.signal.noiseToSignal).toBeGreaterThan(signal.noiseToSignal * 0.97);
      }),
      { numRuns: 6 },
    );
  });
});

/** Epsilon of the change that is a little less of the same. */
function oneStepLess({ what, question }: Change, noiseToSignal: number): number {
  const [four, two] = [ladderOf(4), ladderOf(2)];
  switch (what) {
    case 'noise': {
      const noiseMultiplier = four.textAt(four.below(Number(question.noiseMultiplier)) - 1);
      return freshEpsilon({ ...question, noiseMultiplier }, question.rounds);
    }
    case 'rounds':
      return freshEpsilon(question, question.rounds + 1);
    case 'delta':
      return freshEpsilon({ ...question, delta: two.at(two.below(question.delta) - 1) }, question.rounds);
    case 'cohort': {
      // One client fewer, and the most noise for which the mean is no noisier than it was.
      const { cohort } = question;
      const target = cohort.target - 1;
      const minimum = parsePlanQuestion({ cohort: target, rounds: 1, noiseMultiplier: '1' }).cohort.minimum;
      const smaller = { ...question, cohort: { ...cohort, target, minimum } };
      const now = planPrivacy(smaller).run!.signal.noiseToSignal;
      const most = four.below((Number(question.noiseMultiplier) * noiseToSignal) / now);
      return freshEpsilon({ ...smaller, noiseMultiplier: four.textAt(most) }, question.rounds);
    }
  }
}

test('secret coins never cost the model’s view more than a fixed cohort, and promise nothing to the server’s', () => {
  fc.assert(
    fc.property(settings, multiplier, (asked, noiseMultiplier) => {
      const rounds = Math.min(asked.rounds, 20);
      const known = { ...asked, protection: 'clear', noise: 'discrete-gaussian', relation: 'zero-out', view: 'model' };
      const fixed = runOf({ ...known, rounds, noiseMultiplier });
      const secret = runOf({ ...known, rounds, noiseMultiplier, selection: 'poisson' });
      // Sampled rounds are bounded at whole Renyi orders alone, which costs a little where nearly everybody comes.
      expect(secret.epsilon.model).toBeLessThanOrEqual(fixed.epsilon.model * 1.05);
      expect(secret.epsilon.server).toBe(Infinity);
    }),
    { numRuns: 3 },
  );
});

test('rungs of a ladder are decimals of their digits, in order, and the one below is below', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.double({ min: 1e-12, max: 1e12, noNaN: true }), (digits, value) => {
      const ladder = ladderOf(digits);
      const rung = ladder.below(value);
      expect(ladder.at(rung)).toBeLessThanOrEqual(value);
      expect(ladder.at(rung + 1)).toBeGreaterThan(value);
      expect(ladder.textAt(rung)).toMatch(/^[0-9]+(\.[0-9]+)?$/);
      expect(Number(ladder.textAt(rung).replace('.', '').replace(/0+$/, ''))).toBeLessThan(10 ** digits);
    }),
  );
});
