/** Models from disk: saved by TensorFlow.js, or the architecture of a Keras model, with weights by their names. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { safetensorsHeader } from '@carapace/aggregation';
import { afterAll, describe, expect, test } from 'vitest';
import { readLayersModel } from '../../src/training/models.ts';

const folder = mkdtempSync(join(tmpdir(), 'carapace-models-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As Keras 2 writes it. */
const KERAS = {
  class_name: 'Sequential',
  config: {
    name: 'sequential',
    layers: [
      {
        class_name: 'InputLayer',
        config: { batch_input_shape: [null, 3], dtype: 'float32', sparse: false, ragged: false, name: 'dense_input' },
      },
      { class_name: 'Dense', config: { name: 'dense', trainable: true, units: 2, activation: 'relu', use_bias: true } },
      { class_name: 'BatchNormalization', config: { name: 'norm', trainable: true, axis: [1], momentum: 0.9 } },
    ],
  },
  keras_version: '2.15.0',
  backend: 'tensorflow',
};
const NAMES = ['dense/kernel', 'dense/bias', 'norm/gamma', 'norm/beta', 'norm/moving_mean', 'norm/moving_variance'];
const SHAPES = [[3, 2], [2], [2], [2], [2], [2]];

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

function safetensors(names: readonly string[], shapes: readonly (readonly number[])[]): Uint8Array {
  const tensors = names.map((name, at) => ({ name, shape: shapes[at]! }));
  const size = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const weights = Float32Array.from({ length: size }, (_value, at) => at);
  return Buffer.concat([safetensorsHeader(tensors, {}), Buffer.from(weights.buffer)]);
}

describe('the architecture of a Keras model', () => {
  const path = file('keras.json', KERAS);

  test('begins with the weights that its layers begin with', async () => {
    const { tensors, weights } = await readLayersModel(path);
    expect(tensors.map(({ name }) => name)).toEqual(NAMES);
    expect(weights.subarray(0, 6).some((value) => value !== 0)).toBe(true);
    expect([...weights.subarray(6)]).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 1, 1]);
  });

  test('takes weights by their names, in whatever order they come, with what Keras puts around them', async () => {
    const order = [5, 3, 0, 2, 4, 1];
    const given = order.map((at) => `sequential/${NAMES[at]}:0`);
    const bytes = safetensors(
      given,
      order.map((at) => SHAPES[at]!),
    );
    const { weights, tensors } = await readLayersModel(path, bytes);
    expect(tensors.map(({ name }) => name)).toEqual(NAMES);
    expect([...weights]).toEqual([4, 5, 6, 7, 8, 9, 14, 15, 10, 11, 2, 3, 12, 13, 0, 1]);
  });

  test.each([
    ['missing', NAMES.toSpliced(1, 1, 'dense/other'), SHAPES, 'no tensor of the weights is named dense/bias'],
    [
      'there twice',
      [...NAMES, 'b/norm/beta'],
      [...SHAPES, [2]],
      'more than one tensor of the weights is named norm/beta',
    ],
    ['of another shape', NAMES, SHAPES.with(0, [2, 3]), 'dense/kernel has the shape [2, 3] in the weights, [3, 2]'],
    [
      'more than the model has',
      [...NAMES, 'extra/kernel'],
      [...SHAPES, [1]],
      'the weights have 7 tensors, the model has 6',
    ],
  ])('refuses weights of which one is %s', async (_what, names, shapes, message) => {
    await expect(readLayersModel(path, safetensors(names, shapes))).rejects.toThrow(`MODEL_UNSUPPORTED: ${message}`);
  });
});

describe('a model saved by TensorFlow.js', () => {
  const manifest = [
    { paths: ['weights.bin'], weights: NAMES.map((name, at) => ({ name, shape: SHAPES[at], dtype: 'float32' })) },
  ];
  writeFileSync(join(folder, 'weights.bin'), Buffer.from(Float32Array.from({ length: 16 }, (_v, at) => -at).buffer));
  const path = file('model.json', { modelTopology: { model_config: KERAS }, weightsManifest: manifest });

  test('has the weights of its files', async () => {
    expect((await readLayersModel(path)).weights[15]).toBe(-15);
  });

  test('or others by their names', async () => {
    expect((await readLayersModel(path, safetensors(NAMES, SHAPES))).weights[15]).toBe(15);
  });
});

test.each([
  ['neither', { layers: [] }, 'is neither the model.json of a layers model nor the JSON of a Keras model'],
  ['a model without weights', { modelTopology: { node: [] }, weightsManifest: undefined }, 'is neither'],
  [
    'of a layer that TensorFlow.js does not know',
    { class_name: 'Sequential', config: [{ class_name: 'Odd', config: {} }] },
    'TensorFlow.js cannot build the model: Unknown layer: Odd',
  ],
])('refuses a file that is %s', async (_what, content, message) => {
  await expect(readLayersModel(file('odd.json', content))).rejects.toThrow(message);
});
