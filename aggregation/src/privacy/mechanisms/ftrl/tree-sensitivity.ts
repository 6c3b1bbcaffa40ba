/**
 * Squared sensitivity of all node sums of a forest of complete binary trees: the largest sum over nodes of the squared number of times
 * that one person is below. It is that of the binary tree mechanism with restricted participation (Kairouz et al., "Practical and Private
 * (Deep) Learning without Sampling or Shuffling", 2021, appendix D; the recursion of TensorFlow Privacy's tree_aggregation_accountant).
 *
 * That recursion runs over offsets at both ends of every tree, for every count. Here the ends are a function: for a count and a value,
 * the most free leaves that can follow when at least `a` lead. Two neighbours are then one composition of two functions, and a function
 * that is nowhere above one of a larger value is dropped; few are left.
 */
import { AggregationError } from '../../../errors.ts';
import { checkParticipation } from './participation.ts';
import type { Participation } from './participation.ts';

/** Ways to place a number of participations, all of one value. */
interface Placement {
  readonly value: number;
  /** By the number of leaves that must be free in front: how many can be at the end, at most `gap`; -1 where there is no way. */
  readonly free: Int32Array;
}

/** The time grows with their square: half a second for 2,000. */
const MOST_PARTICIPATIONS = 4096;

/** By the number of participations. */
type Placements = readonly (readonly Placement[])[];

/** In units of one contribution, squared. @throws AggregationError `MECHANISM_PARAMETERS` */
export function treeSensitivitySquared(
  steps: number,
  participation: Participation,
  restartEvery: number = steps,
): number {
  checkParticipation(steps, participation);
  const gap = Math.min(participation.apart, steps) - 1;
  const most = Math.min(participation.most, Math.ceil(steps / participation.apart));
  if (most > MOST_PARTICIPATIONS) {
    throw new AggregationError('MECHANISM_PARAMETERS', `${most} participations, at most ${MOST_PARTICIPATIONS}`);
  }
  const heights = forestHeights(steps, restartEvery);
  const trees = treesUpTo(Math.max(...heights), gap, most);
  let forest: Placements = [];
  let size = 0;
  for (const height of heights) {
    forest = size === 0 ? trees[height]! : beside(forest, size, trees[height]!, 2 ** height, { gap, most });
    size += 2 ** height;
  }
  return Math.max(...forest.flat().map(({ value }) => value));
}

/** The trees that stand when the steps are over: each run between restarts leaves one for every bit of its length. */
export function forestHeights(steps: number, restartEvery: number): number[] {
  const heights: number[] = [];
  for (let left = steps; left > 0; left -= restartEvery) {
    const run = Math.min(left, restartEvery);
    for (let height = Math.floor(Math.log2(run)); height >= 0; height--) {
      if (Math.floor(run / 2 ** height) % 2 === 1) heights.push(height);
    }
  }
  return heights;
}

function treesUpTo(height: number, gap: number, most: number): Placements[] {
  const leaf: Placement = { value: 1, free: new Int32Array(gap + 1).fill(-1).fill(0, 0, 1) };
  const trees: Placements[] = [[[], [leaf]]];
  for (let h = 1; h <= height; h++) {
    const half = trees[h - 1]!;
    const pair = beside(half, 2 ** (h - 1), half, 2 ** (h - 1), { gap, most });
    // The node above both counts all of them.
    trees.push(pair.map((ways, count) => ways.map(({ value, free }) => ({ value: value + count ** 2, free }))));
  }
  return trees;
}

function beside(
  left: Placements,
  leftSize: number,
  right: Placements,
  rightSize: number,
  { gap, most }: { readonly gap: number; readonly most: number },
): Placements {
  const counts = Math.min(most, left.length + right.length - 2);
  return Array.from({ length: counts + 1 }, (_, count) => {
    const best = new Best(gap);
    for (const way of left[count] ?? []) best.add(way.value, (lead) => withRoom(way.free[lead]!, rightSize, gap));
    for (const way of right[count] ?? []) best.add(way.value, (lead) => way.free[Math.max(0, lead - leftSize)]!);
    for (let i = 1; i < count; i++) {
      for (const a of left[i] ?? []) {
        for (const b of right[count - i] ?? []) {
          // What is free at the end of the left one need not be free at the beginning of the right one.
          best.add(a.value + b.value, (lead) => (a.free[lead]! < 0 ? -1 : b.free[gap - a.free[lead]!]!));
        }
      }
    }
    return best.undominated();
  });
}

function withRoom(free: number, leaves: number, gap: number): number {
  return free < 0 ? -1 : Math.min(gap, free + leaves);
}

/** The best function for each value. */
class Best {
  readonly #byValue = new Map<number, Int32Array>();
  readonly #gap: number;

  constructor(gap: number) {
    this.#gap = gap;
  }

  add(value: number, free: (lead: number) => number): void {
    const best = this.#byValue.get(value) ?? new Int32Array(this.#gap + 1).fill(-1);
    this.#byValue.set(value, best);
    for (let lead = 0; lead < best.length; lead++) best[lead] = Math.max(best[lead]!, free(lead));
  }

  /** By falling value, those that are somewhere above all of larger value. */
  undominated(): Placement[] {
    const above = new Int32Array(this.#gap + 1).fill(-1);
    const kept: Placement[] = [];
    for (const [value, free] of [...this.#byValue].toSorted((a, b) => b[0] - a[0])) {
      let isAbove = false;
      for (let lead = 0; lead < free.length; lead++) {
        isAbove ||= free[lead]! > above[lead]!;
        above[lead] = Math.max(above[lead]!, free[lead]!);
      }
      if (isAbove) kept.push({ value, free });
    }
    return kept;
  }
}
