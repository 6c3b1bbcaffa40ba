import process from 'node:process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_SEED, seedOf } from '../property-seed.ts';

const draw = (): number => 42;

describe('the seed of property tests', () => {
  test.each([
    [undefined, DEFAULT_SEED],
    ['', DEFAULT_SEED],
    ['7', 7],
    ['-3', -3],
    ['1764076746000', 1_764_076_746_000],
    ['random', 42],
  ])('of %j', (text, seed) => {
    expect(seedOf(text, draw)).toBe(seed);
  });

  test('of a text is a number that belongs to it', () => {
    expect(Number.isSafeInteger(seedOf('shares, the 3rd', draw))).toBe(true);
    expect(seedOf('a', draw)).not.toBe(seedOf('b', draw));
  });

  test('is set in this run, so that two draws are alike', () => {
    expect(fc.readConfigureGlobal().seed).toBe(seedOf(process.env['CARAPACE_TEST_SEED'], draw));
    expect(fc.sample(fc.nat(), 20)).toEqual(fc.sample(fc.nat(), 20));
  });
});
