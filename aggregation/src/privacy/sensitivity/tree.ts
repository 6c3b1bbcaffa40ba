/**
 * Squared L2 sensitivity of all nodes of a binary tree without restarts, for a person who takes part up to k times with a least separation:
 * the largest sum, over the nodes, of the squared number of participations below it (Kairouz et al. 2021, appendix D.2).
 *
 * Instead of the best sum for each pair (leaves that must stay free at the start, leaves that stay free after the end), which takes the
 * recursion of TensorFlow Privacy minutes, a block keeps for each number of participations and each reachable sum the function from the one to the
 * least other. Two blocks are joined by composing functions, and there are few sums.
 */

/** What a block of leaves can hold: by participations, then by sum, the least end for every start; Infinity where it cannot be. */
type Block = readonly (readonly Reach[])[];

interface Reach {
  readonly sum: number;
  readonly endByStart: Float64Array;
}

/** @param separation leaves strictly between two participations */
export function treeSensitivitySquared(rounds: number, participations: number, separation: number): number {
  const width = separation + 1;
  const most = Math.min(participations, Math.ceil(rounds / width));
  let perfect = leaf(most, separation);
  let whole: Block | undefined;
  // From the smallest perfect tree to the largest: the largest stands leftmost.
  for (let size = 1; size <= rounds; size *= 2) {
    if ((rounds & size) !== 0) whole = whole === undefined ? perfect : join(perfect, whole, most, false);
    if (2 * size <= rounds) perfect = join(perfect, perfect, most, true);
  }
  let best = 0;
  for (const reaches of whole ?? []) {
    for (const { sum, endByStart } of reaches) if (endByStart[0]! <= separation) best = Math.max(best, sum);
  }
  return best;
}

function leaf(most: number, separation: number): Block {
  const starts = separation + 1;
  const empty = Float64Array.from({ length: starts }, (_, start) => Math.max(0, start - 1));
  const taken = Float64Array.from({ length: starts }, (_, start) => (start === 0 ? separation : Infinity));
  return [[{ sum: 0, endByStart: empty }], ...(most >= 1 ? [[{ sum: 1, endByStart: taken }]] : [])];
}

/** @param isNode the two are halves of a node of the tree, which counts too */
function join(left: Block, right: Block, most: number, isNode: boolean): Block {
  const block: Map<number, Float64Array>[] = [];
  for (let i = 0; i < left.length; i++) {
    for (let j = 0; j < right.length && i + j <= most; j++) {
      const node = isNode ? (i + j) ** 2 : 0;
      const sums = (block[i + j] ??= new Map<number, Float64Array>());
      for (const first of left[i]!) {
        for (const second of right[j]!)
          keepLeast(sums, first.sum + second.sum + node, first.endByStart, second.endByStart);
      }
    }
  }
  return block.map(undominated).filter((reaches) => reaches.length > 0);
}

/** Of two ways to the same sum, at each start the one that ends first. */
function keepLeast(sums: Map<number, Float64Array>, sum: number, first: Float64Array, second: Float64Array): void {
  if (first[0] === Infinity) return;
  const least = sums.get(sum) ?? new Float64Array(first.length).fill(Infinity);
  for (let start = 0; start < first.length; start++) {
    const between = first[start]!;
    const end = between === Infinity ? Infinity : second[between]!;
    if (end < least[start]!) least[start] = end;
  }
  sums.set(sum, least);
}

/** Without those that no start makes better than a larger sum. */
function undominated(sums: ReadonlyMap<number, Float64Array>): Reach[] {
  const kept: Reach[] = [];
  for (const [sum, endByStart] of [...sums].sort(([a], [b]) => b - a)) {
    if (endByStart[0] === Infinity) continue;
    if (!kept.some((other) => other.endByStart.every((end, start) => end <= endByStart[start]!)))
      kept.push({ sum, endByStart });
  }
  return kept;
}
