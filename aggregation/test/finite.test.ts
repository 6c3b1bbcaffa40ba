import { allFinite } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test('one number that is not finite is found anywhere, whatever stands around it', () => {
  fc.assert(
    fc.property(fc.float32Array({ maxLength: 40 }), (values) => {
      expect(allFinite(values)).toBe(values.every(Number.isFinite));
    }),
  );
  fc.assert(
    fc.property(fc.float64Array({ maxLength: 40 }), (values) => {
      expect(allFinite(values)).toBe(values.every(Number.isFinite));
    }),
  );
});

test('borders', () => {
  expect(allFinite(new Float32Array(0))).toBe(true);
  expect(allFinite(Float64Array.of(Number.MAX_VALUE, Number.MAX_VALUE, -0, 5e-324))).toBe(true);
  for (const wrong of [NaN, Infinity, -Infinity]) expect(allFinite(Float32Array.of(0, wrong))).toBe(false);
});
