/** Compiled steps against TensorFlow.js from the same weights and batches. TensorFlow.js is one global object: a process of its own. */
import type * as Tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Examples, ModelSpec, TrainingEngine } from '../../src/training/engine.ts';
import { openNativeEngine } from '../../src/training/native/engine.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import type { LossName, OptimizerSettings } from '../../src/training/settings.ts';
import { openBackend } from '../../src/training/tfjs/backend.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import { exportedOutputs } from './exported.ts';
import { largestDifference, numbers, specOf, train, weightsFor } from './exactness.ts';

let tf: typeof Tf;
let oracle: TrainingEngine;
const runtime = await import('onnxruntime-node').catch(() => null);
const native = await openNativeEngine();
/** The engines that compile: onnxruntime-node is optional. */
const compiled: readonly TrainingEngine[] = [openPortableEngine(), ...('missing' in native ? [] : [native])];
beforeAll(async () => {
  ({ tf } = await openBackend());
  oracle = await openTfjsEngine();
});

const BATCH = 4;
/** Four whole batches and a short one. */
const COUNT = 4 * BATCH + 3;
const SGD: OptimizerSettings = { kind: 'sgd', learningRate: 0.1, momentum: 0 };

function examplesFor(model: Tf.LayersModel, loss: LossName, seed: string, indices = 0): Examples {
  const size = (shape: Tf.Shape): number => shape.slice(1).reduce<number>((total, length) => total * length!, 1);
  const features = numbers(`${seed} x`, COUNT * size(model.inputs[0]!.shape));
  const output = model.outputs[0]!.shape;
  const classes = output.at(-1)!;
  const positions = size(output) / classes;
  const sparse = loss === 'sparse-categorical-crossentropy';
  const raw = numbers(`${seed} y`, COUNT * (sparse ? positions : positions * classes));
  const labels = raw.map((value, at) => {
    if (sparse) return Math.floor(((value + 1) / 2) * classes);
    if (loss === 'categorical-crossentropy') return at % classes === Math.floor(at / classes) % classes ? 1 : 0;
    return loss === 'binary-crossentropy' ? (value > 0 ? 1 : 0) : 2 * value;
  });
  const whole = features.map((value) => Math.floor(((value + 1) / 2) * indices));
  return { count: COUNT, features: indices > 0 ? whole : features, labels };
}

async function compare(
  model: Tf.LayersModel,
  loss: LossName,
  optimizer: OptimizerSettings = SGD,
  indices = 0,
): Promise<void> {
  const spec = specOf(model, loss);
  const weights = weightsFor(spec, model.name);
  const examples = examplesFor(model, loss, model.name, indices);
  const settings = { batchSize: BATCH, optimizer };
  const wanted = await train(oracle, spec, weights, examples, settings);
  expect(largestDifference(wanted.weights, weights)).toBeGreaterThan(1e-4);
  const peer = await oracle.load(spec);
  peer.setWeights(wanted.weights);
  const others = await peer.evaluate(examples);
  peer.dispose();
  for (const engine of compiled) {
    const found = await train(engine, spec, weights, examples, settings);
    expect(found.engine).toBe(engine.name);
    expect(largestDifference(found.weights, wanted.weights)).toBeLessThanOrEqual(1e-6);
    expect(Math.abs(found.loss - wanted.loss)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(wanted.loss)));
    const trainer = await engine.load(spec);
    trainer.setWeights(wanted.weights);
    const own = await trainer.evaluate(examples);
    expect(Math.abs(own.loss - others.loss)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(others.loss)));
    expect(own.accuracy).toBe(others.accuracy);
    trainer.dispose();
  }
  await compareExport(model, spec, weights, examples);
}

/** The exported file, for one example and for all. */
async function compareExport(
  model: Tf.LayersModel,
  spec: ModelSpec,
  weights: Float32Array,
  { features }: Examples,
): Promise<void> {
  if (runtime === null) return;
  let offset = 0;
  const own = spec.tensors.map(({ shape }) => {
    const values = weights.slice(offset, (offset += shape.reduce((size, length) => size * length, 1)));
    return tf.tensor(values, [...shape]);
  });
  model.setWeights(own);
  tf.dispose(own);
  const { outputs, session } = await exportedOutputs(runtime, tf, model, spec, [
    [features.slice(0, features.length / COUNT)],
    [features],
  ]);
  for (const { onnx, tfjs } of outputs) expect(largestDifference(onnx[0]!, tfjs[0]!)).toBeLessThanOrEqual(2e-6);
  await session.release();
}

type Layers = typeof Tf.layers;
type Stack = (layers: Layers) => Tf.layers.Layer[];

function sequential(name: string, stack: Stack): Tf.LayersModel {
  return tf.sequential({ name, layers: stack(tf.layers) });
}

const IMAGE = [7, 6, 3] as const;
const head = (layers: Layers): Tf.layers.Layer => layers.dense({ units: 4, activation: 'softmax' });
const ends = (layers: Layers): Tf.layers.Layer[] => [layers.flatten(), head(layers)];

const STACKS: Readonly<Record<string, Stack>> = {
  dense: (l) => [l.dense({ inputShape: [9], units: 6, activation: 'tanh' }), head(l)],
  'dense without bias': (l) => [l.dense({ inputShape: [9], units: 6, useBias: false }), head(l)],
  'dense on rows': (l) => [l.dense({ inputShape: [3, 5], units: 6, activation: 'sigmoid' }), ...ends(l)],
  conv2d: (l) => [l.conv2d({ inputShape: [...IMAGE], filters: 5, kernelSize: 3, activation: 'tanh' }), ...ends(l)],
  'conv2d same': (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 5, kernelSize: [3, 2], padding: 'same' }),
    ...ends(l),
  ],
  'conv2d strides': (l) => [l.conv2d({ inputShape: [...IMAGE], filters: 4, kernelSize: 3, strides: 2 }), ...ends(l)],
  'conv2d strides same': (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 4, kernelSize: 3, strides: [2, 1], padding: 'same' }),
    l.conv2d({ filters: 3, kernelSize: 2, strides: 2, padding: 'same', activation: 'tanh' }),
    ...ends(l),
  ],
  'conv2d of points': (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 5, kernelSize: 1, activation: 'tanh' }),
    l.conv2d({ filters: 4, kernelSize: 1 }),
    ...ends(l),
  ],
  conv1d: (l) => [
    l.conv1d({ inputShape: [9, 3], filters: 4, kernelSize: 3, activation: 'tanh' }),
    l.conv1d({ filters: 3, kernelSize: 2, strides: 2, padding: 'same' }),
    ...ends(l),
  ],
  depthwiseConv2d: (l) => [
    l.depthwiseConv2d({ inputShape: [...IMAGE], kernelSize: 3, depthMultiplier: 2, padding: 'same' }),
    l.depthwiseConv2d({ kernelSize: 2, activation: 'tanh' }),
    ...ends(l),
  ],
  separableConv2d: (l) => [
    l.separableConv2d({ inputShape: [...IMAGE], filters: 4, kernelSize: 3 }),
    l.separableConv2d({ filters: 3, kernelSize: 2, padding: 'same', activation: 'tanh' }),
    ...ends(l),
  ],
  conv2dTranspose: (l) => [
    l.conv2dTranspose({ inputShape: [3, 4, 2], filters: 3, kernelSize: 3, strides: 2, padding: 'same' }),
    l.conv2dTranspose({ filters: 2, kernelSize: [2, 3], strides: 1, activation: 'tanh' }),
    ...ends(l),
  ],
  maxPooling2d: (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 4, kernelSize: 2 }),
    l.maxPooling2d({ poolSize: 2 }),
    ...ends(l),
  ],
  'maxPooling2d overlapping': (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 3, kernelSize: 2 }),
    l.maxPooling2d({ poolSize: 3, strides: 1, padding: 'same' }),
    ...ends(l),
  ],
  // Without zeros around: the gradient of TensorFlow.js counts them, its forward pass does not.
  averagePooling2d: (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 3, kernelSize: 2 }),
    l.averagePooling2d({ poolSize: [2, 3], strides: [2, 1] }),
    ...ends(l),
  ],
  pooling1d: (l) => [
    l.conv1d({ inputShape: [11, 3], filters: 4, kernelSize: 2 }),
    l.maxPooling1d({ poolSize: 2 }),
    l.averagePooling1d({ poolSize: 3, strides: 1 }),
    ...ends(l),
  ],
  globalAveragePooling2d: (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 5, kernelSize: 2 }),
    l.globalAveragePooling2d({}),
    head(l),
  ],
  globalMaxPooling2d: (l) => [
    l.conv2d({ inputShape: [...IMAGE], filters: 5, kernelSize: 2 }),
    l.globalMaxPooling2d({}),
    head(l),
  ],
  'global pooling1d': (l) => [
    l.conv1d({ inputShape: [9, 3], filters: 4, kernelSize: 2 }),
    l.globalMaxPooling1d(),
    head(l),
  ],
  'global average pooling1d': (l) => [
    l.conv1d({ inputShape: [9, 3], filters: 4, kernelSize: 2 }),
    l.globalAveragePooling1d(),
    head(l),
  ],
  reshape: (l) => [
    l.reshape({ inputShape: [12], targetShape: [2, 2, 3] }),
    l.permute({ dims: [3, 1, 2] }),
    l.dense({ units: 5, activation: 'tanh' }),
    ...ends(l),
  ],
  repeatVector: (l) => [l.dense({ inputShape: [6], units: 3 }), l.repeatVector({ n: 4 }), ...ends(l)],
  zeroPadding2d: (l) => [
    l.zeroPadding2d({
      inputShape: [4, 3, 2],
      padding: [
        [1, 2],
        [0, 1],
      ],
    }),
    l.conv2d({ filters: 3, kernelSize: 2 }),
    ...ends(l),
  ],
};

describe('five steps of each layer are those of TensorFlow.js within 1e-6', () => {
  test.each(Object.entries(STACKS))('%s', async (name, stack) => {
    await compare(sequential(name.replaceAll(' ', '-'), stack), 'sparse-categorical-crossentropy');
  });
});

const SEQUENCES: Readonly<Record<string, Stack>> = {
  batchNormalization: (l) => [
    l.dense({ inputShape: [9], units: 6 }),
    l.batchNormalization({ momentum: 0.7 }),
    l.activation({ activation: 'tanh' }),
    head(l),
  ],
  'batchNormalization of images': (l) => [
    l.conv2d({ inputShape: [5, 4, 2], filters: 3, kernelSize: 2 }),
    l.batchNormalization({}),
    l.conv2d({ filters: 3, kernelSize: 2 }),
    l.batchNormalization({ epsilon: 0.01 }),
    ...ends(l),
  ],
  layerNormalization: (l) => [l.dense({ inputShape: [4, 5], units: 6 }), l.layerNormalization({}), ...ends(l)],
  'layerNormalization of two axes': (l) => [
    l.dense({ inputShape: [4, 5], units: 6 }),
    l.layerNormalization({ axis: [1, 2] }),
    ...ends(l),
  ],
  simpleRNN: (l) => [l.simpleRNN({ inputShape: [5, 3], units: 4 }), head(l)],
  'simpleRNN of sequences': (l) => [
    l.simpleRNN({ inputShape: [5, 3], units: 4, returnSequences: true, activation: 'sigmoid' }),
    l.simpleRNN({ units: 3, goBackwards: true, useBias: false }),
    head(l),
  ],
  gru: (l) => [l.gru({ inputShape: [5, 3], units: 4 }), head(l)],
  'gru of sequences': (l) => [
    l.gru({ inputShape: [5, 3], units: 4, returnSequences: true, recurrentActivation: 'sigmoid' }),
    l.gru({ units: 3, returnSequences: true, goBackwards: true }),
    ...ends(l),
  ],
  lstm: (l) => [l.lstm({ inputShape: [5, 3], units: 4 }), head(l)],
  'lstm of sequences': (l) => [
    l.lstm({ inputShape: [5, 3], units: 4, returnSequences: true, recurrentActivation: 'sigmoid' }),
    l.lstm({ units: 3, goBackwards: true }),
    head(l),
  ],
  bidirectional: (l) => [
    l.bidirectional({
      layer: l.lstm({ units: 3, returnSequences: true }),
      mergeMode: 'concat',
      inputShape: [5, 3],
    }),
    l.bidirectional({ layer: l.gru({ units: 2 }), mergeMode: 'sum' }),
    head(l),
  ],
};

describe('and of normalisation and recurrent layers', () => {
  test.each(Object.entries(SEQUENCES))('%s', async (name, stack) => {
    await compare(sequential(name.replaceAll(' ', '-'), stack), 'sparse-categorical-crossentropy');
  });

  test('embedding, by every optimiser', async () => {
    for (const optimizer of Object.values(OPTIMIZERS)) {
      const model = sequential(`embedding-${optimizer.kind}`, (l) => [
        l.embedding({ inputDim: 11, outputDim: 3, inputLength: 5 }),
        l.lstm({ units: 4 }),
        head(l),
      ]);
      await compare(model, 'sparse-categorical-crossentropy', optimizer, 11);
    }
  });

  test('a frozen layer stays as it is', async () => {
    const model = sequential('frozen', (l) => [
      l.dense({ inputShape: [9], units: 6, activation: 'tanh', trainable: false }),
      l.dense({ units: 5, activation: 'tanh' }),
      head(l),
    ]);
    await compare(model, 'sparse-categorical-crossentropy');
  });

  test('a model within a model, and branches that come together', async () => {
    const input = tf.input({ shape: [6] });
    const shared = tf.layers.dense({ units: 5, activation: 'tanh', name: 'shared' });
    const inner = tf.sequential({
      name: 'inner',
      layers: [tf.layers.dense({ inputShape: [5], units: 4, activation: 'tanh' }), tf.layers.batchNormalization({})],
    });
    const left = shared.apply(input) as Tf.SymbolicTensor;
    const right = shared.apply(tf.layers.activation({ activation: 'sigmoid' }).apply(input)) as Tf.SymbolicTensor;
    const merged = [
      tf.layers.add({}).apply([left, right]),
      tf.layers.multiply({}).apply([left, right]),
      tf.layers.average({}).apply([left, right]),
      tf.layers.maximum({}).apply([left, right]),
      inner.apply(left),
    ] as Tf.SymbolicTensor[];
    const output = head(tf.layers).apply(tf.layers.concatenate({}).apply(merged)) as Tf.SymbolicTensor;
    await compare(tf.model({ name: 'branches', inputs: input, outputs: output }), 'sparse-categorical-crossentropy');
  });
});

const ACTIVATIONS = [
  'elu',
  'hardSigmoid',
  'linear',
  'relu',
  'relu6',
  'selu',
  'sigmoid',
  'softplus',
  'softsign',
  'tanh',
  'softmax',
  'swish',
  'mish',
  'gelu',
] as const;

describe('and of each activation', () => {
  test.each(ACTIVATIONS)('%s', async (activation) => {
    await compare(
      sequential(`activation-${activation}`, (l) => [
        l.dense({ inputShape: [9], units: 6, activation: activation }),
        head(l),
      ]),
      'categorical-crossentropy',
    );
  });

  test.each<[string, (layers: Layers) => Tf.layers.Layer]>([
    ['leakyReLU', (l) => l.leakyReLU({ alpha: 0.2 })],
    ['reLU', (l) => l.reLU({ maxValue: 0.7 })],
    ['elu', (l) => l.elu({})],
    ['prelu', (l) => l.prelu({})],
    ['softmax', (l) => l.softmax({})],
    ['activation', (l) => l.activation({ activation: 'softsign' })],
  ])('the layer %s', async (name, layer) => {
    await compare(
      sequential(`layer-${name}`, (l) => [l.dense({ inputShape: [9], units: 6 }), layer(l), head(l)]),
      'sparse-categorical-crossentropy',
    );
  });
});

const LOSSES: readonly (readonly [LossName, 'softmax' | 'sigmoid' | 'linear'])[] = [
  ['sparse-categorical-crossentropy', 'softmax'],
  ['sparse-categorical-crossentropy', 'sigmoid'],
  ['categorical-crossentropy', 'softmax'],
  ['categorical-crossentropy', 'sigmoid'],
  ['binary-crossentropy', 'sigmoid'],
  ['binary-crossentropy', 'softmax'],
  ['mean-squared-error', 'linear'],
  ['mean-squared-error', 'softmax'],
  ['mean-absolute-error', 'linear'],
  ['huber', 'linear'],
];

describe('and of each loss', () => {
  test.each(LOSSES)('%s of %s', async (loss, activation) => {
    await compare(
      sequential(`loss-${loss}-${activation}`, (l) => [
        l.dense({ inputShape: [7], units: 6, activation: 'tanh' }),
        l.dense({ units: 3, activation }),
      ]),
      loss,
    );
  });

  test('with penalties on the weights', async () => {
    await compare(
      sequential('penalties', (l) => [
        l.dense({ inputShape: [7], units: 6, activation: 'tanh', kernelRegularizer: tf.regularizers.l2({ l2: 0.03 }) }),
        l.dense({ units: 3, activation: 'softmax', kernelRegularizer: tf.regularizers.l1l2({ l1: 0.01, l2: 0.02 }) }),
      ]),
      'categorical-crossentropy',
    );
  });
});

const OPTIMIZERS: Readonly<Record<string, OptimizerSettings>> = {
  SGD,
  momentum: { kind: 'sgd', learningRate: 0.05, momentum: 0.9 },
  Nesterov: { kind: 'sgd', learningRate: 0.05, momentum: 0.9, nesterov: true },
  Adam: { kind: 'adam', learningRate: 0.01 },
  'Adam of other numbers': { kind: 'adam', learningRate: 0.003, beta1: 0.8, beta2: 0.95, epsilon: 1e-5 },
};

describe('and of each optimiser', () => {
  test.each(Object.entries(OPTIMIZERS))('%s', async (name, optimizer) => {
    const model = sequential(`optimizer-${name.replaceAll(' ', '-')}`, (l) => [
      l.conv2d({ inputShape: [6, 6, 2], filters: 4, kernelSize: 3, activation: 'tanh' }),
      ...ends(l),
    ]);
    await compare(model, 'sparse-categorical-crossentropy', optimizer);
  });
});

test('a hundred steps stay within 1e-4 of the size of the weights', async () => {
  const model = sequential('hundred', (l) => [
    l.conv2d({ inputShape: [6, 6, 2], filters: 4, kernelSize: 3, activation: 'tanh' }),
    l.averagePooling2d({ poolSize: 2 }),
    l.flatten(),
    l.dense({ units: 8, activation: 'sigmoid' }),
    head(l),
  ]);
  const spec = specOf(model, 'sparse-categorical-crossentropy');
  const weights = weightsFor(spec, 'hundred');
  const few = examplesFor(model, 'sparse-categorical-crossentropy', 'hundred');
  const repeat = (all: Examples['features'], width: number): Float32Array =>
    Float32Array.from({ length: 400 * width }, (_value, at) => all[at % (COUNT * width)]!);
  const examples = {
    count: 400,
    features: repeat(few.features, 72),
    labels: repeat(few.labels as Float32Array, 1),
  };
  for (const optimizer of [SGD, OPTIMIZERS['momentum']!]) {
    const settings = { batchSize: BATCH, optimizer };
    const wanted = (await train(oracle, spec, weights, examples, settings)).weights;
    const scale = Math.max(...wanted.map(Math.abs));
    for (const engine of compiled) {
      const found = (await train(engine, spec, weights, examples, settings)).weights;
      expect(largestDifference(found, wanted)).toBeLessThanOrEqual(1e-4 * scale);
    }
  }
});
