import { centre, wrap } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const anyBits = fc.integer({ min: 1, max: 32 });

test('what lies within half of the modulus comes back, ends included', () => {
  fc.assert(
    fc.property(anyBits, fc.double({ min: 0, max: 1, noNaN: true }), (bits, place) => {
      const half = 2 ** (bits - 1);
      const values = [-half, half - 1, 0, Math.min(half - 1, Math.floor((place * 2 - 1) * half))];
      expect([...centre(wrap(Int32Array.from(values), bits), bits)]).toEqual(values.map((value) => value + 0));
    }),
  );
});

test('sums of lanes are the sums of their integers modulo 2^bits, wherever the modulus is taken', () => {
  const integers = fc.array(fc.integer({ min: -(2 ** 20), max: 2 ** 20 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(anyBits, integers, (bits, list) => {
      const lanes = list.map((value) => wrap(Int32Array.of(value), bits)[0]!);
      const sum = list.reduce((total, value) => total + value, 0);
      const whole = lanes.reduce((total, lane) => (total + lane) >>> 0, 0);
      const half = 2 ** (bits - 1);
      const expected = ((((sum + half) % (2 * half)) + 2 * half) % (2 * half)) - half;
      expect(centre(Uint32Array.of(whole), bits)[0]).toBe(expected);
    }),
  );
});
