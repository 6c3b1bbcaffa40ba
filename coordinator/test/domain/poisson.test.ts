/** Secret cohorts: the coins, and a round machine that tells nothing of how many they chose. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawCohort } from '../../src/domain/poisson.ts';
import { isTerminal, openRound, step } from '../../src/domain/round.ts';
import type { RoundEvent, RoundState, Step } from '../../src/domain/round.ts';
import { candidates, POISSON, tally, waiting, WEIGHTS } from './round-fixtures.ts';

const secretOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const enrolled = candidates(400);

test('a coin hangs on the secret and its client alone: not on who else is enrolled, in what order, or how often it is asked', () => {
  const all = drawCohort(secretOf(1), 0.3, enrolled);
  expect(drawCohort(secretOf(1), 0.3, enrolled.toReversed())).toEqual(all.toReversed());
  for (const client of enrolled.slice(0, 50))
    expect(drawCohort(secretOf(1), 0.3, [client]).length === 1).toBe(all.includes(client));
  expect(drawCohort(secretOf(2), 0.3, enrolled)).not.toEqual(all);
});

test('a coin comes up with its probability, and those of two clients and of two rounds have nothing to do with each other', () => {
  const rounds = Array.from({ length: 250 }, (_value, i) => new Set(drawCohort(secretOf(i), 0.2, enrolled)));
  const drawn = rounds.reduce((sum, { size }) => sum + size, 0);
  // 100,000 coins: a deviation of 126; six of them is one false alarm in 10^9.
  expect(Math.abs(drawn - 20_000)).toBeLessThan(760);
  const both = rounds.filter((round) => round.has(enrolled[0]!) && round.has(enrolled[1]!)).length;
  const pairs = rounds
    .slice(1)
    .reduce((sum, round, i) => sum + [...round].filter((of) => rounds[i]!.has(of)).length, 0);
  expect(both).toBeLessThan(30);
  // 99,600 pairs of rounds, 0.04 each: a deviation of 62.
  expect(Math.abs(pairs - 3_984)).toBeLessThan(380);
});

test('the ends of the scale', () => {
  expect(drawCohort(secretOf(1), 1, enrolled)).toEqual(enrolled);
  expect(drawCohort(secretOf(1), 0, enrolled)).toEqual([]);
  expect(drawCohort(secretOf(1), 1e-9, enrolled)).toEqual([]);
});

/** A round as it goes with so many chosen and so many reports; what is seen outside of it. */
function play(chosen: number, reports: number, sumMs: number): { readonly at: number[]; readonly last: RoundState } {
  const at: number[] = [];
  let { state }: Step = openRound(POISSON, 0);
  const take = (event: RoundEvent): void => {
    const next = step(state, event);
    if (next.state.kind !== state.kind) at.push(event.now);
    for (const effect of next.effects) if (effect.kind === 'evaluate') at.push(effect.at);
    state = next.state;
  };
  take(waiting(0, chosen));
  for (const now of [1, 5_000, 9_999]) take(tally(now, reports, chosen - reports));
  take(tally(10_000, reports, chosen - reports));
  take({ kind: 'aggregated', now: 10_000 + sumMs, weights: WEIGHTS, reported: reports });
  take({ kind: 'evaluated', now: 12_500, accepted: true });
  return { at: at.toSpliced(2, 1), last: state };
}

test('a round completes whatever the coins chose and whoever came, at the same times', () => {
  const counts = fc.integer({ min: 0, max: 40 });
  fc.assert(
    fc.property(counts, counts, fc.integer({ min: 0, max: 2_000 }), (chosen, reports, sumMs) => {
      const { at, last } = play(chosen, Math.min(chosen, reports), sumMs);
      // Selected at once, closed at the deadline, evaluated when the grace is over: 2 s, which hides a sum of up to that.
      expect(at).toEqual([0, 10_000, 12_000, 12_500]);
      expect(last.kind).toBe('completed');
      expect(isTerminal(last)).toBe(true);
    }),
  );
});

test('it never ends for how many came, and only time closes it', () => {
  let { state } = step(openRound(POISSON, 0).state, waiting(0, 3));
  for (const [reported, outstanding] of [
    [0, 0],
    [3, 0],
    [0, 3],
  ] as const)
    expect(step(state, tally(9_999, reported, outstanding)).state).toBe(state);
  state = step(state, tally(10_000, 0, 0)).state;
  expect(state).toMatchObject({ kind: 'aggregating', reported: 0 });
});
