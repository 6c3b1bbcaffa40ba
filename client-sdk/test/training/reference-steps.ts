/** Training steps by the interpreter in binary64 and the formulas of the papers: what back ends are held against beyond TensorFlow.js. */
import { interpret } from '../../src/training/plan/interpreter.ts';
import { uniformNumbers } from '../../src/training/plan/noise.ts';
import { sizeOf } from '../../src/training/plan/operators.ts';
import { trainingPlan } from '../../src/training/plan/plan.ts';
import type { PlannedModel, TrainingPlan } from '../../src/training/plan/plan.ts';
import type { Examples } from '../../src/training/engine.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';

/** The weights after the examples in their order, batch by batch. Models with one input and one output. */
export function referenceSteps(
  model: PlannedModel,
  weights: Float32Array,
  examples: Examples,
  settings: TrainingSettings,
): Float64Array {
  const state = {
    weights: Float64Array.from(weights),
    first: new Float64Array(weights.length),
    second: new Float64Array(weights.length),
  };
  let step = 0;
  for (let from = 0; from < examples.count; from += settings.batchSize) {
    const size = Math.min(settings.batchSize, examples.count - from);
    step += 1;
    const gradient = clipped(
      gradientOf(model, state.weights, examples, from, size, settings, step),
      weights,
      state.weights,
      settings,
    );
    stepBy(state, gradient, settings, step);
  }
  return state.weights;
}

function gradientOf(
  model: PlannedModel,
  weights: Float64Array,
  examples: Examples,
  from: number,
  size: number,
  { perExampleClip, seed = 0 }: TrainingSettings,
  step: number,
): Float64Array {
  if (perExampleClip === undefined)
    return batchGradient(trainingPlan(model, size), weights, examples, from, seed, step);
  const single = trainingPlan(model, 1);
  const mean = new Float64Array(weights.length);
  for (let at = from; at < from + size; at++) {
    const own = batchGradient(single, weights, examples, at, seed, step);
    const scale = Math.min(1, perExampleClip / norm(own)) / size;
    own.forEach((value, i) => (mean[i]! += value * scale));
  }
  return mean;
}

function batchGradient(
  plan: TrainingPlan,
  weights: Float64Array,
  { features, labels }: Examples,
  from: number,
  seed: number,
  step: number,
): Float64Array {
  const rows = (all: ArrayLike<number>, width: number): Float64Array =>
    Float64Array.from({ length: plan.batch * width }, (_value, at) => all[from * width + at]!);
  const found = interpret(
    plan.values,
    plan.gradients.map(({ value }) => value),
    {
      parameters: plan.slots.map(({ offset, size }) => weights.subarray(offset, offset + size)),
      features: plan.features.map(({ shape }) => rows(features, sizeOf(shape) / plan.batch)),
      labels: plan.labels.map(({ shape }) => rows(labels, sizeOf(shape) / plan.batch)),
      uniform: (stream, size) => Float64Array.from(uniformNumbers(size, seed, step, stream)),
      numbers: Float64Array,
    },
  );
  const flat = new Float64Array(weights.length);
  plan.gradients.forEach(({ parameter }, at) => flat.set(found[at]!, plan.slots[parameter]!.offset));
  return flat;
}

function norm(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function clipped(
  raw: Float64Array,
  anchor: Float32Array,
  weights: Float64Array,
  { clipNorm, proximal = 0, correction, optimizer }: TrainingSettings,
): Float64Array {
  const near = raw.map((value, i) => value + proximal * (weights[i]! - anchor[i]!));
  const scale = clipNorm === undefined ? 1 : Math.min(1, clipNorm / norm(near));
  const decay = optimizer.kind === 'adamw' ? 0 : (optimizer.weightDecay ?? 0);
  return near.map((value, i) => value * scale + (correction?.[i] ?? 0) + decay * weights[i]!);
}

interface State {
  readonly weights: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

function stepBy(
  { weights, first, second }: State,
  gradient: Float64Array,
  { optimizer }: TrainingSettings,
  step: number,
): void {
  gradient.forEach((g, i) => {
    if (optimizer.kind === 'sgd') {
      const { learningRate, momentum, nesterov = false } = optimizer;
      first[i] = momentum * first[i]! + g;
      weights[i]! -= learningRate * (nesterov ? g + momentum * first[i] : first[i]);
      return;
    }
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0 } = optimizer;
    if (optimizer.kind === 'adamw') weights[i]! *= 1 - learningRate * weightDecay;
    first[i] = beta1 * first[i]! + (1 - beta1) * g;
    second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
    const spread = Math.sqrt(second[i] / (1 - beta2 ** step)) + epsilon;
    weights[i]! -= (learningRate * (first[i] / (1 - beta1 ** step))) / spread;
  });
}
