/** Convolutions. One-dimensional ones are images of one row. */
import { unsupported } from '../config.ts';
import type { Value, Window } from '../operators.ts';
import { activate } from './activations.ts';
import { biased } from './dense.ts';
import { only } from './layer.ts';
import type { LayerCall, LayerRule } from './layer.ts';
import { penalise } from './regularisers.ts';
import { asImage, fromImage, windowOf } from './windows.ts';

type Pair = readonly [number, number];

function spread(call: LayerCall, key: string, rank: 1 | 2, otherwise?: number): Pair {
  const given = call.config.numbers(key, rank, otherwise);
  return rank === 1 ? [1, given[0]!] : [given[0]!, given[1]!];
}

function windowFor(call: LayerCall, x: Value, rank: 1 | 2): Window {
  call.config.refuseChannelsFirst();
  call.config.refuse('kernel_constraint', 'a constraint on its kernel');
  call.config.refuse('bias_constraint', 'a constraint on its bias');
  return windowOf(call.config, [x.shape[1]!, x.shape[2]!], {
    size: spread(call, 'kernel_size', rank),
    strides: spread(call, 'strides', rank, 1),
    dilations: spread(call, 'dilation_rate', rank, 1),
  });
}

function kernelShape(rank: 1 | 2, size: Pair, channels: number, filters: number): number[] {
  return rank === 1 ? [size[1], channels, filters] : [...size, channels, filters];
}

function finished(call: LayerCall, y: Value, rank: 1 | 2): readonly Value[] {
  const { graph, config } = call;
  const active = activate(graph, config.activation('activation'), biased(call, y, y.shape[3]!), config.label);
  return [rank === 1 ? fromImage(graph, active) : active];
}

function convolution(rank: 1 | 2): LayerRule {
  return (call) => {
    const { graph, config } = call;
    const x = rank === 1 ? asImage(graph, only(call)) : only(call);
    const window = windowFor(call, x, rank);
    if (config.number('groups', 1) !== 1) throw unsupported(`${config.label} has groups`);
    const [channels, filters] = [x.shape[3]!, config.number('filters')];
    const kernel = call.weight('kernel', kernelShape(rank, window.size, channels, filters));
    penalise(call, 'kernel_regularizer', kernel);
    const filter = graph.reshape(kernel, [...window.size, channels, filters]);
    return finished(call, graph.convolution(x, filter, window), rank);
  };
}

const DepthwiseConv2D: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  const window = windowFor(call, x, 2);
  const kernel = call.weight('depthwise_kernel', [...window.size, x.shape[3]!, config.number('depth_multiplier', 1)]);
  penalise(call, 'depthwise_regularizer', kernel);
  return finished(call, graph.depthwise(x, kernel, window), 2);
};

/** A filter for each channel, then a mixture of the channels of each pixel. */
const SeparableConv2D: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  const window = windowFor(call, x, 2);
  const channels = x.shape[3]! * config.number('depth_multiplier', 1);
  const filters = config.number('filters');
  const depth = call.weight('depthwise_kernel', [...window.size, x.shape[3]!, config.number('depth_multiplier', 1)]);
  const point = call.weight('pointwise_kernel', [1, 1, channels, filters]);
  penalise(call, 'depthwise_regularizer', depth);
  penalise(call, 'pointwise_regularizer', point);
  const dots: Window = { size: [1, 1], strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0] };
  return finished(call, graph.convolution(graph.depthwise(x, depth, window), point, dots), 2);
};

/** The gradient of a convolution by its input, as a layer: Dumoulin and Visin 2016, section 4. */
const Conv2DTranspose: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  config.refuseChannelsFirst();
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [size, strides] = [spread(call, 'kernel_size', 2), spread(call, 'strides', 2, 1)];
  const same = config.text('padding', 'valid') === 'same';
  const along = (length: number, axis: 0 | 1): number =>
    length * strides[axis] + (same ? 0 : Math.max(size[axis] - strides[axis], 0));
  const shape = [batch, along(height, 0), along(width, 1), config.number('filters')] as const;
  const window = windowOf(config, [shape[1], shape[2]], { size, strides, dilations: [1, 1] });
  const kernel = call.weight('kernel', [...size, shape[3], channels]);
  penalise(call, 'kernel_regularizer', kernel);
  return finished(call, graph.push({ kind: 'convolution-input', window }, [x, kernel], shape), 2);
};

export const convolutionLayers: Readonly<Record<string, LayerRule>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  DepthwiseConv2D,
  SeparableConv2D,
  Conv2DTranspose,
};
