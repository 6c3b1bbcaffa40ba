/** The whole table of the round machine. A state, step or event that is added does not compile until its cells are filled. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ABANDON_REASONS, isTerminal, observation, phaseEnd, step } from '../../src/domain/round.ts';
import type { AbandonReason, Effect, RoundEvent, RoundState } from '../../src/domain/round.ts';
import {
  candidates,
  momentsOf,
  placeOf,
  PLACES,
  protocol,
  SECURE,
  SHARED,
  STATES,
  tally,
  waiting,
  WEIGHTS,
} from './round-fixtures.ts';
import type { Moments, Place } from './round-fixtures.ts';

type Outcome = 'stays' | Exclude<Place, 'open' | 'abandoned'> | AbandonReason;
type Situations = Readonly<Record<string, (at: Moments) => RoundEvent>>;

/** Target 4, minimum 2, cohort 6. */
const SITUATIONS = {
  candidates: {
    'a cohort': ({ early }) => waiting(early, 6),
    'more than a cohort': ({ early }) => waiting(early, 9),
    'the target, early': ({ early }) => waiting(early, 4),
    'one short of a cohort, in the last moment': ({ end }) => waiting(end - 1, 5),
    'one short of a cohort, at the end': ({ end }) => waiting(end, 5),
    'the minimum, at the end': ({ end }) => waiting(end, 2),
    'below the minimum, in the last moment': ({ end }) => waiting(end - 1, 1),
    'below the minimum, at the end': ({ end }) => waiting(end, 1),
    'nobody, long after the end': ({ end }) => waiting(end + 1_000_000, 0),
  },
  protocol: {
    'keys are awaited': ({ early }) => protocol(early, 'advertise-keys'),
    'keys are awaited, at the end': ({ end }) => protocol(end, 'advertise-keys'),
    'the keys are out': ({ early }) => protocol(early, 'share-keys', 5),
    'the shares are out': ({ early }) => protocol(early, 'masked-input', 5),
    'the survivors are fixed': ({ early }) => protocol(early, 'consistency'),
    'the survivors are fixed, at the end': ({ end }) => protocol(end, 'consistency'),
    'the survivors are confirmed': ({ early }) => protocol(early, 'unmask'),
    'the masks are known': ({ early }) => protocol(early, 'opening'),
    'too few are left': ({ early }) => protocol(early, 'failed', 0),
  },
  tally: {
    'nothing yet': ({ early }) => tally(early, 0, 6),
    'the target': ({ early }) => tally(early, 4, 2),
    'one short of the target': ({ early }) => tally(early, 3, 3),
    'the minimum, nobody outstanding': ({ early }) => tally(early, 2, 0),
    'the minimum can just be met': ({ early }) => tally(early, 1, 1),
    'the minimum cannot be met': ({ early }) => tally(early, 1, 0),
    'the minimum, before the deadline': ({ deadline }) => tally(deadline - 1, 2, 4),
    'the minimum, at the deadline': ({ deadline }) => tally(deadline, 2, 4),
    'below the minimum, at the deadline': ({ deadline }) => tally(deadline, 1, 5),
    'below the minimum, in the last moment of grace': ({ end }) => tally(end - 1, 1, 5),
    'below the minimum, at the end of grace': ({ end }) => tally(end, 1, 5),
    'the minimum, at the end of grace': ({ end }) => tally(end, 2, 4),
    'the minimum, long after the end': ({ end }) => tally(end + 1_000_000, 2, 4),
  },
  aggregated: {
    'of the minimum': ({ early: now }) => ({ kind: 'aggregated', now, weights: WEIGHTS, reported: 2 }),
    'of fewer than the minimum': ({ early: now }) => ({ kind: 'aggregated', now, weights: WEIGHTS, reported: 1 }),
  },
  'aggregation-failed': { '': ({ early: now }) => ({ kind: 'aggregation-failed', now }) },
  evaluated: {
    accepted: ({ early: now }) => ({ kind: 'evaluated', now, accepted: true }),
    refused: ({ early: now }) => ({ kind: 'evaluated', now, accepted: false }),
  },
  'evaluation-failed': { '': ({ early: now }) => ({ kind: 'evaluation-failed', now }) },
  tick: {
    'before the end': ({ end }) => ({ kind: 'tick', now: end - 1 }),
    'at the end': ({ end }) => ({ kind: 'tick', now: end }),
  },
  stop: { '': ({ early: now }) => ({ kind: 'stop', now }) },
} satisfies Record<RoundEvent['kind'], Situations>;

type Cells = {
  readonly [Event in keyof typeof SITUATIONS]: Readonly<Record<keyof (typeof SITUATIONS)[Event], Outcome>>;
};

const NO_CANDIDATES: Cells['candidates'] = {
  'a cohort': 'stays',
  'more than a cohort': 'stays',
  'the target, early': 'stays',
  'one short of a cohort, in the last moment': 'stays',
  'one short of a cohort, at the end': 'stays',
  'the minimum, at the end': 'stays',
  'below the minimum, in the last moment': 'stays',
  'below the minimum, at the end': 'stays',
  'nobody, long after the end': 'stays',
};
const NO_PROTOCOL: Cells['protocol'] = {
  'keys are awaited': 'stays',
  'keys are awaited, at the end': 'stays',
  'the keys are out': 'stays',
  'the shares are out': 'stays',
  'the survivors are fixed': 'stays',
  'the survivors are fixed, at the end': 'stays',
  'the survivors are confirmed': 'stays',
  'the masks are known': 'stays',
  'too few are left': 'stays',
};
const NO_TALLY: Cells['tally'] = {
  'nothing yet': 'stays',
  'the target': 'stays',
  'one short of the target': 'stays',
  'the minimum, nobody outstanding': 'stays',
  'the minimum can just be met': 'stays',
  'the minimum cannot be met': 'stays',
  'the minimum, before the deadline': 'stays',
  'the minimum, at the deadline': 'stays',
  'below the minimum, at the deadline': 'stays',
  'below the minimum, in the last moment of grace': 'stays',
  'below the minimum, at the end of grace': 'stays',
  'the minimum, at the end of grace': 'stays',
  'the minimum, long after the end': 'stays',
};
const ENDED: Cells = {
  candidates: NO_CANDIDATES,
  protocol: NO_PROTOCOL,
  tally: NO_TALLY,
  aggregated: { 'of the minimum': 'stays', 'of fewer than the minimum': 'stays' },
  'aggregation-failed': { '': 'stays' },
  evaluated: { accepted: 'stays', refused: 'stays' },
  'evaluation-failed': { '': 'stays' },
  tick: { 'before the end': 'stays', 'at the end': 'stays' },
  stop: { '': 'stays' },
};

const TABLE: Readonly<Record<Place, Cells>> = {
  open: {
    candidates: {
      'a cohort': 'collecting',
      'more than a cohort': 'collecting',
      'the target, early': 'stays',
      'one short of a cohort, in the last moment': 'stays',
      'one short of a cohort, at the end': 'collecting',
      'the minimum, at the end': 'collecting',
      'below the minimum, in the last moment': 'stays',
      'below the minimum, at the end': 'too-few-candidates',
      'nobody, long after the end': 'too-few-candidates',
    },
    protocol: NO_PROTOCOL,
    tally: NO_TALLY,
    aggregated: { 'of the minimum': 'stays', 'of fewer than the minimum': 'stays' },
    'aggregation-failed': { '': 'stays' },
    evaluated: { accepted: 'stays', refused: 'stays' },
    'evaluation-failed': { '': 'stays' },
    tick: { 'before the end': 'stays', 'at the end': 'stays' },
    stop: { '': 'task-stopped' },
  },
  'advertise-keys': {
    ...ENDED,
    protocol: {
      'keys are awaited': 'stays',
      'keys are awaited, at the end': 'keys-not-agreed',
      'the keys are out': 'share-keys',
      'the shares are out': 'collecting',
      'the survivors are fixed': 'collecting',
      'the survivors are fixed, at the end': 'collecting',
      'the survivors are confirmed': 'collecting',
      'the masks are known': 'collecting',
      'too few are left': 'keys-not-agreed',
    },
    stop: { '': 'task-stopped' },
  },
  'share-keys': {
    ...ENDED,
    protocol: {
      'keys are awaited': 'stays',
      'keys are awaited, at the end': 'keys-not-agreed',
      'the keys are out': 'stays',
      'the shares are out': 'collecting',
      'the survivors are fixed': 'collecting',
      'the survivors are fixed, at the end': 'collecting',
      'the survivors are confirmed': 'collecting',
      'the masks are known': 'collecting',
      'too few are left': 'keys-not-agreed',
    },
    stop: { '': 'task-stopped' },
  },
  collecting: {
    candidates: NO_CANDIDATES,
    protocol: NO_PROTOCOL,
    tally: {
      'nothing yet': 'stays',
      'the target': 'aggregating',
      'one short of the target': 'stays',
      'the minimum, nobody outstanding': 'aggregating',
      'the minimum can just be met': 'stays',
      'the minimum cannot be met': 'quorum-unreachable',
      'the minimum, before the deadline': 'stays',
      'the minimum, at the deadline': 'aggregating',
      'below the minimum, at the deadline': 'stays',
      'below the minimum, in the last moment of grace': 'stays',
      'below the minimum, at the end of grace': 'quorum-not-met',
      'the minimum, at the end of grace': 'aggregating',
      'the minimum, long after the end': 'aggregating',
    },
    aggregated: { 'of the minimum': 'stays', 'of fewer than the minimum': 'stays' },
    'aggregation-failed': { '': 'stays' },
    evaluated: { accepted: 'stays', refused: 'stays' },
    'evaluation-failed': { '': 'stays' },
    tick: { 'before the end': 'stays', 'at the end': 'stays' },
    stop: { '': 'task-stopped' },
  },
  consistency: {
    ...ENDED,
    protocol: {
      'keys are awaited': 'stays',
      'keys are awaited, at the end': 'sum-not-unmasked',
      'the keys are out': 'stays',
      'the shares are out': 'stays',
      'the survivors are fixed': 'stays',
      'the survivors are fixed, at the end': 'sum-not-unmasked',
      'the survivors are confirmed': 'unmask',
      'the masks are known': 'aggregating',
      'too few are left': 'sum-not-unmasked',
    },
    stop: { '': 'task-stopped' },
  },
  unmask: {
    ...ENDED,
    protocol: {
      'keys are awaited': 'stays',
      'keys are awaited, at the end': 'sum-not-unmasked',
      'the keys are out': 'stays',
      'the shares are out': 'stays',
      'the survivors are fixed': 'stays',
      'the survivors are fixed, at the end': 'sum-not-unmasked',
      'the survivors are confirmed': 'stays',
      'the masks are known': 'aggregating',
      'too few are left': 'sum-not-unmasked',
    },
    stop: { '': 'task-stopped' },
  },
  aggregating: {
    candidates: NO_CANDIDATES,
    protocol: NO_PROTOCOL,
    tally: NO_TALLY,
    aggregated: { 'of the minimum': 'evaluating', 'of fewer than the minimum': 'quorum-unreachable' },
    'aggregation-failed': { '': 'aggregation-failed' },
    evaluated: { accepted: 'stays', refused: 'stays' },
    'evaluation-failed': { '': 'stays' },
    tick: { 'before the end': 'stays', 'at the end': 'aggregation-timeout' },
    stop: { '': 'task-stopped' },
  },
  evaluating: {
    candidates: NO_CANDIDATES,
    protocol: NO_PROTOCOL,
    tally: NO_TALLY,
    aggregated: { 'of the minimum': 'stays', 'of fewer than the minimum': 'stays' },
    'aggregation-failed': { '': 'stays' },
    evaluated: { accepted: 'completed', refused: 'gate-refused' },
    'evaluation-failed': { '': 'evaluation-failed' },
    tick: { 'before the end': 'stays', 'at the end': 'evaluation-timeout' },
    stop: { '': 'task-stopped' },
  },
  completed: ENDED,
  abandoned: ENDED,
};

const WHERE = Object.keys(TABLE) as Place[];
const ROWS = Object.entries(SITUATIONS).flatMap(([event, situations]: [string, Situations]) =>
  Object.entries(situations).map(([situation, make]) => ({
    name: situation === '' ? event : `${event}: ${situation}`,
    make,
    expected: (place: Place) =>
      (TABLE[place] as unknown as Record<string, Record<string, Outcome>>)[event]![situation]!,
  })),
);

function outcomeOf(before: RoundState, after: RoundState): string {
  if (after === before) return 'stays';
  return after.kind === 'abandoned' ? after.reason : placeOf(after);
}

describe.each(WHERE)('%s', (place) => {
  const state = PLACES[place];
  test.each(ROWS)('$name', ({ make, expected }) => {
    const event = make(momentsOf(state));
    const { state: next, effects } = step(state, event);
    expect(outcomeOf(state, next)).toBe(expected(place));
    expect(effects.map((effect) => effect.kind)).toEqual(effectsOf(place, expected(place)));
    if (next.kind === 'abandoned' && next !== state)
      expect(next).toEqual({ kind: 'abandoned', reason: expected(place), during: state.kind, at: event.now });
  });
});

/** With a protocol of secure aggregation, two steps lead elsewhere and all else is the same. */
describe.each(['open', 'collecting'] as const)('%s, with a protocol', (kind) => {
  const state = { ...STATES[kind], plan: SECURE };
  const elsewhere: Partial<Record<Outcome, Outcome>> =
    kind === 'open' ? { collecting: 'advertise-keys' } : { aggregating: 'consistency' };
  test.each(ROWS)('$name', ({ make, expected }) => {
    const { state: next, effects } = step(state, make(momentsOf(state)));
    const outcome = elsewhere[expected(kind)] ?? expected(kind);
    expect(outcomeOf(state, next)).toBe(outcome);
    expect(effects.map((effect) => effect.kind)).toEqual(effectsOf(kind, outcome));
  });
});

function effectsOf(from: Place, outcome: Outcome): Effect['kind'][] {
  switch (outcome) {
    case 'stays':
      return [];
    case 'advertise-keys':
      return ['select', 'wake'];
    case 'share-keys':
      return ['dismiss', 'wake'];
    case 'collecting':
      return from === 'open' ? ['select', 'wake', 'wake'] : ['dismiss', 'wake', 'wake'];
    case 'consistency':
      return ['dismiss', 'fix-survivors', 'wake'];
    case 'unmask':
      return ['wake'];
    case 'aggregating':
      return from === 'collecting' ? ['dismiss', 'aggregate', 'wake'] : ['aggregate', 'wake'];
    case 'evaluating':
      return ['evaluate', 'wake'];
    case 'completed':
      return ['publish'];
    default:
      return ['dismiss'];
  }
}

test('each place but the first two of a protocol, and each reason to abandon, is an outcome of the table', () => {
  const outcomes = new Set(WHERE.flatMap((place) => ROWS.map(({ expected }) => expected(place))));
  // Where these two are entered instead, the plan has a protocol: see above.
  const entered = WHERE.filter((place) => !['open', 'abandoned', 'advertise-keys', 'consistency'].includes(place));
  expect([...outcomes].sort()).toEqual(['stays', ...entered, ...Object.keys(ABANDON_REASONS)].sort());
});

test('what a state carries into the next one', () => {
  const collected = step(STATES.open, waiting(700, 9));
  expect(collected.state).toEqual({ ...STATES.collecting, startedAt: 700, deadline: 10_700, closeBy: 12_700 });
  const aggregating = step(STATES.collecting, tally(5_000, 4, 2)).state;
  expect(aggregating).toEqual({ ...STATES.aggregating, since: 5_000, giveUpAt: 10_000 });
  const evaluating = step(STATES.aggregating, { kind: 'aggregated', now: 14_000, weights: WEIGHTS, reported: 3 });
  expect(evaluating.state).toEqual({ ...STATES.evaluating, reported: 3, since: 14_000, giveUpAt: 19_000 });
  // Of six, five must be left to take the masks off: that is the quorum then.
  const agreeing = step({ ...STATES.open, plan: SECURE }, waiting(700, 9)).state;
  const plan = { ...SECURE, minimum: 5 };
  expect(agreeing).toEqual({ ...STATES.agreeing, plan, startedAt: 700, deadline: 3_700 });
  const sharing = step(agreeing, protocol(1_000, 'share-keys', 5));
  expect(sharing.state).toEqual({ ...agreeing, step: 'share-keys', deadline: 4_000 });
  expect(sharing.effects[0]).toEqual({ kind: 'dismiss', present: candidates(5).map(({ client }) => client) });
  const collecting = step(sharing.state, protocol(2_000, 'masked-input', 5)).state;
  expect(collecting).toEqual({ ...STATES.collecting, plan, startedAt: 2_000, deadline: 12_000, closeBy: 14_000 });
  expect(step(collecting, tally(13_000, 4, 1)).state).toBe(collecting);
  const unmasking = step(collecting, tally(5_000, 5, 0)).state;
  expect(unmasking).toEqual({ ...STATES.unmasking, plan, reported: 5, since: 5_000, deadline: 8_000 });
  const replying = step(unmasking, protocol(6_000, 'unmask')).state;
  expect(replying).toEqual({ ...unmasking, step: 'unmask', deadline: 9_000 });
  expect(step(replying, protocol(7_000, 'opening')).state).toMatchObject({ kind: 'aggregating', reported: 5 });
  const completed = step(STATES.evaluating, { kind: 'evaluated', now: 20_000, accepted: true });
  expect(completed).toEqual({
    state: { kind: 'completed', reported: 4, weights: WEIGHTS, at: 20_000 },
    effects: [{ kind: 'publish', weights: WEIGHTS, reported: 4 }],
  });
});

test.each([
  ['a cohort', SECURE],
  ['a second aggregator', SHARED],
])(
  'the protocol of %s waits for some more than must stay, until nobody is outstanding or the deadline has come',
  (_, plan) => {
    const withQuorum = (minimum: number) => ({ ...STATES.collecting, plan: { ...plan, minimum } });
    expect(step(withQuorum(3), tally(2_000, 4, 2)).state.kind).toBe('unmasking');
    expect(step(withQuorum(4), tally(2_000, 4, 2)).state.kind).toBe('collecting');
    expect(step(withQuorum(4), tally(2_000, 5, 1)).state.kind).toBe('unmasking');
    expect(step(withQuorum(5), tally(2_000, 5, 1)).state.kind).toBe('collecting');
    expect(step(withQuorum(5), tally(2_000, 5, 0)).state.kind).toBe('unmasking');
    expect(step(withQuorum(5), tally(11_000, 5, 1)).state.kind).toBe('unmasking');
    // No more than all can be waited for.
    expect(step(withQuorum(6), tally(2_000, 6, 0)).state.kind).toBe('unmasking');
  },
);

test('with a second aggregator: its key, the updates, its sum', () => {
  const agreeing = step({ ...STATES.open, plan: SHARED }, waiting(700, 9)).state;
  // The quorum is the task's: whoever drops out is missed by nobody.
  expect(agreeing).toEqual({ ...STATES.agreeing, plan: SHARED, startedAt: 700, deadline: 3_700 });
  const collecting = step(agreeing, protocol(1_000, 'masked-input', 6)).state;
  expect(collecting).toEqual({
    ...STATES.collecting,
    plan: SHARED,
    startedAt: 1_000,
    deadline: 11_000,
    closeBy: 13_000,
  });
  expect(step(collecting, tally(2_000, 3, 3)).state).toBe(collecting);
  const unmasking = step(collecting, tally(2_000, 4, 2)).state;
  expect(unmasking).toEqual({
    ...STATES.unmasking,
    plan: SHARED,
    step: 'unmask',
    reported: 4,
    since: 2_000,
    deadline: 5_000,
  });
  expect(step(unmasking, protocol(2_500, 'unmask')).state).toBe(unmasking);
  expect(step(unmasking, protocol(2_500, 'opening')).state).toMatchObject({ kind: 'aggregating', reported: 4 });
  expect(step(unmasking, protocol(5_000, 'unmask')).state).toMatchObject({ reason: 'sum-not-unmasked' });
});

test.each(WHERE)('%s: whoever ends needs no observation, whoever runs does', (place) => {
  const state = PLACES[place];
  expect(observation(state) === null).toBe(isTerminal(state));
  expect(phaseEnd(state) === null).toBe(isTerminal(state));
});

test('docs/protocol/round.md shows this very table', () => {
  const page = readFileSync(new URL('../../../docs/protocol/round.md', import.meta.url), 'utf8');
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').slice(1, -1));
  const table = rows.map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')));
  const running = WHERE.filter((place) => !isTerminal(PLACES[place]));
  expect(table, 'the head of the table').toContainEqual(['event', ...running]);
  for (const { name, expected } of ROWS) {
    const cells = running.map(expected).map((outcome) => (outcome === 'stays' ? '·' : outcome));
    expect(table, `the row of ${name}`).toContainEqual([name, ...cells]);
  }
  const firstCells = new Set(ROWS.map(({ name }) => name));
  const head = table.findIndex(([first]) => first === 'event');
  const extra = table.slice(head + 2).filter(([first = '']) => !firstCells.has(first));
  expect(extra, 'rows of the page that are none here').toEqual([]);
});
