/** Layers models as JSON, without TensorFlow.js. */
import { defaultPolicies } from '@carapace/aggregation';
import type { ModelSpec } from '../../src/training/engine.ts';
import { trainingPlan } from '../../src/training/plan/plan.ts';
import { plannedModel } from '../../src/training/plan/trainer.ts';
import type { LossName } from '../../src/training/settings.ts';

type Json = Record<string, unknown>;

export function layer(className: string, config: Json = {}): Json {
  return {
    class_name: className,
    config: { name: `${className.toLowerCase()}${JSON.stringify(config).length}`, ...config },
  };
}

/** A chain of layers that begins with this input, without the batch; its weights' names and shapes are the plan's own. */
export function chain(
  input: readonly number[],
  layers: readonly Json[],
  loss: LossName = 'categorical-crossentropy',
): ModelSpec {
  const named = layers.map(({ class_name, config }, at) => ({
    class_name,
    config: { ...(config as Json), name: `layer${at}`, ...(at === 0 ? { batch_input_shape: [null, ...input] } : {}) },
  }));
  return specOf({ class_name: 'Sequential', config: { name: 'chain', layers: named } }, loss);
}

export function specOf(topology: Json, loss: LossName): ModelSpec {
  const text = JSON.stringify(topology);
  const { slots } = trainingPlan(plannedModel({ topology: text, loss }), 2);
  const ordered = slots.toSorted((a, b) => a.offset - b.offset);
  return { topology: text, tensors: defaultPolicies(ordered.map(({ name, shape }) => ({ name, shape }))), loss };
}
