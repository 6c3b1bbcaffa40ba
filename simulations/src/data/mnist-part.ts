/** One client's share of MNIST under label skew: every process that names the same seed and parts cuts the same shares. */
import type { DataSource } from '@carapace/client-sdk';
import { byDirichlet, iid } from '../partition/partition.ts';
import type { Partition } from '../partition/partition.ts';
import { seededRandom } from '../seeded-random.ts';
import { mnistExamples, mnistLabels } from './mnist.ts';

export interface MnistPartOptions {
  /** From 0 on. */
  readonly part: number;
  readonly parts: number;
  /** Dirichlet concentration; null spreads evenly. */
  readonly alpha: number | null;
  readonly seed: string;
}

export function mnistPart({ part, parts, alpha, seed }: MnistPartOptions): DataSource {
  return {
    description: `MNIST, part ${part + 1} of ${parts} (${alpha === null ? 'even' : `Dirichlet ${alpha} by label`})`,
    load: async () => {
      const labels = await mnistLabels('train');
      return mnistExamples('train', partitionOf(labels, { parts, alpha, seed })[part] ?? new Uint32Array(0));
    },
  };
}

/** How many examples of each digit each part has: what to show of a split. */
export async function mnistLabelCounts(options: Omit<MnistPartOptions, 'part'>): Promise<number[][]> {
  const labels = await mnistLabels('train');
  return partitionOf(labels, options).map((part) => {
    const counts = new Array<number>(10).fill(0);
    for (const index of part) counts[labels[index]!]! += 1;
    return counts;
  });
}

function partitionOf(labels: Uint8Array, { parts, alpha, seed }: Omit<MnistPartOptions, 'part'>): Partition {
  const random = seededRandom(`mnist/${seed}`);
  return alpha === null ? iid(labels.length, parts, random) : byDirichlet(labels, parts, alpha, random);
}
