/** The checker is checked: machines with one fault each, and the law that must object to it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openRound, step } from '../../src/domain/round.ts';
import type { Effect, MessageStep, RoundEvent, RoundState, Step } from '../../src/domain/round.ts';
import { PLAN } from './round-fixtures.ts';
import type { Machine } from './round-histories.ts';
import { LAWS } from './round-laws.ts';

interface Mutant {
  readonly law: `R${number}`;
  /** Does wrong where it returns a step; elsewhere what is right is done. */
  readonly fault: (state: RoundState, event: RoundEvent, right: Step) => Step | null;
}

const MUTANTS: Readonly<Record<string, Mutant>> = {
  'goes back a step of the protocol': {
    law: 'R1',
    fault: (state, event) =>
      state.kind === 'agreeing' &&
      state.step === 'share-keys' &&
      event.kind === 'protocol' &&
      event.at === 'advertise-keys'
        ? moved({ ...state, step: 'advertise-keys' }, state.deadline)
        : null,
  },
  'opens again after the end': {
    law: 'R2',
    fault: (state, event) =>
      state.kind === 'abandoned' && event.kind === 'candidates' ? openRound(PLAN, event.now) : null,
  },
  'waits for ever for a quorum': {
    law: 'R3',
    fault: (state, _event, right) =>
      right.state.kind === 'abandoned' && right.state.reason === 'quorum-not-met' ? stays(state) : null,
  },
  'waits for ever for keys': {
    law: 'R3',
    fault: (state, event) =>
      state.kind === 'agreeing' && event.kind === 'protocol' && event.at === 'failed' ? stays(state) : null,
  },
  'waits for ever for masks': {
    law: 'R3',
    fault: (state, event) =>
      state.kind === 'unmasking' && event.kind === 'protocol' && event.at === 'failed' ? stays(state) : null,
  },
  'gives each step the time of two': {
    law: 'R3',
    fault: (state, _event, { state: next, effects }) =>
      next !== state && (next.kind === 'agreeing' || next.kind === 'unmasking')
        ? moved({ ...next, deadline: next.deadline + (next.plan.protocol?.stepMs ?? 0) }, null, effects)
        : null,
  },
  'is not woken': { law: 'R4', fault: (_state, _event, right) => without(right, 'wake') },
  'sleeps in advertise-keys': { law: 'R4', fault: sleepsIn('advertise-keys') },
  'sleeps in share-keys': { law: 'R4', fault: sleepsIn('share-keys') },
  'sleeps in consistency': { law: 'R4', fault: sleepsIn('consistency') },
  'sleeps in unmask': { law: 'R4', fault: sleepsIn('unmask') },
  'wakes a step at the end of the one before': {
    law: 'R4',
    fault: (state, _event, { state: next, effects }) =>
      next !== state && 'step' in state && 'step' in next ? moved(next, state.deadline, effects) : null,
  },
  'forgets the cap of a site': {
    law: 'R5',
    fault: (state, event) =>
      state.kind === 'open' && event.kind === 'candidates'
        ? step({ ...state, plan: { ...state.plan, perSite: null } }, event)
        : null,
  },
  'selects one too many': {
    law: 'R5',
    fault: (state, event) =>
      state.kind === 'open' && event.kind === 'candidates'
        ? step({ ...state, plan: { ...state.plan, cohort: state.plan.cohort + 1 } }, event)
        : null,
  },
  'aggregates one update below the minimum': {
    law: 'R6',
    fault: (state, event) =>
      state.kind === 'collecting' && event.kind === 'tally'
        ? step({ ...state, plan: { ...state.plan, minimum: state.plan.minimum - 1 } }, event)
        : null,
  },
  'takes the quorum of the task for that of the protocol': {
    law: 'R6',
    fault: (state, event, right) =>
      state.kind === 'open' && event.kind === 'candidates' && right.state.kind === 'agreeing'
        ? { ...right, state: { ...right.state, plan: state.plan } }
        : null,
  },
  'forgets the grace': {
    law: 'R7',
    fault: (_state, event, right) =>
      right.state.kind === 'collecting' && event.kind === 'tally' && event.now >= right.state.deadline
        ? { state: { kind: 'abandoned', reason: 'quorum-not-met', during: 'collecting', at: event.now }, effects: [] }
        : null,
  },
  'closes a protocol with nobody to lose': {
    law: 'R7',
    fault: (state, event) =>
      state.kind === 'collecting' &&
      state.plan.protocol?.by === 'cohort' &&
      event.kind === 'tally' &&
      event.tally.reported >= state.plan.target
        ? step(state, { ...event, tally: { ...event.tally, outstanding: 0 } })
        : null,
  },
  'closes before a bad share of somebody could be left out': {
    law: 'R7',
    fault: (state, event) =>
      state.kind === 'collecting' &&
      state.plan.protocol?.by === 'aggregator' &&
      event.kind === 'tally' &&
      event.tally.reported >= state.plan.target
        ? step(state, { ...event, tally: { ...event.tally, outstanding: 0 } })
        : null,
  },
  'closes without dismissing': {
    law: 'R8',
    fault: (state, _event, right) => (state.kind === 'collecting' ? without(right, 'dismiss') : null),
  },
  'lets clients upload that were absent when keys were agreed': {
    law: 'R8',
    fault: (state, _event, right) => (state.kind === 'agreeing' ? without(right, 'dismiss') : null),
  },
  'dismisses those who are present': {
    law: 'R8',
    fault: (state, _event, { state: next, effects }) =>
      state.kind === 'agreeing'
        ? { state: next, effects: effects.map((effect) => (effect.kind === 'dismiss' ? DISMISS_ALL : effect)) }
        : null,
  },
  'unmasks a sum of whoever comes': {
    law: 'R8',
    fault: (_state, _event, right) => without(right, 'fix-survivors'),
  },
  'publishes what the gate refused': {
    law: 'R9',
    fault: (state, event) =>
      state.kind === 'evaluating' && event.kind === 'evaluated' ? step(state, { ...event, accepted: true }) : null,
  },
  'fixes the survivors again with every message': {
    law: 'R10',
    fault: (state, event) =>
      state.kind === 'unmasking' && event.kind === 'protocol' && event.at === state.step
        ? { state, effects: [{ kind: 'fix-survivors' }] }
        : null,
  },
  'keeps what JSON cannot': {
    law: 'R11',
    fault: (_state, _event, { state, effects }) =>
      state.kind === 'collecting' ? { state: { ...state, deadline: Infinity }, effects } : null,
  },
  'collects although no keys were agreed': {
    law: 'R12',
    fault: (state, event) =>
      state.kind === 'agreeing' && event.kind === 'protocol' && event.at === 'failed'
        ? step(state, { ...event, at: 'masked-input' })
        : null,
  },
  'adds up although the masks stay on': {
    law: 'R12',
    fault: (state, event) =>
      state.kind === 'unmasking' && event.kind === 'protocol' && event.at === 'failed'
        ? step(state, { ...event, at: 'opening' })
        : null,
  },
  'adds up as soon as the survivors are confirmed': {
    law: 'R12',
    fault: (state, event) =>
      state.kind === 'unmasking' && event.kind === 'protocol' && event.at === 'unmask'
        ? step(state, { ...event, at: 'opening' })
        : null,
  },
  'adds up masked updates as if they were clear': {
    law: 'R12',
    fault: (state, event) =>
      state.kind === 'collecting' && event.kind === 'tally'
        ? step({ ...state, plan: { ...state.plan, protocol: null } }, event)
        : null,
  },
};

const DISMISS_ALL: Effect = { kind: 'dismiss', present: [] };

function machineWith({ fault }: Mutant): Machine {
  return (state, event) => {
    const right = step(state, event);
    return fault(state, event, right) ?? right;
  };
}

function stays(state: RoundState): Step {
  return { state, effects: [] };
}

/** Into a state, with the wake-up at a moment given or, by default, at its end. */
function moved(
  state: Extract<RoundState, { readonly deadline: number }>,
  wakeAt: number | null,
  effects: readonly Effect[] = [],
): Step {
  const others = effects.filter(({ kind }) => kind !== 'wake');
  return { state, effects: [...others, { kind: 'wake', at: wakeAt ?? state.deadline }] };
}

function without({ state, effects }: Step, kind: Effect['kind']): Step {
  return { state, effects: effects.filter((effect) => effect.kind !== kind) };
}

function sleepsIn(name: MessageStep): Mutant['fault'] {
  return (_state, _event, right) =>
    'step' in right.state && right.state.step === name ? without(right, 'wake') : null;
}

describe('a machine is refuted that', () => {
  test.each(Object.entries(MUTANTS))('%s', (_name, mutant) => {
    const [, law] = Object.entries(LAWS).find(([name]) => name.startsWith(`${mutant.law}:`))!;
    expect(fc.check(law(machineWith(mutant)), { numRuns: 4_000, seed: 7, endOnFailure: true }).failed).toBe(true);
  });
});

test('no law is without a machine that it refutes', () => {
  const refuting = new Set<string>(Object.values(MUTANTS).map(({ law }) => law));
  expect(Object.keys(LAWS).filter((name) => !refuting.has(name.split(':')[0]!))).toEqual([]);
});
