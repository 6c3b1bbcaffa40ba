import { DEFAULT_CLIP_RULE, defaultBitDeviation, nextClip, splitNoise } from '@carapace/aggregation';
import { parseRational, toNumber } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';

describe('the noise of an adaptive clip', () => {
  // Andrew et al. 2021; the same numbers as TensorFlow Federated's adaptive_clip_noise_params.
  test.each([
    ['0.5', '2.5', 0.5025189076296],
    ['1', '5', 1.005037815259],
    ['2', '50', 2.00040012004],
  ])('of multiplier %s with %s on the count leaves %d for the updates', (z, bitDeviation, expected) => {
    const left = Math.sqrt(toNumber(splitNoise(parseRational(z), parseRational(bitDeviation))));
    expect(left / expected).toBeCloseTo(1, 11);
  });

  test('recombines to the multiplier, exactly', () => {
    const [z, bit] = [parseRational('0.7'), parseRational('1.3')];
    const left = splitNoise(z, bit);
    // 1 / left + 1 / (4 bit^2) = 1 / z^2 in integers.
    const sum =
      (left.denominator * 4n * bit.numerator ** 2n + left.numerator * bit.denominator ** 2n) * z.numerator ** 2n;
    expect(sum).toBe(z.denominator ** 2n * left.numerator * 4n * bit.numerator ** 2n);
  });

  test('is refused when the count would take all of it', () => {
    expect(() => splitNoise(parseRational('1'), parseRational('0.5'))).toThrow(/MECHANISM_PARAMETERS/);
    expect(() => splitNoise(parseRational('1'), parseRational('0.4'))).toThrow(/MECHANISM_PARAMETERS/);
  });

  test('is a twentieth of the cohort by default', () => expect(toNumber(defaultBitDeviation(50))).toBe(2.5));
});

describe('the next clip', () => {
  test('is 3 exp(-0.2 (0.5 - 0.2)) of 3', () => {
    // pfl-research/tests/privacy/test_adaptive_clipping.py
    expect(nextClip(3, 0.5, { quantile: 0.2, rate: 0.2 })).toBeCloseTo(2.825293600752746, 12);
  });

  test('does not run away when noise takes the share out of [0, 1]', () => {
    expect(nextClip(1, 40, DEFAULT_CLIP_RULE)).toBe(nextClip(1, 1, DEFAULT_CLIP_RULE));
    expect(nextClip(1, -40, DEFAULT_CLIP_RULE)).toBe(nextClip(1, 0, DEFAULT_CLIP_RULE));
  });

  test('stays a clip, and is not made from what is no share', () => {
    expect(nextClip(1e30, 0, DEFAULT_CLIP_RULE)).toBe(1e30);
    expect(nextClip(1e-30, 1, DEFAULT_CLIP_RULE)).toBe(1e-30);
    for (const bad of [Number.NaN, Infinity]) {
      expect(() => nextClip(1, bad, DEFAULT_CLIP_RULE)).toThrow(/MECHANISM_NONFINITE/);
    }
  });

  test('finds the quantile of the norms', () => {
    const norms = Array.from({ length: 1000 }, (_, i) => (i + 1) / 100);
    let clip = 0.01;
    for (let round = 0; round < 200; round++) {
      clip = nextClip(clip, norms.filter((norm) => norm <= clip).length / norms.length, { quantile: 0.3, rate: 0.2 });
    }
    expect(clip).toBeCloseTo(3, 1);
  });
});
