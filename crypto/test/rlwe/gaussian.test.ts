import { rlweParameters } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { discreteGaussian } from '../../src/rlwe/gaussian.ts';
import type { Gaussian } from '../../src/rlwe/gaussian.ts';
import { kernelOf } from '../../src/rlwe/kernel.ts';
import { keyStream } from '../../src/key-stream.ts';
import { referenceSamples } from '../../src/rlwe/reference.ts';
import { ERROR, SECRET } from '../../src/rlwe/ring.ts';

const parameters = rlweParameters({ ring: 'rlwe-8192-210', clients: 10, maxValue: 1, length: 1 });
const kernel = kernelOf(parameters.ring);
/** A group that is sent in full. */
const WHOLE = { index: 0, from: 0, to: 1, firstBlock: 0, blocks: parameters.ring.dimension / 16 };

/** Exact to 400 bits: exp(-k^2 / t), each from its own series, with t given in halves. */
function exactWeights(halves: bigint): bigint[] {
  const one = 1n << 400n;
  return Array.from({ length: 110 }, (_, k) => {
    let sum = 0n;
    let term = one << 200n;
    for (let i = 1n; term !== 0n; i++) {
      sum += term;
      term = (term * 2n * BigInt(k * k)) / (halves * i);
    }
    return ((one << 200n) * one) / sum;
  });
}

describe.each([
  ['secrets', SECRET, 81n, 4.5],
  ['errors', ERROR, 162n, 4.5 * Math.SQRT2],
])('the table of %s', (_name, gaussian, halves, sigma) => {
  const exact = exactWeights(halves);
  const total = exact.reduce((sum, weight, k) => sum + (k === 0 ? 1n : 2n) * weight, 0n);

  test('each threshold is the cumulative probability, off by half a unit at most', () => {
    let cumulative = 0n;
    for (const [k, threshold] of gaussian.thresholds.entries()) {
      cumulative += (k === 0 ? 1n : 2n) * exact[k]!;
      const off = (threshold * total - (cumulative << 63n)) * 2n;
      expect(off <= total && off >= -total).toBe(true);
    }
  });

  test('what is cut is less than half a unit, 2^-64', () => {
    const tail = exact.slice(gaussian.bound).reduce((sum, weight) => sum + 2n * weight, 0n);
    const beyond = exact.slice(gaussian.bound + 1).reduce((sum, weight) => sum + 2n * weight, 0n);
    expect(beyond << 64n < total).toBe(true);
    expect(tail << 64n > total).toBe(true);
  });

  test('deviation and bound', () => {
    const sizes = gaussian.thresholds.reduce<number[]>((list, threshold, k) => {
      const before = k === 0 ? 0n : gaussian.thresholds[k - 1]!;
      return [...list, Number(threshold - before) / 2 ** 63];
    }, []);
    const variance = sizes.reduce((sum, share, k) => sum + share * k * k, 0);
    expect(variance).toBeCloseTo(sigma * sigma, 9);
    expect(gaussian.bound).toBe(sigma === 4.5 ? 41 : 58);
  });

  test('thresholds increase and stay below 2^63', () => {
    const { thresholds } = gaussian;
    expect(thresholds.every((threshold, k) => k === 0 || threshold > thresholds[k - 1]!)).toBe(true);
    expect(thresholds.at(-1)! < 1n << 63n).toBe(true);
  });
});

describe('samples of the kernel', () => {
  const keys = drawn(24, (stream) => kernel.sampleKey(stream));
  const errors = drawn(8, (stream) => {
    kernel.sampleErrors(stream, WHOLE);
    return Int32Array.from(kernel.errors, (value) => value - ERROR.bound);
  });

  test.each([
    ['keys', keys, SECRET],
    ['errors', errors, ERROR],
  ])('%s: chi-square against the exact probabilities', (_name, samples, gaussian) => {
    const { statistic, limit } = chiSquare(samples, gaussian);
    expect(statistic).toBeLessThan(limit);
  });

  test.each([
    ['a deviation 2 % smaller', keys, discreteGaussian(42)],
    ['a deviation 2 % larger', errors, discreteGaussian(78)],
  ])('the checker objects to %s', (_name, samples, wrong) => {
    const { statistic, limit } = chiSquare(samples, wrong);
    expect(statistic).toBeGreaterThan(limit);
  });

  test.each([
    ['keys', keys, 20.25],
    ['errors', errors, 40.5],
  ])('%s: mean, variance, fourth moment and neighbours within 5 standard errors', (_name, samples, variance) => {
    const n = samples.length;
    const mean = (f: (value: number, i: number) => number): number =>
      samples.reduce((sum, value, i) => sum + f(value, i), 0) / n;
    expect(Math.abs(mean((x) => x))).toBeLessThan(5 * Math.sqrt(variance / n));
    expect(Math.abs(mean((x) => x * x) - variance)).toBeLessThan(5 * variance * Math.sqrt(2 / n));
    expect(Math.abs(mean((x) => x ** 4) - 3 * variance ** 2)).toBeLessThan(5 * variance ** 2 * Math.sqrt(96 / n));
    for (const lag of [1, 2, 4, 8]) {
      expect(Math.abs(mean((x, i) => x * (samples[i + lag] ?? 0)))).toBeLessThan((5 * variance) / Math.sqrt(n));
    }
  });

  test('are those of the definition', () => {
    const bytes = new Uint8Array(8 * 8192);
    keyStream(new Uint8Array(32), 9, 9).fill(bytes);
    const key = kernel.exclusively(parameters, () => kernel.sampleKey(keyStream(new Uint8Array(32), 9, 9)));
    expect([...key]).toEqual(referenceSamples(SECRET, bytes).map((value) => value + 0));
  });
});

function drawn(times: number, draw: (stream: ReturnType<typeof keyStream>) => Int32Array): number[] {
  const seed = seededRandom('gaussian').bytes(32);
  return kernel.exclusively(parameters, () =>
    Array.from({ length: times }, (_, i) => [...draw(keyStream(seed, 5, i))]).flat(),
  );
}

/** Over -bound to bound, with the tails put together where fewer than 20 are expected; the limit is passed once in 10^6 seeds. */
function chiSquare(samples: readonly number[], { thresholds, bound }: Gaussian): { statistic: number; limit: number } {
  const share = (size: number): number =>
    Number(thresholds[size]! - (size === 0 ? 0n : thresholds[size - 1]!)) / 2 ** 63;
  let edge = 1;
  while (edge < bound && (samples.length * share(edge)) / 2 > 20) edge++;
  const bins = 2 * edge + 1;
  const expected = new Float64Array(bins);
  for (let size = 0; size < bound; size++) {
    const bin = Math.min(size, edge);
    expected[edge - bin]! += (samples.length * share(size)) / 2;
    expected[edge + bin]! += (samples.length * share(size)) / 2;
  }
  const found = new Float64Array(bins);
  for (const value of samples) found[edge + Math.max(-edge, Math.min(edge, value))]!++;
  const statistic = found.reduce((sum, count, bin) => sum + (count - expected[bin]!) ** 2 / expected[bin]!, 0);
  // Wilson and Hilferty: the cube root of chi-square over its degrees of freedom is nearly normal; 4.75 deviations.
  const degrees = bins - 1;
  const limit = degrees * (1 - 2 / (9 * degrees) + 4.75 * Math.sqrt(2 / (9 * degrees))) ** 3;
  return { statistic, limit };
}
