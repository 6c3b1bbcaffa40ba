import { roundedNormSquared } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { roundConditionally, roundingSlack } from '../../../src/privacy/mechanisms/conditional-rounding.ts';
import { withWorkspace } from '../../../src/privacy/mechanisms/lattice/kernel.ts';

const rounded = (values: Float64Array, l2Squared: bigint, seed: string): Int32Array =>
  withWorkspace(values.length, (workspace) => {
    workspace.numbers.set(values);
    roundConditionally(workspace, l2Squared, seededRandom(seed));
    return workspace.integers.slice();
  });

describe('the norm after rounding', () => {
  // distributed_dp/accounting_utils.py::rounded_l2_norm_bound of google-research/federated (a5af8c4), run there.
  test.each([
    [10, 0.6065306597126334, 1_048_576, 512.607061988],
    [100, 0, 65_536, 356],
    [100, 0.6065306597126334, 65_536, 163.1318485152],
    [1000, 0.6065306597126334, 1024, 1000.635797881],
  ])('of a vector of norm %d, beta %d, in %i dimensions is bounded by %d', (length, beta, dimension, expected) => {
    expect(Math.sqrt(roundedNormSquared(length, dimension, beta)) / expected).toBeCloseTo(1, 11);
  });

  test('is exceeded no more often than beta', () => {
    const dimension = 400;
    const values = new Float64Array(dimension).fill(0.5);
    const length = 0.5 * Math.sqrt(dimension);
    for (const beta of [0.6, 0.3]) {
      const bound = BigInt(Math.floor(roundedNormSquared(length, dimension, beta)));
      let tooLong = 0;
      for (let i = 0; i < 2000; i++) {
        const squared = rounded(values, 1n << 40n, `${beta}/${i}`).reduce((sum, x) => sum + x * x, 0);
        tooLong += BigInt(squared) > bound ? 1 : 0;
      }
      expect(tooLong / 2000).toBeLessThan(beta);
    }
  });

  test.each([-0.1, 0.95, 1, Number.NaN])('with beta %d is refused', (beta) => {
    expect(() => roundingSlack(beta)).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => roundedNormSquared(1, 1, beta)).toThrow(/MECHANISM_PARAMETERS/);
  });
});

describe('conditional rounding', () => {
  test('never gives a longer vector than was asked for, however rare a shorter one is', () => {
    const values = new Float64Array(64).fill(0.5);
    for (let i = 0; i < 50; i++) {
      // Half of the 64 round up in the mean; at most 26 of them does one in ten.
      expect(rounded(values, 26n, `rare/${i}`).reduce((sum, x) => sum + x * x, 0)).toBeLessThanOrEqual(26);
    }
  });

  test('gives up on a vector that has no such rounding, and on one that is not finite', () => {
    expect(() => rounded(new Float64Array(64).fill(2), 63n, 'none')).toThrow(/MECHANISM_NORM/);
    expect(() => rounded(new Float64Array(64).fill(Number.NaN), 1n << 60n, 'nan')).toThrow(/MECHANISM_NORM/);
    expect(() => rounded(new Float64Array(64).fill(2 ** 31), 1n << 80n, 'large')).toThrow(/MECHANISM_NORM/);
  });

  test('is unbiased where the condition does not bind', () => {
    const size = 200_000;
    for (const value of [0.25, -2.7, 100.01, 1e-3]) {
      const mean =
        rounded(new Float64Array(size).fill(value), 1n << 60n, `bias/${value}`).reduce((sum, x) => sum + x, 0) / size;
      const fraction = value - Math.floor(value);
      expect(Math.abs(mean - value)).toBeLessThan(6 * Math.sqrt((fraction * (1 - fraction)) / size));
    }
  });
});
