/** Activations by name, as in `tf.layers.activation`. */
import { unsupported } from '../config.ts';
import type { Graph } from '../graph.ts';
import type { Value } from '../operators.ts';
import { axisOf, only } from './layer.ts';
import type { LayerRule } from './layer.ts';

type Activation = (graph: Graph, x: Value) => Value;

// Klambauer et al. 2017, as tfjs rounds them.
const SELU_ALPHA = 1.7580993408473768599402175208123;
const SELU_SCALE = 1.0507009873554804934193349852946;

export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: (_graph, x) => x,
  relu: (graph, x) => graph.unary('relu', x),
  relu6: (graph, x) => graph.binary('minimum', graph.unary('relu', x), graph.constant(6)),
  sigmoid: (graph, x) => graph.unary('sigmoid', x),
  tanh: (graph, x) => graph.unary('tanh', x),
  softplus: (graph, x) => graph.unary('softplus', x),
  softsign: (graph, x) => graph.divide(x, graph.offset(graph.unary('abs', x), 1)),
  hardsigmoid: (graph, x) => graph.clip(graph.offset(graph.scale(x, 0.2), 0.5), 0, 1),
  elu: (graph, x) => elu(graph, x, 1),
  selu: (graph, x) => {
    const negative = graph.scale(belowZero(graph, x), SELU_ALPHA);
    return graph.add(graph.scale(graph.unary('relu', x), SELU_SCALE), negative);
  },
  swish: (graph, x) => graph.multiply(x, graph.unary('sigmoid', x)),
  silu: (graph, x) => graph.multiply(x, graph.unary('sigmoid', x)),
  mish: (graph, x) => graph.multiply(x, graph.unary('tanh', graph.unary('softplus', x))),
  gelu: (graph, x) => {
    const half = graph.scale(graph.offset(graph.unary('erf', graph.scale(x, Math.SQRT1_2)), 1), 0.5);
    return graph.multiply(x, half);
  },
  gelunew: (graph, x) => {
    const cube = graph.multiply(x, graph.multiply(x, x));
    const inner = graph.scale(graph.add(x, graph.scale(cube, 0.044715)), Math.sqrt(2 / Math.PI));
    return graph.scale(graph.multiply(x, graph.offset(graph.unary('tanh', inner), 1)), 0.5);
  },
  exponential: (graph, x) => graph.unary('exp', x),
  softmax: (graph, x) => graph.softmax(x),
  logsoftmax: (graph, x) => {
    const last = [x.shape.length - 1];
    const centred = graph.subtract(x, graph.max(x, last));
    return graph.subtract(centred, graph.unary('log', graph.sum(graph.unary('exp', centred), last)));
  },
};

/** exp(x) - 1 where x < 0, else 0. */
function belowZero(graph: Graph, x: Value): Value {
  return graph.offset(graph.unary('exp', graph.binary('minimum', x, graph.constant(0))), -1);
}

function elu(graph: Graph, x: Value, alpha: number): Value {
  return graph.add(graph.unary('relu', x), graph.scale(belowZero(graph, x), alpha));
}

/** @throws ClientError `MODEL_UNSUPPORTED` */
export function activate(graph: Graph, name: string, x: Value, label: string): Value {
  const activation = ACTIVATIONS[name];
  if (activation === undefined) throw unsupported(`${label} has the activation ${name}`);
  return activation(graph, x);
}

/** x where it is positive, alpha x elsewhere. */
function leaky(graph: Graph, x: Value, alpha: Value): Value {
  const negative = graph.binary('minimum', x, graph.constant(0));
  return graph.add(graph.unary('relu', x), graph.multiply(negative, alpha));
}

export const activationLayers: Readonly<Record<string, LayerRule>> = {
  Activation: (call) => [activate(call.graph, call.config.activation('activation'), only(call), call.config.label)],
  ReLU: (call) => {
    const x = call.graph.unary('relu', only(call));
    if (!call.config.has('max_value')) return [x];
    return [call.graph.binary('minimum', x, call.graph.constant(call.config.number('max_value')))];
  },
  LeakyReLU: (call) => [leaky(call.graph, only(call), call.graph.constant(call.config.number('alpha', 0.3)))],
  ELU: (call) => [elu(call.graph, only(call), call.config.number('alpha', 1))],
  PReLU: (call) => {
    const x = only(call);
    const shared = call.config.has('shared_axes') ? call.config.numbers('shared_axes', null) : [];
    const shape = x.shape.slice(1).map((length, at) => (shared.includes(at + 1) ? 1 : length));
    return [leaky(call.graph, x, call.weight('alpha', shape))];
  },
  Softmax: (call) => {
    const x = only(call);
    if (axisOf(call.config.number('axis', -1), x) !== x.shape.length - 1)
      throw unsupported(`${call.config.label} is not over the last axis`);
    return [call.graph.softmax(x)];
  },
};
