import { defaultPolicies } from '@carapace/aggregation';
import type { LocalTraining } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import type * as Tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EpochResult, Examples, ModelSpec, Trainer } from '../../src/training/engine.ts';
import { buildShippedModel } from '../../src/training/models.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import { expectAgreement, tf } from './both-backends.ts';

const engine = await openTfjsEngine();
const never = new AbortController().signal;
const CLASSES = 10;

const training = (over: Partial<LocalTraining['optimizer']> = {}, batchSize = 10): LocalTraining => ({
  epochs: 1,
  batchSize,
  optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0, ...over },
  loss: 'sparse-categorical-crossentropy',
  maxExamples: 1_000,
});

/** Each class lights a band of its own, under noise: what a model that trains at all learns. */
function patterns(count: number, features: number, seed: string): Examples {
  const random = seededRandom(seed);
  const bytes = random.bytes(count * features);
  const labels = Int32Array.from({ length: count }, (_value, index) => index % CLASSES);
  const values = Float32Array.from(bytes, (byte, at) => {
    const label = labels[Math.floor(at / features)] ?? 0;
    return 0.2 * (byte / 255) + (Math.floor(((at % features) * CLASSES) / features) === label ? 0.8 : 0);
  });
  return { count, features: values, labels };
}

const inOrder = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_value, index) => index);

async function shipped(name: string): Promise<{ trainer: Trainer; weights: Float32Array }> {
  const { topology, tensors, weights } = await buildShippedModel(name, seededRandom('weights'));
  const trainer = await engine.load({ topology, tensors, loss: 'sparse-categorical-crossentropy' });
  trainer.setWeights(weights);
  return { trainer, weights };
}

function specOf(model: Tf.LayersModel, loss: ModelSpec['loss']): ModelSpec {
  const tensors = defaultPolicies(
    model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] })),
  );
  return { topology: JSON.stringify(model.toJSON(null, false)), tensors, loss };
}

test('the engine says what it is and why', () => {
  expect(engine.name).toMatch(/^tfjs-(node|wasm|cpu)$/);
  expect(engine.reason).not.toBe('');
});

describe('the models of McMahan et al.', () => {
  const cases = [
    { name: 'mnist-2nn', parameters: 199_210, epochs: 8, learningRate: 0.1 },
    { name: 'mnist-cnn', parameters: 1_663_370, epochs: 8, learningRate: 0.1 },
  ];
  test.each(cases)(
    '$name has $parameters parameters and trains',
    async ({ name, parameters, epochs, learningRate }) => {
      const { trainer, weights } = await shipped(name);
      expect(trainer.parameters).toBe(parameters);
      const examples = patterns(40, 784, name);
      const before = await trainer.evaluate(examples);
      const losses: number[] = [];
      for (let epoch = 0; epoch < epochs; epoch++) {
        const { loss, steps } = await trainer.trainEpoch(examples, inOrder(40), training({ learningRate }), never);
        expect(steps).toBe(4);
        losses.push(loss);
      }
      const after = await trainer.evaluate(examples);
      expect(after.loss).toBeLessThan(before.loss / 2);
      expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
      expect(after.accuracy).toBeGreaterThan(0.8);
      expect(trainer.weights()).not.toEqual(weights);
      expect(trainer.weights().every(Number.isFinite)).toBe(true);
      trainer.dispose();
    },
  );

  test('their initial weights depend on the random source alone', async () => {
    const build = (seed: string) => buildShippedModel('mnist-2nn', seededRandom(seed));
    const [one, same, other] = [await build('a'), await build('a'), await build('b')];
    expect(same).toEqual(one);
    expect(other.weights).not.toEqual(one.weights);
  });

  test('a model that is not shipped is refused by name', async () => {
    await expect(buildShippedModel('gpt', seededRandom('x'))).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });
});

describe('what cannot be trained is refused with its reason', () => {
  const dense = (): Tf.LayersModel => tf.sequential({ layers: [tf.layers.dense({ inputShape: [4], units: 3 })] });
  const twoInputs = (): Tf.LayersModel => {
    const inputs = [tf.input({ shape: [2] }), tf.input({ shape: [2] })];
    const both = tf.layers.concatenate().apply(inputs) as Tf.SymbolicTensor;
    return tf.model({ inputs, outputs: tf.layers.dense({ units: 1 }).apply(both) as Tf.SymbolicTensor });
  };
  const openShape = (): Tf.LayersModel =>
    tf.sequential({ layers: [tf.layers.lstm({ inputShape: [null, 3], units: 2 })] });
  const spec = specOf(dense(), 'mean-squared-error');
  const cases: readonly (readonly [string, ModelSpec, RegExp])[] = [
    ['no model at all', { ...spec, topology: '{}' }, /cannot build the model/],
    ['no JSON', { ...spec, topology: 'model' }, /cannot build the model/],
    ['an unknown layer', { ...spec, topology: spec.topology.replace('Dense', 'Dance') }, /cannot build the model/],
    [
      'other weights than the assignment speaks of',
      { ...spec, tensors: spec.tensors.slice(1) },
      /the assignment speaks/,
    ],
    ['two inputs', specOf(twoInputs(), spec.loss), /models with one input/],
    ['an open input shape', specOf(openShape(), spec.loss), /open shape/],
  ];
  test.each(cases)('%s', async (_name, model, why) => {
    const loading = engine.load(model);
    await expect(loading).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
    await expect(loading).rejects.toThrow(why);
  });
});

describe('on WebAssembly and on plain JavaScript', () => {
  const layers = tf.layers;
  const models: Readonly<Record<string, () => Tf.LayersModel>> = {
    'a small CNN': () =>
      tf.sequential({
        layers: [
          layers.reshape({ inputShape: [64], targetShape: [8, 8, 1] }),
          layers.conv2d({ filters: 3, kernelSize: 5, padding: 'same', activation: 'relu' }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
          layers.flatten(),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
    'an MLP': () =>
      tf.sequential({
        layers: [
          layers.dense({ inputShape: [64], units: 70, activation: 'relu' }),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
    'a network with batch normalisation': () =>
      tf.sequential({
        layers: [
          layers.dense({ inputShape: [64], units: 12 }),
          layers.batchNormalization(),
          layers.activation({ activation: 'relu' }),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
    'an LSTM': () =>
      tf.sequential({
        layers: [
          layers.reshape({ inputShape: [64], targetShape: [8, 8] }),
          layers.lstm({ units: 5 }),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
  };

  test.each(Object.keys(models))('%s trains to the same weights', async (name) => {
    const spec = specOf(models[name]!(), 'sparse-categorical-crossentropy');
    const examples = patterns(24, 64, name);
    const trained = async (backend: 'cpu' | 'wasm'): Promise<Float32Array[]> => {
      await tf.setBackend(backend);
      const trainer = await engine.load(spec);
      trainer.setWeights(startOf(spec));
      await trainer.trainEpoch(examples, inOrder(24), training({}, 8), never);
      const weights = trainer.weights();
      const { loss } = await trainer.evaluate(examples);
      trainer.dispose();
      await tf.setBackend('wasm');
      return [weights, Float32Array.of(loss)];
    };
    expectAgreement({ cpu: await trained('cpu'), wasm: await trained('wasm') }, 1e-4);
  });
});

/** Weights that break no layer: small, and one for the variances of a normalisation. */
function startOf({ tensors }: ModelSpec): Float32Array {
  const random = seededRandom('start');
  return Float32Array.from(
    tensors.flatMap(({ name, shape }) => {
      const size = shape.reduce((product, length) => product * length, 1);
      return Array.from(random.bytes(size), (byte) => (/variance|gamma/.test(name) ? 1 : (byte - 127.5) / 512));
    }),
  );
}

describe('a trainer', () => {
  const features = 4;
  const linear = (loss: ModelSpec['loss'], activation: 'softmax' | 'linear' = 'softmax'): Promise<Trainer> =>
    engine.load(
      specOf(tf.sequential({ layers: [tf.layers.dense({ inputShape: [features], units: 3, activation })] }), loss),
    );
  const START = Float32Array.from({ length: 15 }, (_value, index) => ((index * 7) % 11) / 10 - 0.5);
  const EXAMPLES: Examples = {
    count: 5,
    features: Float32Array.from({ length: 20 }, (_value, index) => ((index * 5) % 7) / 7),
    labels: Int32Array.of(0, 1, 2, 1, 0),
  };

  test('gives back the weights it was given, as a copy', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    fc.assert(
      fc.property(fc.float32Array({ minLength: 15, maxLength: 15, noNaN: true, noDefaultInfinity: true }), (flat) => {
        trainer.setWeights(flat);
        const first = trainer.weights();
        expect([...first].map((value) => value + 0)).toEqual([...flat].map((value) => value + 0));
        first.fill(9);
        expect([...trainer.weights()].map((value) => value + 0)).toEqual([...flat].map((value) => value + 0));
      }),
      { numRuns: 20 },
    );
    expect(() => trainer.setWeights(new Float32Array(14))).toThrow(/14 weights for a model of 15/);
  });

  test('takes the step that the formula says: softmax regression, one batch after the other, the last one short', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    trainer.setWeights(START);
    const order = Uint32Array.of(4, 2, 0, 3, 1);
    const { loss, steps } = await trainer.trainEpoch(EXAMPLES, order, training({ learningRate: 0.5 }, 2), never);
    const expected = byFormula(START, EXAMPLES, order, { learningRate: 0.5, batchSize: 2 });
    expect(steps).toBe(3);
    expect(loss).toBeCloseTo(expected.loss, 5);
    trainer.weights().forEach((weight, index) => expect(weight).toBeCloseTo(expected.weights[index] ?? 0, 5));
  });

  test('class indices and one-hot labels are the same', async () => {
    const oneHot = Float32Array.from({ length: 15 }, (_value, at) =>
      EXAMPLES.labels[Math.floor(at / 3)] === at % 3 ? 1 : 0,
    );
    const trained = async (loss: ModelSpec['loss'], labels: Examples['labels']): Promise<Float32Array[]> => {
      const trainer = await linear(loss);
      trainer.setWeights(START);
      await trainer.trainEpoch({ ...EXAMPLES, labels }, inOrder(5), training({}, 5), never);
      const { loss: after, accuracy } = await trainer.evaluate({ ...EXAMPLES, labels });
      return [trainer.weights(), Float32Array.of(after, accuracy ?? -1)];
    };
    const [sparse, dense] = [
      await trained('sparse-categorical-crossentropy', EXAMPLES.labels),
      await trained('categorical-crossentropy', oneHot),
    ];
    expectAgreement({ wasm: sparse, cpu: dense });
  });

  test('trains the same way every time, whatever it trained before: momentum included', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    const run = async (): Promise<[EpochResult, Float32Array]> => {
      trainer.setWeights(START);
      return [await trainer.trainEpoch(EXAMPLES, inOrder(5), training({ momentum: 0.9 }, 2), never), trainer.weights()];
    };
    expect(await run()).toEqual(await run());
  });

  test('keeps no tensor of a batch', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    await trainer.trainEpoch(EXAMPLES, inOrder(5), training({}, 2), never);
    const { numTensors } = tf.memory();
    for (let epoch = 0; epoch < 3; epoch++) {
      trainer.setWeights(START);
      await trainer.trainEpoch(EXAMPLES, inOrder(5), training({}, 2), never);
      await trainer.evaluate(EXAMPLES);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    trainer.dispose();
  });

  test('evaluates: mean loss in binary64, share of right answers, none for a regression', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    trainer.setWeights(new Float32Array(15));
    const { loss, accuracy } = await trainer.evaluate(EXAMPLES);
    expect(loss).toBeCloseTo(Math.log(3), 6);
    expect(accuracy).toBe(2 / 5);
    const regression = await linear('mean-squared-error', 'linear');
    regression.setWeights(new Float32Array(15));
    const targets = new Float32Array(15).fill(2);
    expect(await regression.evaluate({ ...EXAMPLES, labels: targets })).toEqual({ loss: 4, accuracy: null });
  });

  test('stops between batches when the round is over', async () => {
    const trainer = await linear('sparse-categorical-crossentropy');
    const reason = new Error('the deadline');
    const stopped = trainer.trainEpoch(EXAMPLES, inOrder(5), training(), AbortSignal.abort(reason));
    await expect(stopped).rejects.toBe(reason);
  });

  const wrongData: readonly (readonly [string, Partial<Examples>])[] = [
    ['too few features', { features: new Float32Array(19) }],
    ['too few labels', { labels: new Int32Array(4) }],
    ['a label that is no class', { labels: Int32Array.of(0, 1, 2, 3, 0) }],
    ['a negative label', { labels: Int32Array.of(0, 1, 2, -1, 0) }],
    ['half a label', { labels: Float32Array.of(0, 1, 2, 0.5, 0) }],
    ['no label', { labels: Float32Array.of(0, 1, 2, Number.NaN, 0) }],
  ];
  test.each(wrongData)('refuses %s before it trains', async (_name, wrong) => {
    const trainer = await linear('sparse-categorical-crossentropy');
    trainer.setWeights(START);
    const tried = trainer.trainEpoch({ ...EXAMPLES, ...wrong }, inOrder(5), training(), never);
    await expect(tried).rejects.toMatchObject({ code: 'DATA_INVALID' });
    expect(trainer.weights()).toEqual(START);
  });
});

/** Softmax regression by its gradient, x (p - y), in binary64. */
function byFormula(
  start: Float32Array,
  { features, labels }: Examples,
  order: Uint32Array,
  { learningRate, batchSize }: { readonly learningRate: number; readonly batchSize: number },
): { weights: number[]; loss: number } {
  const weights = [...start];
  let loss = 0;
  for (let from = 0; from < order.length; from += batchSize) {
    const rows = [...order.subarray(from, from + batchSize)];
    const gradient = weights.map(() => 0);
    for (const row of rows) {
      const x = [...features.subarray(4 * row, 4 * row + 4), 1];
      const scores = [0, 1, 2].map((k) => Math.exp(x.reduce((sum, value, i) => sum + value * weights[3 * i + k]!, 0)));
      const total = scores.reduce((sum, score) => sum + score, 0);
      loss -= Math.log(scores[labels[row]!]! / total) / order.length;
      x.forEach((value, i) =>
        scores.forEach((score, k) => {
          gradient[3 * i + k]! += (value * (score / total - (labels[row] === k ? 1 : 0))) / rows.length;
        }),
      );
    }
    gradient.forEach((slope, index) => {
      weights[index]! -= learningRate * slope;
    });
  }
  return { weights, loss };
}
