import { describe, expect, test } from 'vitest';
import {
  bandedSensitivitySquared,
  squareRootSensitivitySquared,
} from '../../src/privacy/sensitivity/matrix-factorisation.ts';
import { treeSensitivitySquared } from '../../src/privacy/sensitivity/tree.ts';

/** All patterns of participation, all nodes. */
function byForce(rounds: number, participations: number, separation: number): number {
  let best = 0;
  const visit = (chosen: readonly number[], from: number): void => {
    best = Math.max(best, nodeSum(rounds, chosen));
    if (chosen.length === participations) return;
    for (let p = from; p < rounds; p++) visit([...chosen, p], p + separation + 1);
  };
  visit([], 0);
  return best;
}

function nodeSum(rounds: number, chosen: readonly number[]): number {
  let [sum, offset] = [0, 0];
  for (let size = 2 ** 20; size >= 1; size /= 2) {
    if ((rounds & size) === 0) continue;
    for (let node = 1; node <= size; node *= 2) {
      for (let start = offset; start < offset + size; start += node) {
        sum += chosen.filter((p) => p >= start && p < start + node).length ** 2;
      }
    }
    offset += size;
  }
  return sum;
}

describe('the tree’s sensitivity', () => {
  test('equals the best of all patterns', () => {
    for (let rounds = 1; rounds <= 14; rounds++) {
      for (const participations of [1, 2, 3]) {
        for (const separation of [0, 1, 2, 4]) {
          const found = treeSensitivitySquared(rounds, participations, separation);
          expect(found, `${rounds} ${participations} ${separation}`).toBe(byForce(rounds, participations, separation));
        }
      }
    }
  });

  test('of a published plan, which took a published recursion minutes', () => {
    expect(treeSensitivitySquared(2000, 6, 313)).toBe(79);
  });
});

describe('factorisations', () => {
  test('the square root times itself is the prefix sum, and its worst pattern is the earliest', () => {
    const n = 24;
    const c = [1];
    for (let j = 1; j < n; j++) c.push((c[j - 1]! * (2 * j - 1)) / (2 * j));
    for (let k = 0; k < n; k++) {
      expect(c.slice(0, k + 1).reduce((sum, value, j) => sum + value * c[k - j]!, 0)).toBeCloseTo(1, 12);
    }
    const squared = (pattern: readonly number[]): number => {
      const rows = Array.from({ length: n }, (_, row) =>
        pattern.reduce((sum, p) => sum + (row >= p ? c[row - p]! : 0), 0),
      );
      return rows.reduce((sum, row) => sum + row * row, 0);
    };
    let best = 0;
    for (let a = 0; a < n; a++)
      for (let b = a + 5; b < n; b++) for (let d = b + 5; d < n; d++) best = Math.max(best, squared([a, b, d]));
    expect(squareRootSensitivitySquared(n, 3, 4)).toBeCloseTo(best, 12);
  });

  test('no more participations than fit', () => {
    expect(bandedSensitivitySquared(10, 100, 4, 2)).toBe(2 * 4);
  });
});
