import type { Value } from '../operators.ts';
import { sizeOf } from '../operators.ts';
import { activate } from './activations.ts';
import { only } from './layer.ts';
import type { LayerCall, LayerRule } from './layer.ts';
import { penalise } from './regularisers.ts';

/** x W + b over the last axis. */
export const Dense: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  const [units, width] = [config.number('units'), x.shape.at(-1)!];
  config.refuse('kernel_constraint', 'a constraint on its kernel');
  config.refuse('bias_constraint', 'a constraint on its bias');
  config.refuse('activity_regularizer', 'a regularizer of its activity');
  const kernel = call.weight('kernel', [width, units]);
  penalise(call, 'kernel_regularizer', kernel);
  const rows = graph.reshape(x, [sizeOf(x.shape) / width, width]);
  const y = biased(call, graph.matmul(rows, kernel), units);
  return [
    activate(graph, config.activation('activation'), graph.reshape(y, [...x.shape.slice(0, -1), units]), config.label),
  ];
};

/** With the layer's bias, when it has one, on the last axis. */
export function biased(call: LayerCall, x: Value, units: number): Value {
  if (!call.config.flag('use_bias', true)) return x;
  const bias = call.weight('bias', [units]);
  penalise(call, 'bias_regularizer', bias);
  return call.graph.add(x, bias);
}
