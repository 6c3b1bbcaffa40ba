/** Which engine trains a model, what is said of it, and what a survey of the machine finds. */
import { defaultPolicies } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import { expect, test } from 'vitest';
import { openTrainingEngine } from '../../src/training/choose.ts';
import type { ModelSpec } from '../../src/training/engine.ts';
import { surveyEngines } from '../../src/training/survey.ts';
import { openBackend } from '../../src/training/tfjs/backend.ts';

const { tf } = await openBackend();

function spec(layers: import('@tensorflow/tfjs').layers.Layer[]): ModelSpec {
  const model = tf.sequential({ layers });
  const tensors = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] }));
  return {
    topology: JSON.stringify(model.toJSON(null, false)),
    tensors: defaultPolicies(tensors),
    loss: 'mean-squared-error',
  };
}

async function chosen(model: ModelSpec): Promise<{ readonly engine: string; readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const engine = await openTrainingEngine((note) => notes.push(note));
  const trainer = await engine.load(model);
  trainer.dispose();
  engine.dispose();
  return { engine: trainer.engine, notes };
}

test('a model that compiles is trained by the first engine here, and the note says why', async () => {
  const { engine, notes } = await chosen(spec([tf.layers.dense({ inputShape: [3], units: 2 })]));
  const [first] = (await surveyEngines(seededRandom('survey'))).filter(({ stepsPerSecond }) => stepsPerSecond !== null);
  expect(engine).toBe(first?.engine);
  expect(notes).toEqual([expect.stringMatching(`^training with ${engine}: the model is compiled into one `)]);
});

test('a model that does not is trained by TensorFlow.js, and the note names the layer', async () => {
  const layers = [
    tf.layers.gaussianNoise({ name: 'grain', inputShape: [3], stddev: 1 }),
    tf.layers.dense({ units: 2 }),
  ];
  const { engine, notes } = await chosen(spec(layers));
  expect(engine).toMatch(/^tfjs-/);
  expect(notes).toEqual([
    `training with ${engine}, since the model cannot be compiled: GaussianNoise grain is a layer that is not compiled`,
  ]);
});

test('the survey has the engines in the order of choice; the portable one and TensorFlow.js are always there', async () => {
  const found = await surveyEngines(seededRandom('survey'));
  expect(found.map(({ engine }) => engine.replace(/-.*/, ''))).toEqual(['onnx', 'wasm', 'tfjs']);
  for (const { stepsPerSecond } of found.slice(1)) expect(stepsPerSecond).toBeGreaterThan(0);
});
