/** What compiled steps can do beyond TensorFlow.js, against the interpreter; and laws that hold for every back end. */
import { describe, expect, test } from 'vitest';
import type { Examples, ModelSpec, TrainingEngine } from '../../src/training/engine.ts';
import { openNativeEngine } from '../../src/training/native/engine.ts';
import { plannedModel } from '../../src/training/plan/trainer.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import type { OptimizerSettings, TrainingSettings } from '../../src/training/settings.ts';
import { largestDifference, numbers, train, weightsFor } from './exactness.ts';
import { referenceSteps } from './reference-steps.ts';
import { chain, layer, specOf } from './topologies.ts';

const native = await openNativeEngine();
const engines: readonly TrainingEngine[] = [openPortableEngine(), ...('missing' in native ? [] : [native])];
const never = new AbortController().signal;
const sgd = (learningRate: number, momentum = 0): OptimizerSettings => ({ kind: 'sgd', learningRate, momentum });
const dense = (units: number, activation = 'linear'): Record<string, unknown> => layer('Dense', { units, activation });

const DENSE = chain([6], [dense(5, 'tanh'), dense(3, 'softmax')]);
const IMAGE = chain(
  [6, 5, 4],
  [
    layer('Conv2D', { filters: 3, kernel_size: [3, 2], padding: 'same', activation: 'tanh' }),
    layer('MaxPooling2D', { pool_size: [2, 2] }),
    layer('Flatten'),
    dense(4, 'relu'),
    dense(3, 'softmax'),
  ],
);
const TEXT = chain(
  [5],
  [layer('Embedding', { input_dim: 7, output_dim: 4 }), layer('GlobalAveragePooling1D'), dense(3, 'softmax')],
);

const recurrent = (className: string, config: Record<string, unknown> = {}): ReturnType<typeof layer> =>
  layer(className, { units: 5, recurrent_activation: 'sigmoid', ...config });

const call = (...from: readonly string[]): unknown => from.map((name) => [name, 0, 0, {}]);
/** x -> half(half(x)) -> output, and `half` has one kernel. */
const TWICE = specOf(
  {
    class_name: 'Model',
    config: {
      name: 'twice',
      layers: [
        { ...layer('InputLayer', { batch_input_shape: [null, 4], name: 'x' }), name: 'x', inbound_nodes: [] },
        {
          ...layer('Dense', { units: 4, activation: 'tanh', use_bias: false, name: 'half' }),
          name: 'half',
          inbound_nodes: [call('x'), call('half')],
        },
        {
          ...layer('Dense', { units: 3, activation: 'softmax', name: 'output' }),
          name: 'output',
          inbound_nodes: [[['half', 1, 0, {}]]],
        },
      ],
      input_layers: [['x', 0, 0]],
      output_layers: [['output', 0, 0]],
    },
  },
  'categorical-crossentropy',
);

function examplesFor({ topology }: ModelSpec, count: number, width: number, indices = 0): Examples {
  const raw = numbers(`${topology.length} x`, count * width);
  const features = indices === 0 ? raw : raw.map((value) => Math.floor(((value + 1) / 2) * indices));
  const labels = new Float32Array(count * 3);
  for (let at = 0; at < count; at++) labels[at * 3 + ((at * 5) % 3)] = 1;
  return { count, features, labels };
}

/** As `train` orders them. */
function ordered({ count, features, labels }: Examples): Examples {
  const rows = Array.from({ length: count }, (_value, at) => (at * 7 + 3) % count);
  const pick = (all: ArrayLike<number>, width: number): Float32Array =>
    Float32Array.from(rows.flatMap((row) => Array.from({ length: width }, (_value, i) => all[row * width + i]!)));
  return { count, features: pick(features, features.length / count), labels: pick(labels, labels.length / count) };
}

async function compare(spec: ModelSpec, examples: Examples, settings: TrainingSettings, within = 2e-6): Promise<void> {
  const weights = weightsFor(spec, 'steps');
  const expected = Float32Array.from(referenceSteps(plannedModel(spec), weights, ordered(examples), settings));
  expect(largestDifference(expected, weights)).toBeGreaterThan(1e-3);
  for (const engine of engines) {
    const found = await train(engine, spec, weights, examples, settings);
    expect(largestDifference(found.weights, expected)).toBeLessThanOrEqual(within);
  }
}

const SETTINGS: Readonly<Record<string, Omit<TrainingSettings, 'batchSize'>>> = {
  'weight decay': { optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0, weightDecay: 0.05 } },
  'weight decay with momentum': { optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0.8, weightDecay: 0.05 } },
  'Adam with decay': { optimizer: { kind: 'adam', learningRate: 0.01, weightDecay: 0.05 } },
  AdamW: { optimizer: { kind: 'adamw', learningRate: 0.01, weightDecay: 0.1 } },
  'clipped gradients': { optimizer: sgd(0.3), clipNorm: 0.4 },
  'clipped gradients with Nesterov': {
    optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true },
    clipNorm: 0.3,
  },
  'a limit that is never met': { optimizer: sgd(0.3), clipNorm: 1e6 },
  'a proximal term': { optimizer: sgd(0.2), proximal: 0.7 },
  'a proximal term, clipped': { optimizer: sgd(0.2), proximal: 0.7, clipNorm: 0.3 },
};

describe('steps with', () => {
  test.each(Object.entries(SETTINGS))('%s are those of the formula', async (_name, settings) => {
    await compare(DENSE, examplesFor(DENSE, 18, 6), { batchSize: 4, ...settings });
    await compare(IMAGE, examplesFor(IMAGE, 11, 120), { batchSize: 4, ...settings });
  });

  test('control variates', async () => {
    const correction = numbers('correction', 6 * 5 + 5 + 5 * 3 + 3).map((value) => 0.2 * value);
    await compare(DENSE, examplesFor(DENSE, 18, 6), { batchSize: 4, optimizer: sgd(0.1), correction });
    await compare(DENSE, examplesFor(DENSE, 18, 6), {
      batchSize: 4,
      optimizer: sgd(0.1, 0.9),
      correction,
      clipNorm: 0.5,
    });
    for (const engine of engines) {
      const trainer = await engine.load(DENSE);
      trainer.setWeights(weightsFor(DENSE, 'short'));
      const settings = { batchSize: 4, optimizer: sgd(0.1), correction: correction.subarray(1) };
      const epoch = trainer.trainEpoch(examplesFor(DENSE, 4, 6), Uint32Array.of(0, 1, 2, 3), settings, never);
      await expect(epoch).rejects.toMatchObject({ code: 'DATA_INVALID' });
    }
  });

  test('dropout: the masks of the seed, which scale what they keep', async () => {
    const spec = chain([6], [dense(8, 'tanh'), layer('Dropout', { rate: 0.4 }), dense(3, 'softmax')]);
    const examples = examplesFor(spec, 18, 6);
    await compare(spec, examples, { batchSize: 4, optimizer: sgd(0.2), seed: 5 });
    for (const engine of engines) {
      const after = (seed: number): Promise<{ weights: Float32Array }> =>
        train(engine, spec, weightsFor(spec, 'a'), examples, { batchSize: 4, optimizer: sgd(0.2), seed });
      expect((await after(1)).weights).toEqual((await after(1)).weights);
      expect((await after(2)).weights).not.toEqual((await after(1)).weights);
    }
  });
});

describe('gradients clipped example by example are those of one example after the other', () => {
  test.each<[string, ModelSpec, number, number]>([
    ['dense', DENSE, 6, 0],
    ['convolutions and pooling', IMAGE, 120, 0],
    ['an embedding', TEXT, 5, 7],
    ['dense on rows', chain([3, 4], [dense(4, 'tanh'), layer('Flatten'), dense(3, 'softmax')]), 12, 0],
    [
      'layer normalisation',
      chain([6], [dense(5), layer('LayerNormalization', { axis: [-1] }), dense(3, 'softmax')]),
      6,
      0,
    ],
    ['SimpleRNN', chain([4, 3], [recurrent('SimpleRNN'), dense(3, 'softmax')]), 12, 0],
    ['GRU', chain([4, 3], [recurrent('GRU'), dense(3, 'softmax')]), 12, 0],
    ['LSTM of more steps than it has units', chain([9, 3], [recurrent('LSTM'), dense(3, 'softmax')]), 27, 0],
    [
      'LSTM without bias on an embedding, all its outputs, one LSTM on another',
      chain(
        [5],
        [
          layer('Embedding', { input_dim: 7, output_dim: 4 }),
          recurrent('LSTM', { return_sequences: true, use_bias: false }),
          recurrent('LSTM', { units: 3, go_backwards: true }),
          dense(3, 'softmax'),
        ],
      ),
      5,
      7,
    ],
    [
      'bidirectional',
      chain([4, 3], [layer('Bidirectional', { layer: recurrent('GRU'), merge_mode: 'concat' }), dense(3, 'softmax')]),
      12,
      0,
    ],
    [
      'depthwise, separable and transposed convolutions',
      chain(
        [5, 4, 2],
        [
          layer('DepthwiseConv2D', { kernel_size: [2, 2], depth_multiplier: 2, padding: 'same', activation: 'tanh' }),
          layer('SeparableConv2D', { filters: 3, kernel_size: [2, 2], strides: [2, 1], activation: 'tanh' }),
          layer('Conv2DTranspose', { filters: 2, kernel_size: [2, 2], strides: [2, 2], activation: 'tanh' }),
          layer('Flatten'),
          dense(3, 'softmax'),
        ],
      ),
      40,
      0,
    ],
    ['a layer that is called twice', TWICE, 4, 0],
  ])('%s', async (_name, spec, width, indices) => {
    for (const perExampleClip of [0.3, 1e6])
      await compare(spec, examplesFor(spec, 11, width, indices), { batchSize: 4, optimizer: sgd(0.3), perExampleClip });
    await compare(
      spec,
      examplesFor(spec, 11, width, indices),
      { batchSize: 4, optimizer: { kind: 'adam', learningRate: 0.01 }, perExampleClip: 0.3 },
      2e-5,
    );
  });

  test('what mixes examples is refused by name', async () => {
    const spec = chain([6], [layer('BatchNormalization'), dense(3, 'softmax')]);
    for (const engine of engines) {
      const settings = { batchSize: 4, optimizer: sgd(0.1), perExampleClip: 1 };
      const epoch = train(engine, spec, weightsFor(spec, 'a'), examplesFor(spec, 4, 6), settings);
      await expect(epoch).rejects.toThrow(
        'MODEL_UNSUPPORTED: BatchNormalization layer0 has no per-example gradients: its statistics are those of the whole batch',
      );
    }
  });
});

describe('every back end', () => {
  test('gives the same bits each time, and for an epoch in two halves', async () => {
    for (const engine of engines) {
      const spec = IMAGE;
      const examples = examplesFor(spec, 24, 120);
      const settings = { batchSize: 4, optimizer: sgd(0.1, 0.9) };
      const run = async (cuts: readonly number[]): Promise<Float32Array> => {
        const trainer = await engine.load(spec);
        trainer.setWeights(weightsFor(spec, 'bits'));
        const all = Uint32Array.from({ length: 24 }, (_value, at) => at);
        for (const [at, from] of cuts.entries())
          await trainer.trainEpoch(examples, all.subarray(from, cuts[at + 1]), settings, never);
        return trainer.weights();
      };
      expect(await run([0])).toEqual(await run([0]));
      expect(await run([0, 12])).toEqual(await run([0]));
    }
  });

  test('takes a batch of one example, and all examples in one batch', async () => {
    for (const batchSize of [1, 18, 100])
      await compare(DENSE, examplesFor(DENSE, 18, 6), { batchSize, optimizer: sgd(0.3) });
  });

  test('keeps its memory over 10,000 steps', async () => {
    for (const engine of engines) {
      const trainer = await engine.load(DENSE);
      trainer.setWeights(weightsFor(DENSE, 'memory'));
      const examples = examplesFor(DENSE, 20, 6);
      const order = Uint32Array.from({ length: 4 * 2_500 + 3 }, (_value, at) => at % 20);
      const settings = { batchSize: 4, optimizer: { kind: 'adam', learningRate: 1e-3 } } as const;
      const residentAfter = async (): Promise<number> => {
        await trainer.trainEpoch(examples, order, settings, never);
        return process.memoryUsage().rss;
      };
      await residentAfter();
      const before = await residentAfter();
      const rises = [await residentAfter(), await residentAfter(), await residentAfter(), await residentAfter()];
      // A step that kept as little as 4 KB would show as 40 MB.
      expect(Math.min(...rises) - before).toBeLessThan(30 * 2 ** 20);
      trainer.dispose();
    }
  });

  test('evaluates in parts of any size as the interpreter of one example', async () => {
    for (const engine of engines) {
      const trainer = await engine.load(DENSE);
      trainer.setWeights(weightsFor(DENSE, 'parts'));
      const all = examplesFor(DENSE, 150, 6);
      const part = (from: number, to: number): Examples => ({
        count: to - from,
        features: all.features.subarray(from * 6, to * 6),
        labels: all.labels.subarray(from * 3, to * 3),
      });
      const whole = await trainer.evaluate(all);
      const [a, b] = [await trainer.evaluate(part(0, 37)), await trainer.evaluate(part(37, 150))];
      expect((37 * a.loss + 113 * b.loss) / 150).toBeCloseTo(whole.loss, 6);
      expect((37 * a.accuracy! + 113 * b.accuracy!) / 150).toBeCloseTo(whole.accuracy!, 10);
    }
  });

  test('refuses by name what is not compiled', async () => {
    const refusals: [Record<string, unknown>, string][] = [
      [layer('Conv3D', { filters: 2 }), 'Conv3D layer0 is a layer that is not compiled'],
      [layer('Dense', { units: 3, activation: 'spiky' }), 'Dense layer0 has the activation spiky'],
      [
        layer('Dense', { units: 3, kernel_constraint: { class_name: 'NonNeg' } }),
        'Dense layer0 has a constraint on its kernel',
      ],
      [layer('GRU', { units: 3, stateful: true }), 'GRU layer0 has states that outlive a batch'],
      [layer('Embedding', { input_dim: 3, output_dim: 2, mask_zero: true }), 'Embedding layer0 has a mask for zeros'],
    ];
    for (const [of, reason] of refusals) {
      const config = { ...(of['config'] as object), name: 'layer0', batch_input_shape: [null, 4, 5] };
      const topology = JSON.stringify({ class_name: 'Sequential', config: { layers: [{ ...of, config }] } });
      for (const engine of engines)
        await expect(engine.load({ topology, tensors: [], loss: 'mean-squared-error' })).rejects.toThrow(
          `MODEL_UNSUPPORTED: ${reason}`,
        );
    }
  });
});

describe('layers that TensorFlow.js has not', () => {
  test('group normalisation in one group is layer normalisation over all but the batch', async () => {
    const image = (normalisation: Record<string, unknown>): ModelSpec =>
      chain(
        [4, 3, 6],
        [layer('Conv2D', { filters: 6, kernel_size: [1, 1] }), normalisation, layer('Flatten'), dense(3, 'softmax')],
      );
    const grouped = image(layer('GroupNormalization', { groups: 1 }));
    const whole = image(layer('LayerNormalization', { axis: [1, 2, 3], scale: false, center: false }));
    const examples = examplesFor(grouped, 9, 72);
    // Gamma 1 and beta 0 stand between the convolution and the dense layer: the same function.
    const weights = weightsFor(grouped, 'groups');
    const [at, size] = [6 * 6 + 6, 6];
    weights.fill(1, at, at + size).fill(0, at + size, at + 2 * size);
    const plain = Float32Array.from([...weights.subarray(0, at), ...weights.subarray(at + 2 * size)]);
    for (const engine of engines) {
      const [a, b] = [await engine.load(grouped), await engine.load(whole)];
      a.setWeights(weights);
      b.setWeights(plain);
      expect((await a.evaluate(examples)).loss).toBeCloseTo((await b.evaluate(examples)).loss, 6);
    }
    await compare(grouped, examples, { batchSize: 4, optimizer: sgd(0.1) });
    await compare(image(layer('GroupNormalization', { groups: 3 })), examples, { batchSize: 4, optimizer: sgd(0.1) });
  });

  test('attention is a mean of values, weighted by the softmax of products', async () => {
    const call = (...from: string[]): unknown => [from.map((name) => [name, 0, 0, {}])];
    const entry = (name: string, shape: readonly number[]): Record<string, unknown> => ({
      ...layer('InputLayer'),
      name,
      config: { name, batch_input_shape: [null, ...shape] },
      inbound_nodes: [],
    });
    const attention = { ...layer('Attention'), name: 'attention', config: { name: 'attention', use_scale: true } };
    const topology = {
      class_name: 'Model',
      config: {
        name: 'attending',
        layers: [
          entry('query', [2, 3]),
          entry('value', [4, 3]),
          { ...attention, inbound_nodes: call('query', 'value') },
        ],
        input_layers: [
          ['query', 0, 0],
          ['value', 0, 0],
        ],
        output_layers: [['attention', 0, 0]],
      },
    };
    const spec = specOf(topology, 'mean-squared-error');
    const [query, value] = [numbers('q', 6), numbers('v', 12)];
    const scale = 1.3;
    const labels = new Float32Array(6);
    for (let t = 0; t < 2; t++) {
      const scores = Array.from({ length: 4 }, (_value, s) =>
        Math.exp(scale * [0, 1, 2].reduce((sum, i) => sum + query[3 * t + i]! * value[3 * s + i]!, 0)),
      );
      const total = scores.reduce((a, b) => a + b, 0);
      for (let i = 0; i < 3; i++)
        labels[3 * t + i] = scores.reduce((sum, score, s) => sum + (score / total) * value[3 * s + i]!, 0);
    }
    for (const engine of engines) {
      const trainer = await engine.load(spec);
      trainer.setWeights(Float32Array.of(scale));
      const features = Float32Array.from([...query, ...value]);
      // The labels are what comes out: no loss.
      expect((await trainer.evaluate({ count: 1, features, labels })).loss).toBeLessThan(1e-12);
      expect(
        (await trainer.evaluate({ count: 1, features, labels: labels.map((label) => label + 1) })).loss,
      ).toBeCloseTo(1, 5);
    }
  });
});

test('several inputs and outputs lie one after the other in an example', async () => {
  const node = (...from: string[]): unknown => [from.map((name) => [name, 0, 0, {}])];
  const named = (of: Record<string, unknown>, name: string, ...from: string[]): unknown => ({
    ...of,
    name,
    config: { ...(of['config'] as object), name },
    inbound_nodes: from.length === 0 ? [] : node(...from),
  });
  const spec = specOf(
    {
      class_name: 'Model',
      config: {
        name: 'several',
        layers: [
          named(layer('InputLayer', { batch_input_shape: [null, 2] }), 'left'),
          named(layer('InputLayer', { batch_input_shape: [null, 3] }), 'right'),
          named(layer('Concatenate', { axis: -1 }), 'both', 'left', 'right'),
          named(dense(4, 'tanh'), 'hidden', 'both'),
          named(dense(2, 'linear'), 'first', 'hidden'),
          named(dense(1, 'linear'), 'second', 'right'),
        ],
        input_layers: [
          ['left', 0, 0],
          ['right', 0, 0],
        ],
        output_layers: [
          ['first', 0, 0],
          ['second', 0, 0],
        ],
      },
    },
    'mean-squared-error',
  );
  // The same as one chain over 5 features would be, but for the second output, which is a line of the last 3.
  const count = 6;
  const features = numbers('several x', 5 * count);
  const labels = numbers('several y', 3 * count);
  for (const engine of engines) {
    const trainer = await engine.load(spec);
    const weights = weightsFor(spec, 'several');
    trainer.setWeights(weights);
    const slots = spec.tensors.map(({ name }) => name);
    const at = slots.indexOf('second/kernel');
    const offset = spec.tensors.slice(0, at).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    await trainer.trainEpoch(
      { count, features, labels },
      Uint32Array.of(0, 1, 2, 3, 4, 5),
      { batchSize: 6, optimizer: sgd(0.1) },
      never,
    );
    const after = trainer.weights();
    const bias = offset + 3;
    for (let i = 0; i < 3; i++) {
      let gradient = 0;
      for (let row = 0; row < count; row++) {
        const right = features.subarray(5 * row + 2, 5 * row + 5);
        const output = right.reduce((sum, value, j) => sum + value * weights[offset + j]!, weights[bias]!);
        gradient += (2 * (output - labels[3 * row + 2]!) * right[i]!) / count;
      }
      expect(after[offset + i]).toBeCloseTo(weights[offset + i]! - 0.1 * gradient, 5);
    }
    expect((await trainer.evaluate({ count, features, labels })).accuracy).toBeNull();
    trainer.dispose();
  }
});
