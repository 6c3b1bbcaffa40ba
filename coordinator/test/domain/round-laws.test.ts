/** The numbered invariants of `docs/protocol/round.md` over random rounds; then mutants, each of which some law must refute. */
import { sample } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ABANDON_REASONS, isTerminal, observation, openRound, phaseEnd, step } from '../../src/domain/round.ts';
import type {
  Candidate,
  Effect,
  Instant,
  ProtocolStep,
  RoundEvent,
  RoundPlan,
  RoundState,
  Step,
} from '../../src/domain/round.ts';
import { candidates, PLAN, STATES, waiting, WEIGHTS } from './round-fixtures.ts';

type Machine = typeof step;

/** Something that happens after a pause; shares become counts once the state is known. */
interface Op {
  /** `next` is what the state waits for. */
  readonly kind: RoundEvent['kind'] | 'next';
  readonly pause: 'none' | 'to the deadline' | 'almost to the end' | { readonly ms: number };
  readonly share: number;
  readonly rest: number;
  readonly accepted: boolean;
  readonly seed: number;
}

interface Move {
  readonly before: RoundState;
  readonly event: RoundEvent;
  readonly step: Step;
}

interface History {
  readonly plan: RoundPlan;
  readonly opening: Step;
  readonly moves: readonly Move[];
  readonly last: RoundState;
}

const OPENED_AT = 1_800_000_000_000;

const plans: fc.Arbitrary<RoundPlan> = fc
  .record({
    minimum: fc.integer({ min: 1, max: 8 }),
    above: fc.integer({ min: 0, max: 8 }),
    over: fc.integer({ min: 0, max: 8 }),
    perSite: fc.option(fc.integer({ min: 1, max: 4 })),
    selectionMs: fc.integer({ min: 1, max: 1_000 }),
    reportMs: fc.integer({ min: 1, max: 5_000 }),
    graceMs: fc.integer({ min: 0, max: 1_000 }),
    workMs: fc.integer({ min: 1, max: 2_000 }),
    stepMs: fc.option(fc.integer({ min: 1, max: 1_000 })),
  })
  .map(({ minimum, above, over, ...plan }) => {
    return { minimum, target: minimum + above, cohort: minimum + above + over, ...plan };
  });

/** Evenly spread, which `fc.double` is not. */
const fraction = fc.integer({ min: 0, max: 1_000 }).map((thousandths) => thousandths / 1_000);

const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 9, arbitrary: fc.constant('next' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<RoundEvent['kind'][]>(
          'candidates',
          'protocol',
          'tally',
          'aggregated',
          'aggregation-failed',
          'evaluated',
          'evaluation-failed',
          'tick',
          'stop',
        ),
      },
    ),
    pause: fc.oneof(
      fc.constantFrom('none' as const, 'to the deadline' as const, 'almost to the end' as const),
      fc.record({ ms: fc.integer({ min: 1, max: 3_000 }) }),
    ),
    share: fraction,
    rest: fraction,
    accepted: fc.boolean(),
    seed: fc.nat(),
  }),
  { maxLength: 30 },
);

function waitingOf({ share, seed }: Op, plan: RoundPlan): Candidate[] {
  const many = candidates(Math.floor(share * (2 * plan.cohort + 1)), (index) => `site-${(index * 7 + seed) % 5}`);
  return sample(seededRandom(seed), many, many.length);
}

const NEXT: Readonly<Record<RoundState['kind'], RoundEvent['kind']>> = {
  open: 'candidates',
  agreeing: 'protocol',
  collecting: 'tally',
  unmasking: 'protocol',
  aggregating: 'aggregated',
  evaluating: 'evaluated',
  completed: 'tick',
  abandoned: 'candidates',
};

function later(now: Instant, pause: Op['pause'], state: RoundState): Instant {
  if (typeof pause === 'object') return now + pause.ms;
  if (pause === 'to the deadline' && state.kind === 'collecting') return Math.max(now, state.deadline);
  return pause === 'none' ? now : Math.max(now, (phaseEnd(state) ?? now) - 1);
}

/** Counts as the records can hold them: of a cohort, some have reported and some are outstanding. */
function eventOf(op: Op, state: RoundState, plan: RoundPlan, now: Instant): RoundEvent {
  const { share, rest, accepted, seed } = op;
  const kind = op.kind === 'next' ? NEXT[state.kind] : op.kind;
  const selected = state.kind === 'collecting' ? state.selected : plan.cohort;
  const reported = Math.min(selected, Math.floor(share * (selected + 1)));
  switch (kind) {
    case 'candidates':
      return { kind, now, waiting: waitingOf(op, plan), random: seededRandom(seed) };
    case 'protocol':
      return { kind, now, at: protocolStep(op, state, now), present: [] };
    case 'tally':
      return { kind, now, tally: { reported, outstanding: Math.ceil(rest * (selected - reported)) } };
    case 'aggregated': {
      const most = state.kind === 'aggregating' ? state.reported : selected;
      return { kind, now, weights: WEIGHTS, reported: Math.max(0, most - (rest < 0.2 ? 1 : 0)) };
    }
    case 'evaluated':
      return { kind, now, accepted };
    case 'aggregation-failed':
    case 'evaluation-failed':
    case 'tick':
    case 'stop':
      return { kind, now };
  }
}

const STEPS: readonly ProtocolStep[] = [
  'advertise-keys',
  'share-keys',
  'masked-input',
  'consistency',
  'unmask',
  'opening',
];

/** A protocol is where its round is or just beyond, has failed, or at times is said to be anywhere; its time up, it is beyond or has failed. */
function protocolStep({ share, rest, seed }: Op, state: RoundState, now: Instant): ProtocolStep | 'failed' {
  if (state.kind !== 'agreeing' && state.kind !== 'unmasking') return STEPS[seed % STEPS.length]!;
  const over = now >= state.deadline;
  if (rest < 0.05) return 'failed';
  if (!over && rest > 0.95) return STEPS[seed % STEPS.length]!;
  const ahead = share < 0.6 ? 1 : share < 0.7 ? 2 : over ? 1 : 0;
  const last = state.kind === 'agreeing' ? 2 : 5;
  return STEPS[Math.min(last, STEPS.indexOf(state.step) + ahead)]!;
}

/** What the shell owes the round at the end of a phase, whatever it sees there. */
function owed(state: RoundState, op: Op, plan: RoundPlan, now: Instant): RoundEvent | null {
  const kind = observation(state);
  return kind === null ? null : eventOf({ ...op, kind }, state, plan, now);
}

/** Runs a round to its end as the shell does: any event at any time, and an observation at the end of every phase. */
function run(machine: Machine, plan: RoundPlan, script: readonly Op[]): History {
  const opening = openRound(plan, OPENED_AT);
  const moves: Move[] = [];
  let state = opening.state;
  let now = OPENED_AT;
  const apply = (event: RoundEvent): void => {
    const next = machine(state, event);
    moves.push({ before: state, event, step: next });
    state = next.state;
  };
  const observeUntil = (until: Instant, op: Op): void => {
    for (let looks = 0; looks < 10; looks++) {
      const end = phaseEnd(state);
      if (end === null || end > until) return;
      const event = owed(state, op, plan, end);
      if (event !== null) apply(event);
    }
  };
  for (const op of script) {
    now = later(now, op.pause, state);
    observeUntil(now, op);
    apply(eventOf(op, state, plan, now));
  }
  const last = script.at(-1) ?? { kind: 'next', pause: 'none', share: 0, rest: 0, accepted: true, seed: 0 };
  observeUntil(Infinity, last);
  return { plan, opening, moves, last: state };
}

function effectsOf<Kind extends Effect['kind']>(
  { moves }: History,
  kind: Kind,
): (Extract<Effect, { kind: Kind }> & { readonly move: Move })[] {
  return moves.flatMap((move) =>
    move.step.effects
      .filter((effect): effect is Extract<Effect, { kind: Kind }> => effect.kind === kind)
      .map((effect) => ({ ...effect, move })),
  );
}

const CLEAR_PATH = ['open', 'collecting', 'aggregating', 'evaluating', 'completed'];
const SECURE_PATH = [
  'open',
  'agreeing advertise-keys',
  'agreeing share-keys',
  'collecting',
  'unmasking consistency',
  'unmasking unmask',
  'aggregating',
  'evaluating',
  'completed',
];

/** How far a round has come on the way of its plan. */
function placeOf(state: RoundState, plan: RoundPlan): number {
  const name = 'step' in state ? `${state.kind} ${state.step}` : state.kind;
  return (plan.stepMs === null ? CLEAR_PATH : SECURE_PATH).indexOf(name);
}

const history = (law: (history: History) => void) => (machine: Machine) =>
  fc.property(plans, ops, (plan, script) => law(run(machine, plan, script)));

const LAWS: Readonly<Record<string, (machine: Machine) => fc.IPropertyWithHooks<unknown[]>>> = {
  'R1: a round only goes forward, one phase at a time or to its end': history(({ plan, moves }) => {
    for (const { before, step: next } of moves) {
      if (next.state === before) continue;
      expect(isTerminal(before)).toBe(false);
      if (next.state.kind === 'abandoned') continue;
      const [from, to] = [placeOf(before, plan), placeOf(next.state, plan)];
      // Two steps of the protocol may be over when the round is next observed.
      const most = before.kind === 'agreeing' || before.kind === 'unmasking' ? 2 : 1;
      expect(to).toBeGreaterThan(from);
      expect(to).toBeLessThanOrEqual(from + most);
    }
  }),

  'R2: an ended round stays as it is, and a step without a change has no effect': history(({ moves }) => {
    for (const { before, step: next } of moves) {
      if (isTerminal(before)) expect(next.state).toBe(before);
      if (next.state === before) expect(next.effects).toEqual([]);
    }
  }),

  'R3: every round ends in its time with a name, whatever comes': history(({ plan, last }) => {
    if (!isTerminal(last)) throw new Error(`it is still ${last.kind}`);
    const longest = plan.selectionMs + plan.reportMs + plan.graceMs + 4 * (plan.stepMs ?? 0) + 2 * plan.workMs;
    expect(last.at).toBeLessThanOrEqual(OPENED_AT + longest);
    if (last.kind === 'abandoned') expect(Object.keys(ABANDON_REASONS)).toContain(last.reason);
  }),

  'R4: whoever enters a phase is woken at its end': history(({ opening, moves }) => {
    for (const { state, effects } of [opening, ...moves.map((move) => move.step)]) {
      const wakes = effects.filter((effect) => effect.kind === 'wake').map(({ at }) => at);
      if (effects.length > 0 && !isTerminal(state)) expect(wakes).toContain(phaseEnd(state));
    }
  }),

  'R5: a cohort is of those who wait, each once, within its size and the cap of each site': history((round) => {
    for (const { cohort, move } of effectsOf(round, 'select')) {
      const { plan } = round;
      const names = cohort.map(({ client }) => client);
      expect(new Set(names).size).toBe(names.length);
      if (move.event.kind === 'candidates') expect(move.event.waiting).toEqual(expect.arrayContaining([...cohort]));
      expect(cohort.length).toBeGreaterThanOrEqual(plan.minimum);
      expect(cohort.length).toBeLessThanOrEqual(plan.cohort);
      for (const { site } of cohort)
        expect(cohort.filter((other) => other.site === site).length).toBeLessThanOrEqual(plan.perSite ?? Infinity);
      const kind = plan.stepMs === null ? 'collecting' : 'agreeing';
      expect(move.step.state).toMatchObject({ kind, selected: cohort.length });
    }
    expect(effectsOf(round, 'select').length).toBeLessThanOrEqual(1);
  }),

  'R6: nothing is summed below the minimum, or below the threshold of its cohort; no count exceeds the cohort': history(
    ({ plan, moves }) => {
      let selected = 0;
      for (const { state } of moves.map((move) => move.step)) {
        if (state.kind === 'agreeing' || state.kind === 'collecting') selected = state.selected;
        if (!('reported' in state)) continue;
        expect(state.reported).toBeGreaterThanOrEqual(plan.minimum);
        if (plan.stepMs !== null) expect(state.reported).toBeGreaterThanOrEqual(Math.floor((2 * selected) / 3));
        expect(state.reported).toBeLessThanOrEqual(selected);
      }
    },
  ),

  'R7: collecting closes exactly when the rule says': history(({ moves }) => {
    for (const { before, event, step: next } of moves) {
      if (before.kind !== 'collecting' || event.kind !== 'tally') continue;
      const { reported, outstanding } = event.tally;
      const { minimum, target } = before.plan;
      const over = event.now >= before.closeBy;
      const enough = reported >= minimum && (reported >= target || outstanding === 0 || event.now >= before.deadline);
      const hopeless = reported + outstanding < minimum;
      const closed = before.plan.stepMs === null ? 'aggregating' : 'unmasking';
      const kind = enough ? closed : over || hopeless ? 'abandoned' : 'collecting';
      expect(next.state.kind).toBe(kind);
    }
  }),

  'R8: what closes a round to messages or updates dismisses whoever is outstanding, and fixes who is in the sum':
    history((round) => {
      for (const { before, event, step: next } of round.moves) {
        if (next.state === before) continue;
        const dismissed = next.effects.find((effect) => effect.kind === 'dismiss');
        const closes = before.kind === 'agreeing' || before.kind === 'collecting' || next.state.kind === 'abandoned';
        expect(dismissed !== undefined).toBe(closes);
        const goesOn = before.kind === 'agreeing' && next.state.kind !== 'abandoned';
        if (dismissed !== undefined)
          expect(dismissed.present).toEqual(goesOn && event.kind === 'protocol' ? event.present : []);
        const fixed = next.effects.some((effect) => effect.kind === 'fix-survivors');
        expect(fixed).toBe(before.kind === 'collecting' && next.state.kind === 'unmasking');
      }
    }),

  'R9: one version at most, of the weights that were evaluated, only by completing': history((round) => {
    const published = effectsOf(round, 'publish');
    expect(published.length).toBe(round.last.kind === 'completed' ? 1 : 0);
    for (const { weights, reported, move } of published) {
      expect(move.before).toMatchObject({ kind: 'evaluating', weights, reported });
      expect(move.event).toMatchObject({ kind: 'evaluated', accepted: true });
      expect(round.last).toMatchObject({ kind: 'completed', weights, reported });
    }
  }),

  'R12: a protocol that failed ends its round, and only one that unmasks leads to a sum': history(({ plan, moves }) => {
    for (const { before, event, step: next } of moves) {
      const inProtocol = before.kind === 'agreeing' || before.kind === 'unmasking';
      if (inProtocol && event.kind === 'protocol' && event.at === 'failed') expect(next.state.kind).toBe('abandoned');
      if (plan.stepMs !== null && next.state.kind === 'aggregating' && before.kind !== 'aggregating')
        expect([before.kind, event]).toMatchObject(['unmasking', { kind: 'protocol', at: 'opening' }]);
    }
  }),

  'R10: an event that comes twice does nothing the second time': (machine) =>
    history(({ moves }) => {
      for (const { event, step: next } of moves)
        expect(machine(next.state, event)).toEqual({ state: next.state, effects: [] });
    })(machine),

  'R11: the same events give the same round, through JSON between any two steps': (machine) =>
    fc.property(plans, ops, (plan, script) => {
      const first = run(machine, plan, script);
      const stored: Machine = (state, event) => machine(JSON.parse(JSON.stringify(state)) as RoundState, event);
      const again = run(stored, plan, script);
      expect(again.last).toEqual(first.last);
      expect(again.moves.map((move) => move.step)).toEqual(first.moves.map((move) => move.step));
    }),
};

const entries = Object.entries(LAWS);

describe('laws', () => {
  test.each(entries)('%s', (_name, law) => {
    fc.assert(law(step), { numRuns: 300 });
  });
});

test('the script reaches every state and every reason', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(plans, ops, (plan, script) => {
      for (const { step: next } of run(step, plan, script).moves)
        seen.add(next.state.kind === 'abandoned' ? next.state.reason : next.state.kind);
    }),
    { numRuns: 3_000, seed: 1 },
  );
  expect([...seen].sort()).toEqual(
    [
      'open',
      'agreeing',
      'collecting',
      'unmasking',
      'aggregating',
      'evaluating',
      'completed',
      ...Object.keys(ABANDON_REASONS),
    ].sort(),
  );
});

describe('the checker: some law refutes a machine that', () => {
  const changed =
    (change: (state: RoundState, event: RoundEvent, right: Step) => Step | null): Machine =>
    (state, event) => {
      const right = step(state, event);
      return change(state, event, right) ?? right;
    };
  const stays = (state: RoundState): Step => ({ state, effects: [] });
  const mutants: Readonly<Record<string, Machine>> = {
    'waits for ever for a quorum': changed((state, _event, right) =>
      right.state.kind === 'abandoned' && right.state.reason === 'quorum-not-met' ? stays(state) : null,
    ),
    'forgets the grace': changed((_state, event, right) =>
      right.state.kind === 'collecting' && event.kind === 'tally' && event.now >= right.state.deadline
        ? { state: { kind: 'abandoned', reason: 'quorum-not-met', during: 'collecting', at: event.now }, effects: [] }
        : null,
    ),
    'opens again after the end': changed((state, event) =>
      state.kind === 'abandoned' && event.kind === 'candidates' ? openRound(PLAN, event.now) : null,
    ),
    'forgets the cap of a site': changed((state, event) =>
      state.kind === 'open' && event.kind === 'candidates'
        ? step({ ...state, plan: { ...state.plan, perSite: null } }, event)
        : null,
    ),
    'selects one too many': changed((state, event) =>
      state.kind === 'open' && event.kind === 'candidates'
        ? step({ ...state, plan: { ...state.plan, cohort: state.plan.cohort + 1 } }, event)
        : null,
    ),
    'lets absent clients upload': changed((state, _event, right) =>
      state.kind === 'agreeing'
        ? { ...right, effects: right.effects.filter((effect) => effect.kind !== 'dismiss') }
        : null,
    ),
    'dismisses those who are present': changed((state, _event, right) =>
      state.kind === 'agreeing' && right.state.kind !== 'abandoned'
        ? {
            ...right,
            effects: right.effects.map((effect): Effect => {
              return effect.kind === 'dismiss'
                ? { ...effect, present: candidates(1).map(({ client }) => client) }
                : effect;
            }),
          }
        : null,
    ),
    'unmasks a sum of whoever comes': changed((_state, _event, right) => ({
      ...right,
      effects: right.effects.filter((effect) => effect.kind !== 'fix-survivors'),
    })),
    'collects although no keys were agreed': changed((state, event) =>
      state.kind === 'agreeing' && event.kind === 'protocol' && event.at === 'failed'
        ? step(state, { ...event, at: 'masked-input' })
        : null,
    ),
    'sleeps in a step of the protocol': changed((_state, _event, right) =>
      right.state.kind === 'unmasking'
        ? { ...right, effects: right.effects.filter((effect) => effect.kind !== 'wake') }
        : null,
    ),
    'takes the quorum of the task for that of the protocol': changed((state, event, right) =>
      state.kind === 'open' && event.kind === 'candidates' && right.state.kind === 'agreeing'
        ? { ...right, state: { ...right.state, plan: state.plan } }
        : null,
    ),
    'aggregates one update below the minimum': changed((state, event) =>
      state.kind === 'collecting' && event.kind === 'tally'
        ? step({ ...state, plan: { ...state.plan, minimum: state.plan.minimum - 1 } }, event)
        : null,
    ),
    'publishes what the gate refused': changed((state, event) =>
      state.kind === 'evaluating' && event.kind === 'evaluated' ? step(state, { ...event, accepted: true }) : null,
    ),
    'closes without dismissing': changed((_state, _event, { state, effects }) => {
      return { state, effects: effects.filter(({ kind }) => kind !== 'dismiss') };
    }),
    'is not woken': changed((_state, _event, { state, effects }) => {
      return { state, effects: effects.filter(({ kind }) => kind !== 'wake') };
    }),
    'keeps what JSON cannot': changed((_state, _event, { state, effects }) => {
      return { state: state.kind === 'collecting' ? { ...state, deadline: Infinity } : state, effects };
    }),
  };
  test.each(Object.entries(mutants))('%s', (_name, mutant) => {
    expect(entries.some(([, law]) => fc.check(law(mutant), { numRuns: 500, seed: 7, endOnFailure: true }).failed)).toBe(
      true,
    );
  });
});

describe('borders', () => {
  test('a plan of one: the only client is cohort, target and quorum', () => {
    const plan = { ...PLAN, target: 1, minimum: 1, cohort: 1 };
    const open = { ...STATES.open, plan };
    expect(step(open, waiting(0, 1)).state.kind).toBe('collecting');
    expect(step(open, waiting(1_000, 0)).state).toMatchObject({ reason: 'too-few-candidates' });
  });

  test('no grace: at the deadline a round has its quorum or ends', () => {
    const opened = openRound({ ...PLAN, graceMs: 0 }, 0).state;
    const { state } = step(opened, waiting(0, 6));
    const at = (now: number, reported: number) =>
      step(state, { kind: 'tally', now, tally: { reported, outstanding: 6 - reported } }).state;
    expect(at(9_999, 1).kind).toBe('collecting');
    expect(at(10_000, 1)).toMatchObject({ kind: 'abandoned', reason: 'quorum-not-met' });
    expect(at(10_000, 2).kind).toBe('aggregating');
  });

  test('a clock that goes back neither ends nor prolongs a phase', () => {
    const back: RoundEvent = { kind: 'tick', now: 0 };
    expect(step(STATES.aggregating, back).state).toBe(STATES.aggregating);
    expect(step(STATES.collecting, { ...back, kind: 'tally', tally: { reported: 0, outstanding: 6 } }).state).toBe(
      STATES.collecting,
    );
  });
});

test('selection is fair: every waiting client is taken equally often', () => {
  const [clients, rounds] = [9, 6_000];
  const taken = new Map<string, number>();
  for (let seed = 0; seed < rounds; seed++) {
    const event: RoundEvent = { kind: 'candidates', now: 0, waiting: candidates(clients), random: seededRandom(seed) };
    const [select] = step(STATES.open, event).effects;
    if (select?.kind === 'select')
      for (const { client } of select.cohort) taken.set(client, (taken.get(client) ?? 0) + 1);
  }
  // Fixed seeds, so no chance decides: chi-square with 8 degrees of freedom is below 26.1 in 999 of 1,000 worlds.
  const expected = (rounds * PLAN.cohort) / clients;
  const chiSquare = [...taken.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(taken.size).toBe(clients);
  expect(chiSquare).toBeLessThan(26.1);
});
