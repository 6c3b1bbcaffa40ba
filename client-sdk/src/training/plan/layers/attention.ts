/** Attention, as one layer or written out: products of sequences, scaled, a softmax between them. */
import { unsupported } from '../config.ts';
import type { Graph } from '../graph.ts';
import { EPSILON } from '../operators.ts';
import type { Value } from '../operators.ts';
import { axisOf, only } from './layer.ts';
import type { LayerRule } from './layer.ts';

/**
 * Dot-product attention (Luong et al. 2015), as Keras' `Attention`: query [b, t, d], value [b, s, v] and key [b, s, d], which is the
 * value when it is left out -> softmax(query key^T) value, [b, t, v].
 */
const Attention: LayerRule = ({ graph, config, inputs, training, weight }) => {
  const [query, value, key = value] = inputs;
  if (query === undefined || value === undefined || key === undefined)
    throw unsupported(`${config.label} needs a query and a value`);
  if (config.text('score_mode', 'dot') !== 'dot') throw unsupported(`${config.label} does not score by products`);
  config.refuse('causal', 'a causal mask');
  if (training) config.refuse('dropout', 'dropout of its scores');
  const scores = graph.matmul(query, key, { transposeB: true });
  const scaled = config.flag('use_scale', false) ? graph.multiply(scores, weight('scale', [])) : scores;
  return [graph.matmul(graph.softmax(scaled), value)];
};

/** Products of two inputs over one axis of each, example by example: [b, t, d] and [b, s, d] over [2, 2] -> [b, t, s]. */
const Dot: LayerRule = ({ graph, config, inputs }) => {
  const [a, b, ...more] = inputs;
  if (a === undefined || b === undefined || more.length > 0)
    throw unsupported(`${config.label} has ${inputs.length} inputs`);
  const given = config.numbers('axes', 2);
  const axes = [axisOf(given[0]!, a), axisOf(given[1]!, b)] as const;
  if (axes.some((axis) => axis < 1)) throw unsupported(`${config.label} is over the batch`);
  if (a.shape.length > 3 || b.shape.length > 3) throw unsupported(`${config.label} has an input of four axes`);
  const [left, right] = config.flag('normalize', false)
    ? [ofLengthOne(graph, a, axes[0]), ofLengthOne(graph, b, axes[1])]
    : [a, b];
  const product = graph.matmul(rowsOf(graph, left), rowsOf(graph, right), {
    transposeA: a.shape.length === 3 && axes[0] === 1,
    transposeB: b.shape.length === 2 || axes[1] === 2,
  });
  const free = [...kept(a, axes[0]), ...kept(b, axes[1])];
  return [graph.reshape(product, [a.shape[0]!, ...(free.length === 0 ? [1] : free)])];
};

/** A vector of each example is a matrix of one row. */
function rowsOf(graph: Graph, x: Value): Value {
  const [batch, width] = x.shape as [number, number];
  return x.shape.length === 2 ? graph.reshape(x, [batch, 1, width]) : x;
}

/** The sizes that stay, without the batch. */
function kept({ shape }: Value, axis: number): readonly number[] {
  return shape.filter((_length, at) => at > 0 && at !== axis);
}

/** Divided by its Euclidean length along an axis, as tfjs has it: shorter ones than sqrt(epsilon) by that. */
function ofLengthOne(graph: Graph, x: Value, axis: number): Value {
  const squares = graph.sum(graph.multiply(x, x), [axis]);
  return graph.divide(x, graph.unary('sqrt', graph.binary('maximum', squares, graph.constant(EPSILON))));
}

/** What scales the products, by 1 / sqrt(d): TensorFlow.js has no other layer that does. */
const Rescaling: LayerRule = (call) => [
  call.graph.offset(call.graph.scale(only(call), call.config.number('scale')), call.config.number('offset', 0)),
];

export const attentionLayers: Readonly<Record<string, LayerRule>> = { Attention, Dot, Rescaling };
