import { parseTask } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planOf, reopenAt } from '../../src/domain/plan.ts';

const planWith = (cohort: Record<string, unknown>) => planOf(parseTask({ name: 't', model: { name: 'm' }, cohort }));

describe('the plan of a task', () => {
  test('seconds become milliseconds, the rest is taken over', () => {
    const cohort = {
      target: 10,
      minimum: 7,
      overSelection: 1.3,
      perSite: 2,
      selectionSeconds: 5,
      reportSeconds: 60.5,
      graceSeconds: 0,
    };
    expect(planWith(cohort)).toEqual({
      target: 10,
      minimum: 7,
      cohort: 13,
      perSite: 2,
      selectionMs: 5_000,
      reportMs: 60_500,
      graceMs: 0,
      workMs: 120_000,
      poisson: null,
      charged: false,
      protocol: null,
    });
  });

  test('secure aggregation has its steps', () => {
    const protection = { kind: 'secagg', stepSeconds: 7.5 };
    const task = parseTask({ name: 'demo', model: { name: 'demo' }, cohort: { target: 4 }, protection });
    expect(planOf(task)).toMatchObject({ target: 4, minimum: 3, protocol: { by: 'cohort', stepMs: 7_500 } });
  });

  test('instants are whole milliseconds, which a timer and a database take', () => {
    const seconds = fc.double({ min: 1, max: 86_400, noNaN: true });
    fc.assert(
      fc.property(seconds, seconds, seconds, (selectionSeconds, reportSeconds, graceSeconds) => {
        const { selectionMs, reportMs, graceMs } = planWith({
          target: 1,
          selectionSeconds,
          reportSeconds,
          graceSeconds,
        });
        for (const ms of [selectionMs, reportMs, graceMs]) expect(Number.isInteger(ms)).toBe(true);
        expect(Math.abs(reportMs - reportSeconds * 1000)).toBeLessThanOrEqual(0.5);
      }),
    );
  });

  test('over-selection is exact in the decimals that were written, rounded up', () => {
    // In binary64, 50 x 1.1 is a hair above 55.
    expect(planWith({ target: 50, overSelection: 1.1 }).cohort).toBe(55);
    expect(planWith({ target: 10, overSelection: 1.1 }).cohort).toBe(11);
    expect(planWith({ target: 1_000_000, overSelection: 1.1 }).cohort).toBe(1_100_000);
    expect(planWith({ target: 3, overSelection: 1.34 }).cohort).toBe(5);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1_000, max: 10_000 }), (target, over) => {
        const exact = Number((BigInt(target) * BigInt(over) + 999n) / 1000n);
        expect(planWith({ target, overSelection: over / 1000 }).cohort).toBe(exact);
      }),
    );
  });
});

describe('when the next round may open', () => {
  test('at once: the first, and after a completed one', () => {
    expect(reopenAt(null, 0)).toBe(0);
    expect(reopenAt(null, 9)).toBe(0);
    expect(reopenAt(5_000, 0)).toBe(0);
  });

  test('after abandoned ones the pause doubles up to a minute', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 2_000].map((abandoned) => reopenAt(0, abandoned));
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('never before the end of the last, never more than a minute after', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 41), fc.integer({ min: 1, max: 1e6 }), (ended, abandoned) => {
        const pause = reopenAt(ended, abandoned) - ended;
        expect(pause).toBeGreaterThanOrEqual(1_000);
        expect(pause).toBeLessThanOrEqual(60_000);
        expect(reopenAt(ended, abandoned + 1)).toBeGreaterThanOrEqual(reopenAt(ended, abandoned));
      }),
    );
  });
});
