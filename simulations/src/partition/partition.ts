/** How a data set is spread over clients. Every partitioner gives each example to exactly one part, and no part is empty. */
import { sample } from '@carapace/crypto';
import { SimulationError } from '../errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { dirichlet } from './gamma.ts';

/** Indices of the examples of each part, ascending. */
export type Partition = readonly Uint32Array[];

/** Equal shares of a random order. */
export function iid(count: number, parts: number, random: SeededRandom): Partition {
  check(count, parts, 1);
  const order = sample(random, range(count), count);
  return finish(
    Array.from({ length: parts }, (_value, part) =>
      order.slice(Math.floor((part * count) / parts), Math.floor(((part + 1) * count) / parts)),
    ),
  );
}

/**
 * Label skew: the examples of every class are spread by a Dirichlet(alpha) vector of its own (Hsu, Qi and Brown 2019; NIID-Bench's
 * `noniid-labeldir`). Small alpha, few classes a client. Drawn again until every part has `minimum` examples.
 */
export function byDirichlet(
  labels: ArrayLike<number>,
  parts: number,
  alpha: number,
  random: SeededRandom,
  minimum = 10,
): Partition {
  check(labels.length, parts, minimum);
  checkAlpha(alpha);
  const classes = groupByLabel(labels);
  // Sizes are drawn until they serve, and only then is anything dealt: dealing costs many times as much as drawing.
  for (let attempt = 0; attempt < 1000; attempt++) {
    const cuts = classes.map((members) => cumulative(dirichlet(random, alpha, parts), members.length));
    if (sizesOf(cuts, parts).every((size) => size >= minimum)) return finish(deal(classes, cuts, parts, random));
  }
  throw new SimulationError(
    'PARTITION_INVALID',
    `no draw of Dirichlet(${alpha}) gave each of ${parts} parts ${minimum} examples: raise alpha or ask for fewer parts`,
  );
}

/** McMahan et al. 2017, section 3: sorted by label, cut into shards, `shardsPerPart` of them to each part. */
export function byShards(
  labels: ArrayLike<number>,
  parts: number,
  shardsPerPart: number,
  random: SeededRandom,
): Partition {
  check(labels.length, parts, shardsPerPart);
  const shards = parts * shardsPerPart;
  const sorted = range(labels.length).sort((a, b) => labels[a]! - labels[b]! || a - b);
  const dealt = sample(random, range(shards), shards);
  const shard = (number: number): number[] =>
    sorted.slice(Math.floor((number * sorted.length) / shards), Math.floor(((number + 1) * sorted.length) / shards));
  return finish(
    Array.from({ length: parts }, (_value, part) =>
      dealt.slice(part * shardsPerPart, (part + 1) * shardsPerPart).flatMap(shard),
    ),
  );
}

/** Quantity skew: sizes by one Dirichlet(alpha) vector, labels at random (NIID-Bench's `iid-diff-quantity`). */
export function byQuantity(count: number, parts: number, alpha: number, random: SeededRandom, minimum = 10): Partition {
  check(count, parts, minimum);
  checkAlpha(alpha);
  const order = sample(random, range(count), count);
  const free = count - parts * minimum;
  const cuts = cumulative(dirichlet(random, alpha, parts), free).map((cut, part) => cut + (part + 1) * minimum);
  return finish(cuts.map((cut, part) => order.slice(part === 0 ? 0 : cuts[part - 1], cut)));
}

function sizesOf(cuts: readonly (readonly number[])[], parts: number): number[] {
  return Array.from({ length: parts }, (_value, part) =>
    cuts.reduce((size, ends) => size + ends[part]! - (ends[part - 1] ?? 0), 0),
  );
}

/** Of each class in a random order, the items up to each cut go to one part after the other. */
function deal(
  classes: readonly number[][],
  cuts: readonly (readonly number[])[],
  parts: number,
  random: SeededRandom,
): number[][] {
  const orders = classes.map((members) => sample(random, members, members.length));
  return Array.from({ length: parts }, (_value, part) =>
    orders.flatMap((order, label) => order.slice(cuts[label]![part - 1] ?? 0, cuts[label]![part])),
  );
}

/** Cut points of `count` items by shares that sum to 1: the last is exactly `count`. */
function cumulative(shares: readonly number[], count: number): number[] {
  let sum = 0;
  return shares.map((share, index) => {
    sum += share;
    return index === shares.length - 1 ? count : Math.min(count, Math.round(sum * count));
  });
}

function groupByLabel(labels: ArrayLike<number>): number[][] {
  const groups = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    const group = groups.get(label) ?? [];
    group.push(i);
    groups.set(label, group);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

function finish(shares: readonly number[][]): Partition {
  return shares.map((share) => Uint32Array.from(share).sort());
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_value, index) => index);
}

function check(count: number, parts: number, each: number): void {
  const sound = Number.isInteger(parts) && parts >= 1 && Number.isInteger(each) && each >= 1;
  if (sound && parts * each <= count) return;
  throw new SimulationError(
    'PARTITION_INVALID',
    `${parts} parts of ${each} are asked for, there are ${count} examples`,
  );
}

function checkAlpha(alpha: number): void {
  if (!(alpha > 0 && alpha <= 1e6))
    throw new SimulationError('PARTITION_INVALID', `alpha is ${alpha}; allowed is above 0 up to 10^6`);
}
