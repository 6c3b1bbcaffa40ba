/** Layers that only move numbers, and dropout, which drops them. */
import { unsupported } from '../config.ts';
import { sizeOf } from '../operators.ts';
import { axisOf, only } from './layer.ts';
import type { LayerRule } from './layer.ts';

const Flatten: LayerRule = (call) => {
  call.config.refuseChannelsFirst();
  const x = only(call);
  return [call.graph.reshape(x, [x.shape[0]!, sizeOf(x.shape.slice(1))])];
};

/** One size may be -1: what is left. */
const Reshape: LayerRule = (call) => {
  const x = only(call);
  const target = call.config.numbers('target_shape', null);
  const known = target.filter((length) => length >= 0).reduce((product, length) => product * length, 1);
  const shape = target.map((length) => (length < 0 ? sizeOf(x.shape.slice(1)) / known : length));
  return [call.graph.reshape(x, [x.shape[0]!, ...shape])];
};

const Permute: LayerRule = (call) => [call.graph.transpose(only(call), [0, ...call.config.numbers('dims', null)])];

const Concatenate: LayerRule = ({ graph, config, inputs }) => [
  graph.concat(inputs, axisOf(config.number('axis', -1), inputs[0]!)),
];

const RepeatVector: LayerRule = (call) => {
  const x = only(call);
  const [batch, width] = x.shape as [number, number];
  const count = call.config.number('n');
  return [call.graph.broadcast(call.graph.reshape(x, [batch, 1, width]), [batch, count, width])];
};

const ZeroPadding2D: LayerRule = (call) => {
  call.config.refuseChannelsFirst();
  const x = only(call);
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const given = call.config.raw('padding') ?? 1;
  const pairs = (Array.isArray(given) ? given : [given, given]) as (number | [number, number])[];
  const [[top, bottom], [left, right]] = pairs.map((pair) => (typeof pair === 'number' ? [pair, pair] : pair)) as [
    [number, number],
    [number, number],
  ];
  return [call.graph.pad(x, [0, top, left, 0], [batch, height + top + bottom, width + left + right, channels])];
};

/** Inverted dropout (Srivastava et al. 2014): what is kept is scaled by 1 / (1 - rate). */
const Dropout: LayerRule = (call) => {
  const { graph, config, training } = call;
  const x = only(call);
  const rate = config.number('rate');
  if (!training || rate === 0) return [x];
  if (config.has('noise_shape')) throw unsupported(`${config.label} has a noise shape`);
  const kept = graph.unary('step', graph.subtract(graph.uniform(x.shape), graph.constant(rate)));
  return [graph.multiply(x, graph.scale(kept, 1 / (1 - rate)))];
};

export const shapeLayers: Readonly<Record<string, LayerRule>> = {
  InputLayer: ({ inputs }) => inputs,
  Flatten,
  Reshape,
  Permute,
  Concatenate,
  RepeatVector,
  ZeroPadding2D,
  Dropout,
};
