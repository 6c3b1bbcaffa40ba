/** The numbered invariants of `docs/protocol/round.md`, each over random rounds of any machine. */
import { thresholdsFor } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect } from 'vitest';
import { ABANDON_REASONS, isTerminal, phaseEnd } from '../../src/domain/round.ts';
import type { Effect, Instant, RoundPlan, RoundState } from '../../src/domain/round.ts';
import { placeOf } from './round-fixtures.ts';
import type { Place } from './round-fixtures.ts';
import { effectsOf, OPENED_AT, ops, plans, run } from './round-histories.ts';
import type { History, Machine } from './round-histories.ts';

const CLEAR_WAY: readonly Place[] = ['open', 'collecting', 'aggregating', 'evaluating', 'completed'];
const SECURE_WAY: readonly Place[] = [
  'open',
  'advertise-keys',
  'share-keys',
  'collecting',
  'consistency',
  'unmask',
  'aggregating',
  'evaluating',
  'completed',
];

const SHARED_WAY: readonly Place[] = [
  'open',
  'advertise-keys',
  'collecting',
  'unmask',
  'aggregating',
  'evaluating',
  'completed',
];

function wayOf({ protocol }: RoundPlan): readonly Place[] {
  if (protocol === null) return CLEAR_WAY;
  return protocol.by === 'cohort' ? SECURE_WAY : SHARED_WAY;
}

/** How far a round has come on the way of its plan; -1 is off it. */
function progressOf(state: RoundState, plan: RoundPlan): number {
  return wayOf(plan).indexOf(placeOf(state));
}

const history = (law: (history: History) => void) => (machine: Machine) =>
  fc.property(plans, ops, (plan, script) => law(run(machine, plan, script)));

export const LAWS: Readonly<Record<string, (machine: Machine) => fc.IPropertyWithHooks<unknown[]>>> = {
  'R1: a round only goes forward, one phase at a time or to its end': history(({ plan, moves }) => {
    for (const { before, step: next } of moves) {
      if (next.state === before) continue;
      expect(isTerminal(before)).toBe(false);
      if (next.state.kind === 'abandoned') continue;
      const [from, to] = [progressOf(before, plan), progressOf(next.state, plan)];
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
    const longest =
      plan.selectionMs + plan.reportMs + plan.graceMs + 4 * (plan.protocol?.stepMs ?? 0) + 2 * plan.workMs;
    expect(last.at).toBeLessThanOrEqual(OPENED_AT + longest);
    if (last.kind === 'abandoned') expect(Object.keys(ABANDON_REASONS)).toContain(last.reason);
  }),

  'R4: whoever enters a phase, or a step of one, is woken at its end': history(({ opening, moves }) => {
    const entered = moves.filter(({ before, step: next }) => next.state !== before && !isTerminal(next.state));
    for (const { state, effects } of [opening, ...entered.map((move) => move.step)])
      expect(wakesOf(effects)).toContain(phaseEnd(state));
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
      const kind = plan.protocol === null ? 'collecting' : 'agreeing';
      expect(move.step.state).toMatchObject({ kind, selected: cohort.length });
    }
    expect(effectsOf(round, 'select').length).toBeLessThanOrEqual(1);
  }),

  'R6: nothing is summed below the minimum, or below what its cohort takes to unmask; no count exceeds the cohort':
    history(({ plan, moves }) => {
      let selected = 0;
      for (const { state } of moves.map((move) => move.step)) {
        if (state.kind === 'agreeing' || state.kind === 'collecting') selected = state.selected;
        if (!('reported' in state)) continue;
        const survivors = plan.protocol?.by === 'cohort' ? thresholdsFor(selected).minimumSurvivors : 0;
        expect(state.reported).toBeGreaterThanOrEqual(Math.max(plan.minimum, survivors));
        expect(state.reported).toBeLessThanOrEqual(selected);
      }
    }),

  'R7: collecting closes exactly when the rule says': history(({ moves }) => {
    for (const { before, event, step: next } of moves) {
      if (before.kind !== 'collecting' || event.kind !== 'tally') continue;
      const { reported, outstanding } = event.tally;
      const { minimum, protocol } = before.plan;
      const slack = Math.min(before.selected, minimum + Math.ceil(before.selected / 10));
      const target = Math.max(before.plan.target, protocol === null ? 0 : slack);
      const over = event.now >= before.closeBy;
      const enough = reported >= minimum && (reported >= target || outstanding === 0 || event.now >= before.deadline);
      const hopeless = reported + outstanding < minimum;
      const closed = protocol === null ? 'aggregating' : 'unmasking';
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

  'R12: a protocol that failed ends its round, and only one that unmasks leads to a sum': history(({ plan, moves }) => {
    for (const { before, event, step: next } of moves) {
      const inProtocol = before.kind === 'agreeing' || before.kind === 'unmasking';
      if (inProtocol && event.kind === 'protocol' && event.at === 'failed') expect(next.state.kind).toBe('abandoned');
      if (plan.protocol !== null && next.state.kind === 'aggregating' && before.kind !== 'aggregating')
        expect([before.kind, event]).toMatchObject(['unmasking', { kind: 'protocol', at: 'opening' }]);
    }
  }),
};

function wakesOf(effects: readonly Effect[]): Instant[] {
  return effects.flatMap((effect) => (effect.kind === 'wake' ? [effect.at] : []));
}
