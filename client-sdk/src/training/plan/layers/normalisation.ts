/** Normalisation: to mean 0 and variance 1, then scaled and shifted by weights. */
import { unsupported } from '../config.ts';
import type { Value } from '../operators.ts';
import { axisOf, only } from './layer.ts';
import type { LayerCall, LayerRule } from './layer.ts';

interface Moments {
  readonly mean: Value;
  readonly variance: Value;
}

/** Mean and biased variance over axes, whose sizes become 1. */
function moments({ graph }: LayerCall, x: Value, axes: readonly number[]): Moments {
  const mean = graph.mean(x, axes);
  const centred = graph.subtract(x, mean);
  return { mean, variance: graph.mean(graph.multiply(centred, centred), axes) };
}

function normalised({ graph, config }: LayerCall, x: Value, { mean, variance }: Moments): Value {
  const spread = graph.unary('sqrt', graph.offset(variance, config.number('epsilon', 1e-3)));
  return graph.multiply(graph.subtract(x, mean), graph.unary('reciprocal', spread));
}

interface Affine {
  readonly gamma: Value | null;
  readonly beta: Value | null;
}

/** Gamma and beta of `shape`, where the layer has them. */
function affineOf({ config, weight }: LayerCall, shape: readonly number[]): Affine {
  for (const key of ['gamma', 'beta']) {
    config.refuse(`${key}_regularizer`, `a regularizer of ${key}`);
    config.refuse(`${key}_constraint`, `a constraint on ${key}`);
  }
  const gamma = config.flag('scale', true) ? weight('gamma', shape) : null;
  const beta = config.flag('center', true) ? weight('beta', shape) : null;
  return { gamma, beta };
}

/** Scaled and shifted; the weights are seen as of shape `as` beside x. */
function affine({ graph }: LayerCall, x: Value, { gamma, beta }: Affine, as: readonly number[]): Value {
  const scaled = gamma === null ? x : graph.multiply(x, graph.reshape(gamma, as));
  return beta === null ? scaled : graph.add(scaled, graph.reshape(beta, as));
}

/** Ones for all axes but these. */
function beside({ shape }: Value, axes: readonly number[]): number[] {
  return shape.map((length, axis) => (axes.includes(axis) ? length : 1));
}

/** Ioffe and Szegedy 2015. In training by the batch, whose moments move the averages; otherwise by the averages. */
const BatchNormalization: LayerRule = (call) => {
  const { graph, config, training } = call;
  const x = only(call);
  const given = config.raw('axis') ?? -1;
  const axis = axisOf(Number(Array.isArray(given) ? given[0] : given), x);
  const size = [x.shape[axis]!];
  const weights = affineOf(call, size);
  const mean = call.weight('moving_mean', size, false);
  const variance = call.weight('moving_variance', size, false);
  const as = beside(x, [axis]);
  if (!training || config.raw('trainable') === false) {
    const kept = { mean: graph.reshape(mean, as), variance: graph.reshape(variance, as) };
    return [affine(call, normalised(call, x, kept), weights, as)];
  }
  const others = x.shape.map((_length, at) => at).filter((at) => at !== axis);
  const batch = moments(call, x, others);
  const share = 1 - config.number('momentum', 0.99);
  const move = (average: Value, now: Value): void => {
    const difference = graph.subtract(average, graph.reshape(now, size));
    call.assign(average, graph.subtract(average, graph.scale(difference, share)));
  };
  move(mean, batch.mean);
  move(variance, batch.variance);
  return [affine(call, normalised(call, x, batch), weights, as)];
};

/** Ba, Kiros and Hinton 2016: each example by itself, over the axes given. */
const LayerNormalization: LayerRule = (call) => {
  const x = only(call);
  const axes = call.config.numbers('axis', null, -1).map((axis) => axisOf(axis, x));
  const sizes = axes.map((axis) => x.shape[axis]!);
  const weights = affineOf(call, sizes);
  return [affine(call, normalised(call, x, moments(call, x, axes)), weights, beside(x, axes))];
};

/** Wu and He 2018: each example by itself, over groups of channels and all pixels. */
const GroupNormalization: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  if (axisOf(config.number('axis', -1), x) !== x.shape.length - 1)
    throw unsupported(`${config.label} does not have its channels last`);
  const channels = x.shape.at(-1)!;
  const asked = config.number('groups', 32);
  const groups = asked === -1 ? channels : asked;
  if (channels % groups !== 0) throw unsupported(`${config.label} has ${channels} channels in ${groups} groups`);
  const weights = affineOf(call, [channels]);
  const split = [...x.shape.slice(0, -1), groups, channels / groups];
  const grouped = graph.reshape(x, split);
  const axes = split.map((_length, axis) => axis).filter((axis) => axis > 0 && axis !== split.length - 2);
  const flat = graph.reshape(normalised(call, grouped, moments(call, grouped, axes)), x.shape);
  return [affine(call, flat, weights, beside(x, [x.shape.length - 1]))];
};

export const normalisationLayers: Readonly<Record<string, LayerRule>> = {
  BatchNormalization,
  LayerNormalization,
  GroupNormalization,
};
