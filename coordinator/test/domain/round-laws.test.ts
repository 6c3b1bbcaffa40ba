/** The machine keeps the invariants of `docs/protocol/round.md`; then its borders, and the fairness of its selection. */
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ABANDON_REASONS, openRound, step } from '../../src/domain/round.ts';
import type { RoundEvent } from '../../src/domain/round.ts';
import { candidates, placeOf, PLAN, PLACES, STATES, waiting } from './round-fixtures.ts';
import { ops, plans, run } from './round-histories.ts';
import { LAWS } from './round-laws.ts';

describe('laws', () => {
  test.each(Object.entries(LAWS))('%s', (_name, law) => {
    fc.assert(law(step), { numRuns: 300 });
  });
});

test('the script reaches every place and every reason', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(plans, ops, (plan, script) => {
      for (const { step: next } of run(step, plan, script).moves)
        seen.add(next.state.kind === 'abandoned' ? next.state.reason : placeOf(next.state));
    }),
    { numRuns: 3_000, seed: 1 },
  );
  const places = Object.keys(PLACES).filter((place) => place !== 'abandoned');
  expect([...seen].sort()).toEqual([...places, ...Object.keys(ABANDON_REASONS)].sort());
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
