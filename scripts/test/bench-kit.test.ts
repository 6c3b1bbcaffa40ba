import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { figure, isMet, measure, summary } from '../bench-kit.ts';

describe('summary', () => {
  const values = fc.array(fc.integer(), { minLength: 1 });

  test('the median has half of the values on either side, the spread has all of them', () => {
    fc.assert(
      fc.property(values, (given) => {
        const { median, spread } = summary(given);
        const half = given.length / 2;
        expect(given.filter((value) => value <= median).length).toBeGreaterThanOrEqual(half);
        expect(given.filter((value) => value >= median).length).toBeGreaterThanOrEqual(half);
        expect(spread).toEqual([Math.min(...given), Math.max(...given)]);
      }),
    );
  });

  test('vectors', () => {
    expect(summary([3, 1, 2])).toEqual({ median: 2, spread: [1, 3] });
    expect(summary([4, 1, 2, 3])).toEqual({ median: 2.5, spread: [1, 4] });
    expect(() => summary([])).toThrow(/one value/);
  });
});

test('warm-ups do not count', async () => {
  let calls = 0;
  expect(await measure(() => ++calls, { warmUps: 2, repeats: 3 })).toEqual({ median: 4, spread: [3, 5] });
});

test('a goal is the least that is wanted', () => {
  const of = (goal: number | null): boolean | null =>
    isMet(figure('w', 'u', { median: 5, spread: [4, 6] }, { goal, anchor: 'a' }));
  expect([of(5), of(5.1), of(null)]).toEqual([true, false, null]);
});
