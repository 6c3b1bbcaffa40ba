/** What an exported model is to those who run it: names, an open batch, the weights under their names. Its outputs are compared in `exactness.system.test.ts` for every layer. */
import { defaultPolicies } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { buildShippedModel, SHIPPED_MODELS } from '../../src/training/models.ts';
import { exportOnnx, onnxPieces } from '../../src/training/native/export.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import { openBackend } from '../../src/training/tfjs/backend.ts';
import { largestDifference, numbers, specOf } from './exactness.ts';
import { exportedOutputs } from './exported.ts';
import { chain, layer } from './topologies.ts';

const runtime = await import('onnxruntime-node').catch(() => null);
const { tf } = await openBackend();

describe('the file', () => {
  test('is its pieces with the weights between them, in their order', () => {
    const { topology, tensors } = chain([3], [layer('Dense', { units: 2 })], 'mean-squared-error');
    const weights = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const [front, between, last] = onnxPieces(topology, tensors);
    const own = Buffer.from(weights.buffer);
    const wanted = Buffer.concat([front!, own.subarray(0, 24), between!, own.subarray(24)]);
    expect(last).toHaveLength(0);
    expect(Buffer.from(exportOnnx({ topology, tensors, weights })).equals(wanted)).toBe(true);
  });

  test('of a model without weights is one piece', () => {
    const { topology, tensors } = chain([3], [layer('Activation', { activation: 'relu' })], 'mean-squared-error');
    expect(onnxPieces(topology, tensors)).toHaveLength(1);
  });

  test.each([
    ['a layer that is not compiled', [layer('GaussianNoise', { stddev: 1 })], 'GaussianNoise .* not compiled'],
    ['weights of another model', [layer('Dense', { units: 3 })], 'the topology has the weights'],
  ])('is refused for %s', (_why, layers, message) => {
    const tensors = defaultPolicies([{ name: 'w', shape: [9, 9] }]);
    const topology = JSON.stringify({
      class_name: 'Sequential',
      config: layers.map(({ class_name, config }) => ({
        class_name,
        config: { ...(config as object), batch_input_shape: [null, 3] },
      })),
    });
    expect(() => onnxPieces(topology, tensors)).toThrow(new RegExp(`^MODEL_UNSUPPORTED: .*${message}`));
  });

  test('is refused when weights are missing', () => {
    const { topology, tensors } = chain([3], [layer('Dense', { units: 2 })], 'mean-squared-error');
    expect(() => exportOnnx({ topology, tensors, weights: new Float32Array(7) })).toThrow('7 weights for tensors of 8');
  });
});

const missing = 'onnxruntime-node is not installed (npm install)';
describe.skipIf(runtime === null)(`ONNX Runtime${runtime === null ? ` — skipped: ${missing}` : ''}`, () => {
  test.each(SHIPPED_MODELS)('evaluates %s as our own engine does', async (name) => {
    const { topology, tensors, weights } = await buildShippedModel(name, seededRandom(name));
    const count = 50;
    const features = numbers(name, count * 784).map(Math.abs);
    const labels = Int32Array.from({ length: count }, (_value, at) => at % 10);
    const engine = openPortableEngine();
    const trainer = await engine.load({ topology, tensors, loss: 'sparse-categorical-crossentropy' });
    trainer.setWeights(weights);
    const wanted = await trainer.evaluate({ count, features, labels });
    engine.dispose();
    const session = await runtime!.InferenceSession.create(exportOnnx({ topology, tensors, weights }));
    const input = new runtime!.Tensor('float32', features, [count, 784]);
    const scores = (await session.run({ [session.inputNames[0]!]: input }))['output']!.data as Float32Array;
    const losses = [...labels].map((label, at) => -Math.log(scores[at * 10 + label]!));
    expect(losses.reduce((a, b) => a + b) / count).toBeCloseTo(wanted.loss, 5);
    await session.release();
  });

  test('sees inputs and outputs by the names of their layers, for any batch', async () => {
    const left = tf.input({ name: 'left', shape: [4] });
    const right = tf.input({ name: 'right', shape: [5, 3] });
    const state = tf.layers.gru({ name: 'state', units: 4 }).apply(right) as import('@tensorflow/tfjs').SymbolicTensor;
    const sum = tf.layers.add({ name: 'sum' }).apply([left, state]) as import('@tensorflow/tfjs').SymbolicTensor;
    const grade = tf.layers.dense({ name: 'grade', units: 3, activation: 'softmax' }).apply(sum);
    const outputs = [grade, sum] as import('@tensorflow/tfjs').SymbolicTensor[];
    const model = tf.model({ inputs: [left, right], outputs });
    const batches = [1, 7].map((count) => [numbers(`l${count}`, 4 * count), numbers(`r${count}`, 15 * count)]);
    const found = await exportedOutputs(runtime!, tf, model, specOf(model, 'mean-squared-error'), batches);
    expect(found.session.inputNames).toEqual(['left', 'right']);
    expect(found.session.outputNames).toEqual(['grade', 'sum']);
    expect(found.session.inputMetadata.map((value) => value.isTensor && value.shape)).toEqual([
      ['batch', 4],
      ['batch', 5, 3],
    ]);
    for (const { onnx, tfjs } of found.outputs)
      onnx.forEach((values, at) => expect(largestDifference(values, tfjs[at]!)).toBeLessThan(1e-6));
    await found.session.release();
  });
});
