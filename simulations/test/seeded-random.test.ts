import { seededRandom } from '@carapace/simulations';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const take = (seed: string, count = 20) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.uniform());
};

test('a seed is a world: the same numbers again, others for another seed', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(take(a)).toEqual(take(a));
      if (a !== b) expect(take(a)).not.toEqual(take(b));
    }),
  );
});

test('the numbers of a seed are the same for ever, so that a simulation can be repeated by anyone', () => {
  expect(Buffer.from(seededRandom('carapace').bytes(16)).toString('hex')).toBe('46ffe09724b39838994ce6701d2afb53');
});

test('a fork depends on its name, not on what was drawn before it', () => {
  const fresh = seededRandom('a').fork('b');
  const used = seededRandom('a');
  used.bytes(100);
  expect(used.fork('b').bytes(32)).toEqual(fresh.bytes(32));
  expect(seededRandom('a').fork('c').bytes(32)).not.toEqual(seededRandom('a').fork('b').bytes(32));
});

test('however the bytes are asked for, they are one stream', () => {
  const pieces = seededRandom('s');
  const joined = [...pieces.bytes(3), ...pieces.bytes(0), ...pieces.bytes(29)];
  expect(joined).toEqual([...seededRandom('s').bytes(32)]);
});

test('uniform numbers: in [0, 1), with the moments of the uniform distribution', () => {
  const numbers = take('uniform', 100_000);
  expect(numbers.every((value) => value >= 0 && value < 1)).toBe(true);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  // Four standard errors; the seed is fixed, so this holds always or never.
  expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / numbers.length));
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / numbers.length));
  expect(new Set(numbers).size).toBe(numbers.length);
});
