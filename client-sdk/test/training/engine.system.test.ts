/** The engine on the models and kernels that it is there for. TensorFlow.js is one global object, so this is a process of its own. */
import { layoutOf, defaultPolicies } from '@carapace/aggregation';
import type { LocalTraining, Loss } from '@carapace/aggregation';
import { uniformInteger } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import type * as Tf from '@tensorflow/tfjs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fromExamples } from '../../src/data/examples.ts';
import { engineTrainer } from '../../src/engine-trainer.ts';
import type { LocalWork } from '../../src/local-trainer.ts';
import type { Examples, ModelSpec, Trainer } from '../../src/training/engine.ts';
import { buildShippedModel, SHIPPED_MODELS } from '../../src/training/models.ts';
import type { InitialModel } from '../../src/training/models.ts';
import { openBackend } from '../../src/training/tfjs/backend.ts';
import type { Backend } from '../../src/training/tfjs/backend.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import type { TfjsEngine } from '../../src/training/tfjs/engine.ts';
import { ASSIGNMENT } from '../fixtures.ts';

let engine: TfjsEngine;
let backend: Backend;
let tf: typeof Tf;
const said: unknown[] = [];
const { warn, log } = console;
beforeAll(async () => {
  console.warn = console.log = (...words: unknown[]): void => void said.push(words);
  engine = await openTfjsEngine();
  backend = await openBackend();
  tf = backend.tf;
});
afterAll(() => void Object.assign(console, { warn, log }));
const trainers: Trainer[] = [];
afterEach(() => {
  for (const trainer of trainers.splice(0)) trainer.dispose();
});

const SPARSE: Loss = 'sparse-categorical-crossentropy';
const never = new AbortController().signal;
const training = (learningRate: number, batchSize: number, momentum = 0): LocalTraining => ({
  ...ASSIGNMENT.training,
  batchSize,
  optimizer: { kind: 'sgd', learningRate, momentum },
});
const inOrder = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_value, index) => index);

async function trainerOf(model: Pick<ModelSpec, 'topology' | 'tensors'>, loss: Loss = SPARSE): Promise<Trainer> {
  const trainer = await engine.load({ topology: model.topology, tensors: model.tensors, loss });
  trainers.push(trainer);
  return trainer;
}

/** Values in [-1, 1). */
function numbers(seed: string, count: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => uniformInteger(random, 2 ** 24) / 2 ** 23 - 1);
}

/** Each class has a picture of its own, and each example noise upon it. */
function pictures(count: number, width = 784, classes = 10): Examples {
  const prototypes = numbers('prototypes', classes * width);
  const noise = numbers('noise', count * width);
  const labels = Int32Array.from({ length: count }, (_value, index) => index % classes);
  const features = noise.map((value, at) => {
    const label = labels[Math.floor(at / width)]!;
    return Math.abs(0.8 * prototypes[label * width + (at % width)]! + 0.2 * value);
  });
  return { count, features, labels };
}

test('the engine names itself and says why', () => {
  expect(['tfjs-node', 'tfjs-wasm', 'tfjs-cpu']).toContain(engine.name);
  expect(engine.reason.length).toBeGreaterThan(10);
  const runs = { 'tfjs-node': 'tensorflow', 'tfjs-wasm': 'wasm', 'tfjs-cpu': 'cpu' };
  expect(tf.getBackend()).toBe(runs[backend.name]);
});

describe('the shipped models', () => {
  test('are those of McMahan et al. 2017, section 3, and a logistic regression', async () => {
    const sizes = { logistic: 7_850, 'mnist-2nn': 199_210, 'mnist-cnn': 1_663_370 };
    expect(SHIPPED_MODELS).toEqual(Object.keys(sizes));
    for (const [name, size] of Object.entries(sizes)) {
      const model = await buildShippedModel(name, seededRandom(name));
      expect(model.weights).toHaveLength(size);
      expect(layoutOf(model.tensors).size).toBe(size);
      expect((await trainerOf(model)).parameters).toBe(size);
    }
    await expect(buildShippedModel('resnet', seededRandom(1))).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });

  test('begin with weights that depend on the random source alone', async () => {
    const build = (seed: string): Promise<InitialModel> => buildShippedModel('logistic', seededRandom(seed));
    expect(await build('a')).toEqual(await build('a'));
    expect((await build('b')).weights).not.toEqual((await build('a')).weights);
    const limit = Math.sqrt(6 / 794);
    const { weights } = await build('a');
    expect(weights.every((weight) => Math.abs(weight) <= limit)).toBe(true);
    expect(weights.subarray(7_840)).toEqual(new Float32Array(10));
  });

  test.each([
    { name: 'logistic', count: 40, epochs: 4, rate: 0.05 },
    { name: 'mnist-2nn', count: 40, epochs: 4, rate: 0.05 },
    { name: 'mnist-cnn', count: 20, epochs: 6, rate: 0.15 },
  ])('$name learns', async ({ name, count, epochs, rate }) => {
    const model = await buildShippedModel(name, seededRandom(name));
    const examples = pictures(count);
    const trainer = await trainerOf(model);
    trainer.setWeights(model.weights);
    const before = await trainer.evaluate(examples);
    expect(before.loss).toBeGreaterThan(1.5);
    const losses: number[] = [];
    for (let epoch = 0; epoch < epochs; epoch++) {
      const { loss, steps } = await trainer.trainEpoch(examples, inOrder(count), training(rate, 10), never);
      expect(steps).toBe(count / 10);
      losses.push(loss);
    }
    const after = await trainer.evaluate(examples);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(after.loss).toBeLessThan(0.9 * before.loss);
    expect(after.accuracy).toBeGreaterThan(before.accuracy ?? 1);
  });
});

describe('weights', () => {
  test('go in and come out in the order of the layout', async () => {
    const model = await buildShippedModel('mnist-2nn', seededRandom('layout'));
    const trainer = await trainerOf(model);
    const flat = numbers('flat', trainer.parameters);
    trainer.setWeights(flat);
    expect(trainer.weights()).toEqual(flat);
    // And each slot is the tensor of its name: a change of one output's bias moves that output alone.
    const names = layoutOf(model.tensors).slots.map(({ name, offset }) => [name, offset]);
    expect(names).toEqual([
      ['hidden1/kernel', 0],
      ['hidden1/bias', 156_800],
      ['hidden2/kernel', 157_000],
      ['hidden2/bias', 197_000],
      ['output/kernel', 197_200],
      ['output/bias', 199_200],
    ]);
  });

  test('are copies on the way in and on the way out', async () => {
    const model = await buildShippedModel('logistic', seededRandom('copies'));
    const trainer = await trainerOf(model);
    const given = Float32Array.from(model.weights);
    trainer.setWeights(given);
    given.fill(9);
    const taken = trainer.weights();
    expect(taken).toEqual(model.weights);
    taken.fill(7);
    expect(trainer.weights()).toEqual(model.weights);
    const held = trainer.weights();
    await trainer.trainEpoch(pictures(10), inOrder(10), training(0.1, 10), never);
    expect(held).toEqual(model.weights);
  });

  test('of another number are refused', async () => {
    const trainer = await trainerOf(await buildShippedModel('logistic', seededRandom(1)));
    expect(() => trainer.setWeights(new Float32Array(7_849))).toThrow('DATA_INVALID');
  });
});

/** The backend whose kernels these tests are about, or why it is not there. */
function noWasm(): string | null {
  return engine.name === 'tfjs-wasm' ? null : `the engine is ${engine.name} here (remove @tensorflow/tfjs-node)`;
}

interface Small {
  readonly name: string;
  readonly build: () => Tf.Sequential;
  readonly examples: Examples;
  readonly loss?: Loss;
}

const ids = (count: number, length: number, words: number): Float32Array => {
  const random = seededRandom('ids');
  return Float32Array.from({ length: count * length }, () => uniformInteger(random, words));
};
const classified = (features: Float32Array, count: number): Examples => ({
  count,
  features,
  labels: Int32Array.from({ length: count }, (_value, index) => index % 3),
});
const image = (size: number, channels: number): Examples => classified(numbers('image', 4 * size * size * channels), 4);
const convolution = (size: number, channels: number, ...layers: (() => Tf.layers.Layer)[]): (() => Tf.Sequential) => {
  return () => {
    const first = tf.layers.reshape({ inputShape: [size * size * channels], targetShape: [size, size, channels] });
    const rest = layers.map((make) => make());
    const end = [tf.layers.flatten(), tf.layers.dense({ units: 3, activation: 'softmax' })];
    return tf.sequential({ layers: [first, ...rest, ...end] });
  };
};
const conv = (config: Partial<Parameters<typeof Tf.layers.conv2d>[0]>) => (): Tf.layers.Layer =>
  tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: 'tanh', ...config });

const SMALL: readonly Small[] = [
  {
    // 100 and 60 inputs: more than the 48 of a block of the product kernel.
    name: 'dense layers',
    build: () =>
      tf.sequential({
        layers: [
          tf.layers.dense({ inputShape: [100], units: 60, activation: 'relu' }),
          tf.layers.dense({ units: 30, activation: 'sigmoid' }),
          tf.layers.dense({ units: 3, activation: 'softmax' }),
        ],
      }),
    examples: classified(numbers('dense', 700), 7),
  },
  {
    name: 'the CNN of McMahan et al. in small: 5x5 convolutions and pooling',
    build: convolution(
      12,
      1,
      conv({ filters: 6, kernelSize: 5, padding: 'same', activation: 'relu' }),
      () => tf.layers.maxPooling2d({ poolSize: 2 }),
      conv({ filters: 8, kernelSize: 5, padding: 'same', activation: 'relu' }),
      () => tf.layers.maxPooling2d({ poolSize: 2 }),
    ),
    examples: image(12, 1),
  },
  { name: 'convolutions without padding', build: convolution(9, 2, conv({}), conv({})), examples: image(9, 2) },
  {
    name: 'even filters, padded more on one side',
    build: convolution(7, 2, conv({ kernelSize: 4, padding: 'same' }), conv({ kernelSize: [2, 3], padding: 'same' })),
    examples: image(7, 2),
  },
  {
    name: 'strides that leave the last row unread',
    build: convolution(8, 2, conv({ strides: 2 }), conv({ kernelSize: 2 })),
    examples: image(8, 2),
  },
  {
    name: 'strides in the second layer',
    build: convolution(9, 1, conv({}), conv({ strides: [2, 1], padding: 'same' })),
    examples: image(9, 1),
  },
  {
    name: 'average pooling and a depthwise convolution',
    build: convolution(
      8,
      2,
      () => tf.layers.depthwiseConv2d({ kernelSize: 3, activation: 'tanh' }),
      () => tf.layers.averagePooling2d({ poolSize: 2 }),
    ),
    examples: image(8, 2),
  },
  {
    name: 'an embedding',
    build: () =>
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 20, outputDim: 5, inputLength: 6 }),
          tf.layers.globalAveragePooling1d({}),
          tf.layers.dense({ units: 3, activation: 'softmax' }),
        ],
      }),
    examples: classified(ids(6, 6, 20), 6),
  },
  {
    name: 'a recurrent layer',
    build: () =>
      tf.sequential({
        layers: [
          tf.layers.reshape({ inputShape: [20], targetShape: [5, 4] }),
          tf.layers.gru({ units: 6 }),
          tf.layers.dense({ units: 3, activation: 'softmax' }),
        ],
      }),
    examples: classified(numbers('sequence', 100), 5),
  },
  {
    name: 'a squared error',
    build: () => tf.sequential({ layers: [tf.layers.dense({ inputShape: [60], units: 2 })] }),
    examples: { count: 5, features: numbers('squares', 300), labels: numbers('targets', 10) },
    loss: 'mean-squared-error',
  },
];

describe('a step on WebAssembly with our gradient kernels is the step in plain JavaScript', () => {
  test.for(SMALL)('$name', async ({ build, examples, loss }, { skip }) => {
    const missing = noWasm();
    if (missing !== null) skip(missing);
    const model = build();
    const shapes = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] }));
    const spec = { topology: JSON.stringify(model.toJSON(null, false)), tensors: defaultPolicies(shapes) };
    model.dispose();
    const { size } = layoutOf(spec.tensors);
    const start = numbers('start', size).map((value) => 0.5 * value);
    const stepOn = async (name: 'wasm' | 'cpu'): Promise<{ moved: Float32Array; loss: number; evaluated: number }> => {
      await tf.setBackend(name);
      try {
        const trainer = await trainerOf(spec, loss);
        trainer.setWeights(start);
        const epoch = await trainer.trainEpoch(examples, inOrder(examples.count), training(0.5, 3), never);
        const moved = trainer.weights().map((weight, at) => weight - start[at]!);
        const evaluated = (await trainer.evaluate(examples)).loss;
        for (const used of trainers.splice(0)) used.dispose();
        return { moved, loss: epoch.loss, evaluated };
      } finally {
        await tf.setBackend('wasm');
      }
    };
    const [ours, plain] = [await stepOn('wasm'), await stepOn('cpu')];
    expect(ours.loss).toBeCloseTo(plain.loss, 5);
    expect(ours.evaluated).toBeCloseTo(plain.evaluated, 4);
    const largest = plain.moved.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeGreaterThan(1e-3);
    const apart = plain.moved.map((value, at) => Math.abs(value - ours.moved[at]!));
    expect(apart.reduce((most, value) => Math.max(most, value), 0)).toBeLessThan(1e-5 + 1e-4 * largest);
  });
});

describe('what the kernels of TensorFlow.js 4.22 got wrong', () => {
  // A fused product with turned or batched operands added the bias once for every 48 of the inner dimension.
  test.each([
    { transposeA: false, transposeB: false, batch: [] },
    { transposeA: true, transposeB: false, batch: [] },
    { transposeA: false, transposeB: true, batch: [] },
    { transposeA: true, transposeB: true, batch: [] },
    { transposeA: false, transposeB: false, batch: [3] },
    { transposeA: true, transposeB: true, batch: [2, 2] },
  ])('the bias is added once: %o', async ({ transposeA, transposeB, batch }) => {
    const [rows, inner, columns] = [5, 100, 4];
    const matrix = (name: string, height: number, width: number, turned: boolean): Tf.Tensor => {
      const shape = [...batch, ...(turned ? [width, height] : [height, width])];
      return tf.tensor(
        numbers(
          name,
          shape.reduce((product, length) => product * length, 1),
        ),
        shape,
      );
    };
    const a = matrix('a', rows, inner, transposeA);
    const b = matrix('b', inner, columns, transposeB);
    const bias = tf.tensor1d([10, 20, 30, 40]);
    for (const activation of ['linear', 'relu'] as const) {
      const product = tf.matMul(a, b, transposeA, transposeB).dataSync();
      const fused = tf.fused.matMul({ a: a, b: b, transposeA, transposeB, bias, activation });
      const expected = product.map((value, at) => {
        const sum = value + 10 * ((at % columns) + 1);
        return activation === 'relu' ? Math.max(0, sum) : sum;
      });
      fused.dataSync().forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 3));
    }
    // The product itself, by hand.
    const first = tf.matMul(a, b, transposeA, transposeB).dataSync()[0];
    const [aValues, bValues] = [a.dataSync(), b.dataSync()];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += aValues[transposeA ? k * rows : k]! * bValues[transposeB ? k : k * columns]!;
    expect(first).toBeCloseTo(sum, 4);
  });

  // XNNPACK keeps a packed copy of the weights by tensor: one that is written in place would be ignored from then on.
  test('new weights count at once, after setWeights and after a step', async () => {
    const model = await buildShippedModel('mnist-2nn', seededRandom('stale'));
    const examples = pictures(20);
    const used = await trainerOf(model);
    const fresh = async (weights: Float32Array): Promise<number> => {
      const trainer = await trainerOf(model);
      trainer.setWeights(weights);
      return (await trainer.evaluate(examples)).loss;
    };
    const lossOf = async (): Promise<number> => (await used.evaluate(examples)).loss;
    used.setWeights(model.weights);
    const before = await lossOf();
    expect(before).toBe(await fresh(model.weights));
    await used.trainEpoch(examples, inOrder(20), training(0.05, 20), never);
    const stepped = await lossOf();
    expect(stepped).not.toBe(before);
    expect(stepped).toBe(await fresh(used.weights()));
    const others = numbers('others', used.parameters).map((value) => 0.1 * value);
    used.setWeights(others);
    expect(await lossOf()).toBe(await fresh(others));
    used.setWeights(model.weights);
    expect(await lossOf()).toBe(before);
  });

  test('steps leave no tensors behind', async () => {
    const trainer = await trainerOf(await buildShippedModel('mnist-2nn', seededRandom('memory')));
    const examples = pictures(20);
    const epoch = (): Promise<unknown> => trainer.trainEpoch(examples, inOrder(20), training(0.01, 4), never);
    await epoch();
    await trainer.evaluate(examples);
    const { numTensors } = tf.memory();
    for (let i = 0; i < 3; i++) await epoch();
    await trainer.evaluate(examples);
    trainer.weights();
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

function workOf(model: InitialModel, changes: Partial<LocalTraining> = {}, signal = never): LocalWork {
  const assignment = {
    ...ASSIGNMENT,
    model: { ...ASSIGNMENT.model, tensors: model.tensors },
    training: { ...training(0.05, 8), epochs: 2, ...changes },
  };
  const { topology, weights } = model;
  return {
    assignment,
    layout: layoutOf(model.tensors),
    weights,
    topology,
    signal,
    note: () => undefined,
    charge: () => Promise.resolve(),
  };
}

describe('local training', () => {
  const local = (seed: string, examples = pictures(30)): ReturnType<typeof engineTrainer> =>
    engineTrainer({ data: fromExamples(examples), engine: openTfjsEngine, random: seededRandom(seed) });

  test('with the same seed gives the same weights, with another order others', async () => {
    const model = await buildShippedModel('mnist-2nn', seededRandom('local'));
    const first = await local('order')(workOf(model));
    expect(await local('order')(workOf(model))).toEqual(first);
    expect((await local('another')(workOf(model))).weights).not.toEqual(first.weights);
    expect(first.weights).not.toEqual(model.weights);
    expect(first.examples).toBe(30);
    expect(first.metrics['trainLoss']).toBeGreaterThan(0);
  });

  test('begins each round with its weights: no momentum reaches from one into the next', async () => {
    const model = await buildShippedModel('logistic', seededRandom('rounds'));
    const optimizer = { kind: 'sgd', learningRate: 0.01, momentum: 0.9 } as const;
    const single = { batchSize: 30, optimizer, epochs: 3 };
    const train = local('rounds');
    const first = await train(workOf(model, single));
    const second = await train(workOf(model, single));
    // One batch an epoch: the order within it changes the sum by rounding alone.
    second.weights.forEach((weight, at) => {
      if (Math.abs(weight - first.weights[at]!) > 1e-5) throw new Error(`weight ${at} went on from the round before`);
    });
  });

  test('weighs with no more examples than the task allows', async () => {
    const model = await buildShippedModel('logistic', seededRandom('weight'));
    expect((await local('weight')(workOf(model, { maxExamples: 12 }))).examples).toBe(12);
  });

  test('that diverges comes out as numbers that are not finite, which a client refuses to send', async () => {
    const model = await buildShippedModel('mnist-2nn', seededRandom('diverges'));
    for (const learningRate of [Number.POSITIVE_INFINITY, Number.NaN, 1e30]) {
      const optimizer = { kind: 'sgd', learningRate, momentum: 0 } as const;
      const { weights } = await local('diverges')(workOf(model, { optimizer }));
      expect(weights.every(Number.isFinite)).toBe(false);
    }
    // The trainer is sound again with the next round's weights.
    expect((await local('diverges')(workOf(model))).weights.every(Number.isFinite)).toBe(true);
  });

  test('without examples, or with those of another model, is refused', async () => {
    const model = await buildShippedModel('logistic', seededRandom('none'));
    const none = { count: 0, features: new Float32Array(0), labels: new Int32Array(0) };
    await expect(local('none', none)(workOf(model))).rejects.toMatchObject({ code: 'DATA_INVALID' });
    await expect(local('none', pictures(4, 100))(workOf(model))).rejects.toMatchObject({ code: 'DATA_INVALID' });
    const eleven = { ...pictures(2), labels: Int32Array.of(0, 10) };
    await expect(local('none', eleven)(workOf(model))).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: 'DATA_INVALID: the label of example 1 is not a class from 0 to 9',
    });
  });
});

describe('an epoch', () => {
  test('takes the examples in the order given, the last batch short', async () => {
    const model = await buildShippedModel('logistic', seededRandom('epoch'));
    const examples = pictures(10);
    const run = async (...orders: number[][]): Promise<Float32Array> => {
      const trainer = await trainerOf(model);
      trainer.setWeights(model.weights);
      for (const order of orders) await trainer.trainEpoch(examples, Uint32Array.from(order), training(0.1, 4), never);
      return trainer.weights();
    };
    const order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7];
    expect(await run(order)).toEqual(await run([3, 1, 4, 0], [5, 9, 2, 6], [8, 7]));
    expect(await run(order)).not.toEqual(await run(order.toReversed()));
    const trainer = await trainerOf(model);
    const epoch = await trainer.trainEpoch(examples, Uint32Array.from(order), training(0.1, 4), never);
    expect(epoch.steps).toBe(3);
    expect(await trainer.trainEpoch(examples, new Uint32Array(0), training(0.1, 4), never)).toEqual({
      loss: 0,
      steps: 0,
    });
  });

  test('ends with the signal before it is through', async () => {
    const model = await buildShippedModel('mnist-2nn', seededRandom('abort'));
    const trainer = await trainerOf(model);
    trainer.setWeights(model.weights);
    const examples = pictures(20);
    // Far more steps than a test would wait for.
    const order = new Uint32Array(50_000_000);
    const reason = new Error('the round is over');
    const already = trainer.trainEpoch(examples, order, training(0.01, 1), AbortSignal.abort(reason));
    await expect(already).rejects.toBe(reason);
    expect(trainer.weights()).toEqual(model.weights);
    const controller = new AbortController();
    // A timer fires within the epoch only because the epoch lets the event loop have its turn.
    setTimeout(() => controller.abort(reason), 1);
    await expect(trainer.trainEpoch(examples, order, training(0.01, 1), controller.signal)).rejects.toBe(reason);
    expect(trainer.weights()).not.toEqual(model.weights);
  });
});

test('a kernel that only the JavaScript backend has computes on any number of operands', async () => {
  const [a, b] = [tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), tf.tensor2d([1, 0, 2, 1, 0, 3], [3, 2])];
  const product = await tf.einsum('ij,jk->ik', a, b).data();
  expect([...product]).toEqual([...(await tf.matMul(a, b).data())]);
  expect([...(await tf.einsum('ij->ji', a).data())]).toEqual([1, 4, 2, 5, 3, 6]);
  expect([...(await a.data())]).toEqual([1, 2, 3, 4, 5, 6]);
});

test('TensorFlow.js says nothing on the output of the client, whatever it was used for', () => {
  expect(said).toEqual([]);
});

describe('a model that cannot be trained is refused', () => {
  const refused = { code: 'MODEL_UNSUPPORTED' };
  const load = (topology: unknown, tensors: ModelSpec['tensors'] = []): Promise<Trainer> =>
    engine.load({
      topology: typeof topology === 'string' ? topology : JSON.stringify(topology),
      tensors,
      loss: SPARSE,
    });

  test('no JSON, no model, an unknown layer', async () => {
    await expect(load('{')).rejects.toMatchObject(refused);
    await expect(load({})).rejects.toMatchObject(refused);
    const config = { name: 'x', layers: [{ class_name: 'Telepathy', config: {} }] };
    await expect(load({ class_name: 'Sequential', config })).rejects.toMatchObject(refused);
  });

  test('weights other than those that the assignment speaks of', async () => {
    const { topology, tensors } = await buildShippedModel('logistic', seededRandom('other'));
    await expect(load(topology, tensors.slice(1))).rejects.toMatchObject(refused);
    await expect(load(topology, tensors.toReversed())).rejects.toMatchObject(refused);
  });

  test('an input of open size', async () => {
    const model = tf.sequential({
      layers: [tf.layers.globalAveragePooling1d({ inputShape: [null, 4] }), tf.layers.dense({ units: 2 })],
    });
    const shapes = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] }));
    await expect(load(model.toJSON(null, false), defaultPolicies(shapes))).rejects.toMatchObject(refused);
    model.dispose();
  });
});
