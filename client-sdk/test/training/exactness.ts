/** Trains one model on two engines from the same weights and batches. */
import { defaultPolicies } from '@carapace/aggregation';
import { uniformInteger } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import type * as Tf from '@tensorflow/tfjs';
import type { Examples, ModelSpec, TrainingEngine } from '../../src/training/engine.ts';
import { sizeOf } from '../../src/training/plan/operators.ts';
import type { LossName, TrainingSettings } from '../../src/training/settings.ts';

/** Values in [-1, 1). */
export function numbers(seed: string, count: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => uniformInteger(random, 2 ** 24) / 2 ** 23 - 1);
}

export function specOf(model: Tf.LayersModel, loss: LossName): ModelSpec {
  const tensors = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] }));
  return { topology: JSON.stringify(model.toJSON(null, false)), tensors: defaultPolicies(tensors), loss };
}

/** Weights of a size that lets gradients through; moving variances are positive. */
export function weightsFor({ tensors }: ModelSpec, seed: string): Float32Array {
  const parts = tensors.map(({ name, shape }, at) => {
    const values = numbers(`${seed} ${at}`, sizeOf(shape));
    if (/variance/.test(name)) return values.map((value) => 1 + Math.abs(value));
    if (/gamma/.test(name)) return values.map((value) => 1 + 0.3 * value);
    const fanIn = shape.length < 2 ? 4 : sizeOf(shape.slice(0, -1));
    return values.map((value) => value * Math.sqrt(1.5 / fanIn));
  });
  const flat = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    flat.set(part, offset);
    offset += part.length;
  }
  return flat;
}

const never = new AbortController().signal;

/** The weights after one epoch, and its loss. */
export async function train(
  engine: TrainingEngine,
  spec: ModelSpec,
  weights: Float32Array,
  examples: Examples,
  settings: TrainingSettings,
): Promise<{ weights: Float32Array; loss: number; engine: string }> {
  const trainer = await engine.load(spec);
  try {
    trainer.setWeights(weights);
    const order = Uint32Array.from({ length: examples.count }, (_value, at) => (at * 7 + 3) % examples.count);
    const { loss } = await trainer.trainEpoch(examples, order, settings, never);
    return { weights: trainer.weights(), loss, engine: trainer.engine };
  } finally {
    trainer.dispose();
  }
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
}
