import { rotationSeed, rotationWidth } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { withWorkspace } from '../../../src/privacy/mechanisms/lattice/kernel.ts';
import { rotate, unrotate } from '../../../src/privacy/mechanisms/rotation.ts';

const rotated = (values: Float64Array, seed: Uint8Array, factor = 1): Float64Array =>
  withWorkspace(values.length, (workspace) => {
    workspace.numbers.set(values);
    rotate(workspace, seed, factor);
    return workspace.numbers.slice();
  });

const seedOf = (name: number | string): Uint8Array => rotationSeed(seededRandom(name).bytes(32));
const normOf = (values: Float64Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
const noiseOf = (dimension: number): Float64Array =>
  Float64Array.from(new Int32Array(seededRandom(dimension).bytes(4 * dimension).buffer), (x) => x / 2 ** 31);

describe('a rotation', () => {
  test.each([1, 2, 3, 7, 8, 100, 1000, 4097, 65_535, 100_000])(
    'of %i coordinates keeps norms, and comes back',
    (dimension) => {
      const values = noiseOf(dimension);
      const seed = seedOf(dimension);
      const turned = rotated(values, seed, 4);
      // Not one coordinate more.
      expect(turned).toHaveLength(dimension);
      expect(normOf(turned) / normOf(values) / 4).toBeCloseTo(1, 12);
      unrotate(turned, seed, 0.25).forEach((value, i) => expect(Math.abs(value - values[i]!)).toBeLessThan(1e-12));
    },
  );

  test('is linear: sums of rotated vectors are rotated sums', () => {
    const [a, b] = [noiseOf(300), noiseOf(300).toReversed()];
    const seed = seedOf('linear');
    const [left, right] = [rotated(a, seed), rotated(b, seed)];
    rotated(
      a.map((x, i) => x + b[i]!),
      seed,
    ).forEach((x, i) => expect(x).toBeCloseTo(left[i]! + right[i]!, 12));
  });

  test('is another one for another session, and the same for the same', () => {
    const values = noiseOf(64);
    expect(rotated(values, seedOf(1))).toEqual(rotated(values, seedOf(1)));
    expect(rotated(values, seedOf(1))).not.toEqual(rotated(values, seedOf(2)));
  });
});

describe('concentration', () => {
  /** Sub-Gaussian with variance proxy |x|^2 / width: above this with probability 1e-9 for any of d coordinates. */
  const limit = (dimension: number): number =>
    Math.sqrt((2 * Math.log((2 * dimension) / 1e-9)) / rotationWidth(dimension));
  const largest = (values: Float64Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

  test.each([100, 1023, 1025, 5000, 100_000])('of %i coordinates, wherever the vector is concentrated', (dimension) => {
    const width = rotationWidth(dimension);
    const unit = (...at: number[]): Float64Array => {
      const values = new Float64Array(dimension);
      for (const i of at) values[((i % dimension) + dimension) % dimension] = 1 / Math.sqrt(at.length);
      return values;
    };
    const places = [
      unit(0),
      unit(-1),
      unit(width - 1),
      unit(width),
      unit(dimension - width),
      unit(0, -1),
      unit(3, 5, 7, 11),
    ];
    const ones = new Float64Array(dimension).fill(dimension ** -0.5);
    const tail = new Float64Array(dimension).fill(0).fill((dimension - width || 1) ** -0.5, width);
    for (const [i, values] of [...places, ones, tail].entries()) {
      expect(largest(rotated(values, seedOf(`${dimension}/${i}`)))).toBeLessThan(limit(dimension));
    }
  });

  test('the check would object to a vector that is left alone at its end', () => {
    const values = new Float64Array(1025);
    values[1024] = 1;
    expect(largest(values)).toBeGreaterThan(limit(1025));
  });

  test('each coordinate has the variance |x|^2 / width or less, over sessions', () => {
    const dimension = 24;
    const sessions = 4000;
    const values = Float64Array.from({ length: dimension }, (_, i) => (i === 2 ? 1 : 0));
    const squares = new Float64Array(dimension);
    for (let s = 0; s < sessions; s++) {
      const random = seededRandom(`variance/${s}`).bytes(32);
      rotated(values, random).forEach((x, i) => (squares[i]! += x * x));
    }
    for (const square of squares) expect(square / sessions).toBeLessThan((1 / 16) * (1 + 6 * Math.sqrt(2 / sessions)));
  });
});
