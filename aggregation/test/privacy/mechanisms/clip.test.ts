import { clipping } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const normOf = (values: Iterable<number>): number => Math.hypot(...values);

describe('clipping', () => {
  test('leaves a vector within the clip alone, and makes others as long as the clip', () => {
    fc.assert(
      fc.property(
        fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 20 }),
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        (values, clip) => {
          const { norm, factor, isWithin } = clipping(values, clip);
          expect(norm).toBeCloseTo(normOf(values), -Math.log10(1e-12 * (1 + normOf(values))));
          expect(isWithin).toBe(norm <= clip);
          const length = normOf(Float64Array.from(values, (x) => x * factor));
          if (isWithin) expect(factor).toBe(1);
          else expect(length / clip).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  test.each([Number.NaN, Infinity, -Infinity])('refuses %s before it computes anything', (bad) => {
    for (const at of [0, 500, 999]) {
      const values = new Float32Array(1000);
      values[at] = bad;
      expect(() => clipping(values, 1)).toThrow(/MECHANISM_NONFINITE/);
    }
  });

  test('has no overflow and loses nothing to underflow', () => {
    expect(clipping(Float64Array.of(1e308, 1e308, 1e308), 1).factor * 1e308).toBeCloseTo(1 / Math.sqrt(3), 12);
    expect(clipping(Float64Array.of(3e-200, 4e-200), 1e-200)).toMatchObject({ isWithin: false });
    expect(clipping(Float64Array.of(3e-200, 4e-200), 1e-200).factor).toBeCloseTo(0.2, 12);
    expect(clipping(new Float32Array(8), 1)).toEqual({ norm: 0, factor: 1, isWithin: true });
    expect(clipping(Float32Array.of(3.4e38, 3.4e38), 1).factor * 3.4e38).toBeCloseTo(Math.SQRT1_2, 6);
  });
});
