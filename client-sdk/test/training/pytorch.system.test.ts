/** PyTorch as a second oracle: a hundred steps from the same weights and batches. `vectors/pytorch-steps.py` made the file, in binary64. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Examples, TrainingEngine } from '../../src/training/engine.ts';
import { openNativeEngine } from '../../src/training/native/engine.ts';
import { sizeOf } from '../../src/training/plan/operators.ts';
import type { Shape } from '../../src/training/plan/operators.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import { chain, layer } from './topologies.ts';

interface Reference {
  readonly learningRate: number;
  readonly momentum: number;
  /** In the order of `getWeights()`; of the values every so many. */
  readonly tensors: readonly { readonly norm: number; readonly every: number; readonly values: readonly number[] }[];
  /** Means over ten steps each. */
  readonly losses: readonly number[];
}

const file = JSON.parse(readFileSync(new URL('../vectors/pytorch-steps.json', import.meta.url), 'utf8')) as Readonly<
  Record<'2nn' | 'cnn', Reference>
> & { readonly torch: string };

const BATCH = 10;
const STEPS = 100;
const WIDTH = 784;
/** Of the largest number in the tensor. */
const TOLERANCE = 1e-4;

const relu = (units: number): ReturnType<typeof layer> => layer('Dense', { units, activation: 'relu' });
const output = layer('Dense', { units: 10, activation: 'softmax' });
const convolution = (filters: number, padding: string): ReturnType<typeof layer> =>
  layer('Conv2D', { filters, kernel_size: [5, 5], padding, activation: 'relu' });
const pooling = layer('MaxPooling2D', { pool_size: [2, 2] });

const SPECS = {
  '2nn': chain([WIDTH], [relu(200), relu(200), output], 'sparse-categorical-crossentropy'),
  cnn: chain(
    [WIDTH],
    [
      layer('Reshape', { target_shape: [28, 28, 1] }),
      convolution(6, 'same'),
      pooling,
      convolution(8, 'valid'),
      pooling,
      layer('Flatten'),
      relu(32),
      output,
    ],
    'sparse-categorical-crossentropy',
  ),
};

/** Values in [-1, 1) of 24 bits: `hashed` of the script. */
function hashed(seed: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_value, at) => {
    let x = (Math.imul(at, 0x9e3779b1) + Math.imul(seed, 0x85ebca6b)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
    return ((x ^ (x >>> 16)) >>> 8) / 2 ** 23 - 1;
  });
}

function startingWeights(shapes: readonly Shape[]): Float32Array {
  const parts = shapes.map((shape, at) => {
    const fanIn = shape.length === 1 ? 100 : sizeOf(shape.slice(0, -1));
    return hashed(at + 1, sizeOf(shape)).map((value) => value * Math.sqrt(3 / fanIn));
  });
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

function lengthOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

const EXAMPLES: Examples = {
  count: BATCH * STEPS,
  features: Float32Array.from(hashed(100, BATCH * STEPS * WIDTH), (value) => (value + 1) / 2),
  labels: Int32Array.from(hashed(101, BATCH * STEPS), (value) => Math.floor((value + 1) * 5)),
};

const native = await openNativeEngine();
const engines: readonly TrainingEngine[] = [
  openPortableEngine(),
  await openTfjsEngine(),
  // onnxruntime-node is optional.
  ...('missing' in native ? [] : [native]),
];

test.each(engines.flatMap((engine) => (['2nn', 'cnn'] as const).map((model) => [engine.name, model, engine] as const)))(
  `%s, %s: as PyTorch ${file.torch}`,
  async (_name, model, engine) => {
    const { learningRate, momentum, tensors, losses } = file[model];
    const spec = SPECS[model];
    const trainer = await engine.load(spec);
    const start = startingWeights(spec.tensors.map(({ shape }) => shape));
    trainer.setWeights(start);
    const settings = { batchSize: BATCH, optimizer: { kind: 'sgd', learningRate, momentum } } as const;
    const part = EXAMPLES.count / losses.length;
    for (const [at, wanted] of losses.entries()) {
      const order = Uint32Array.from({ length: part }, (_value, place) => at * part + place);
      const { loss } = await trainer.trainEpoch(EXAMPLES, order, settings, new AbortController().signal);
      expect(Math.abs(loss - wanted)).toBeLessThanOrEqual(TOLERANCE * wanted);
    }
    const found = trainer.weights();
    let offset = 0;
    for (const [at, { shape }] of spec.tensors.entries()) {
      const { norm, every, values } = tensors[at]!;
      const own = found.subarray(offset, offset + sizeOf(shape));
      const scale = Math.max(...values.map(Math.abs));
      expect(Math.abs(lengthOf(own) - norm)).toBeLessThanOrEqual(TOLERANCE * norm);
      const off = values.map((wanted, place) => Math.abs(own[place * every]! - wanted));
      expect(Math.max(...off)).toBeLessThanOrEqual(TOLERANCE * scale);
      // The steps went far beyond the tolerance.
      const moved = values.map((wanted, place) => Math.abs(start[offset + place * every]! - wanted));
      expect(Math.max(...moved)).toBeGreaterThan(10 * TOLERANCE * scale);
      offset += own.length;
    }
    trainer.dispose();
  },
);
