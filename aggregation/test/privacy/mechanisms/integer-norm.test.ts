import { integerNorms, l1Bound } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { integerRoot } from '../../../src/privacy/mechanisms/integer-norm.ts';

test('the integer root is the floor of the root', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 1n << 200n), (value) => {
      const root = integerRoot(value);
      expect(root * root <= value && (root + 1n) * (root + 1n) > value).toBe(true);
    }),
  );
  for (const root of [0n, 1n, 2n, 3n, 1n << 53n]) expect(integerRoot(root * root)).toBe(root);
});

test('binary64 would have passed a vector that is one unit too long', () => {
  const values = new Int32Array(2 ** 17).fill(2 ** 20);
  values[0] = 1;
  const { l2Squared } = integerNorms(values);
  expect(l2Squared).toBe((2n ** 17n - 1n) * 2n ** 40n + 1n);
  expect(Number(l2Squared) === Number(l2Squared - 1n)).toBe(true);
});

test('no integer vector of a norm has a larger L1 norm than is said', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 30 }), (list) => {
      const { l2Squared, l1 } = integerNorms(Int32Array.from(list));
      expect(l1 <= l1Bound(l2Squared, list.length)).toBe(true);
    }),
  );
  // Both bounds are reached.
  expect(l1Bound(9n, 100)).toBe(9n);
  expect(l1Bound(400n, 4)).toBe(40n);
});
