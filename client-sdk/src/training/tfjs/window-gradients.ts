/**
 * Gradients of convolutions and pooling, which the wasm backend lacks, has slow, or (`MaxPoolGrad` of 4.22: the gradient of a largest
 * number below zero goes to the corner of the image) has wrong.
 */
import type * as Tf from '@tensorflow/tfjs';
import type { Operator, Shape, Window } from '../plan/operators.ts';
import { compiledKernel } from './compiled-kernels.ts';
import type { Compute } from './compiled-kernels.ts';
import type { Attributes, Kernels } from './wasm-backend.ts';

type Image = [batch: number, height: number, width: number, channels: number];
type Pair = [number, number];

export function windowGradients({ tf, set }: Kernels): void {
  const convolved = (x: unknown, filter: unknown, attrs: Attributes, depthwise: boolean): Window =>
    convolutionWindow(tf, x as Image, filter as Image, attrs, depthwise);
  const gradients: Readonly<Record<string, readonly [inputs: readonly string[], compute: Compute]>> = {
    Conv2DBackpropFilter: [
      ['x', 'dy'],
      (graph, [x, dy], attrs) => {
        const window = convolved(x!.shape, attrs['filterShape'], attrs, false);
        return graph.push({ kind: 'convolution-filter', window }, [x!, dy!], attrs['filterShape'] as Shape);
      },
    ],
    Conv2DBackpropInput: [
      ['dy', 'filter'],
      (graph, [dy, filter], attrs) => {
        const window = convolved(attrs['inputShape'], filter!.shape, attrs, false);
        return graph.push({ kind: 'convolution-input', window }, [dy!, filter!], attrs['inputShape'] as Shape);
      },
    ],
    DepthwiseConv2dNativeBackpropFilter: [
      ['x', 'dy'],
      (graph, [x, dy], attrs) => {
        const window = convolved(x!.shape, attrs['filterShape'], attrs, true);
        return graph.push({ kind: 'depthwise-filter', window }, [x!, dy!], attrs['filterShape'] as Shape);
      },
    ],
    DepthwiseConv2dNativeBackpropInput: [
      ['dy', 'filter'],
      (graph, [dy, filter], attrs) => {
        const window = convolved(attrs['inputShape'], filter!.shape, attrs, true);
        return graph.push({ kind: 'depthwise-input', window }, [dy!, filter!], attrs['inputShape'] as Shape);
      },
    ],
    MaxPoolGrad: [
      ['input', 'output', 'dy'],
      (graph, [x, y, dy], attrs) => {
        const operator: Operator = { kind: 'max-pool-input', window: poolWindow(tf, x!.shape as Image, attrs) };
        return graph.push(operator, [x!, y!, dy!], x!.shape);
      },
    ],
  };
  for (const [name, [inputs, compute]] of Object.entries(gradients)) set(name, compiledKernel(name, inputs, compute));
}

function convolutionWindow(tf: typeof Tf, x: Image, filter: Image, attrs: Attributes, depthwise: boolean): Window {
  const { strides, dilations, pad, dimRoundingMode } = attrs as {
    readonly strides: number | Pair;
    readonly dilations?: number | Pair;
    readonly pad: 'same' | 'valid' | number;
    readonly dimRoundingMode?: 'floor';
  };
  const { computeConv2DInfo } = tf.backend_util;
  const found = computeConv2DInfo(x, filter, strides, dilations ?? 1, pad, dimRoundingMode, depthwise);
  return windowFrom(found);
}

function poolWindow(tf: typeof Tf, x: Image, attrs: Attributes): Window {
  const { filterSize, strides, pad, dimRoundingMode } = attrs as {
    readonly filterSize: number | Pair;
    readonly strides: number | Pair;
    readonly pad: 'same' | 'valid' | number;
    readonly dimRoundingMode?: 'floor';
  };
  return windowFrom(tf.backend_util.computePool2DInfo(x, filterSize, strides, 1, pad, dimRoundingMode));
}

function windowFrom(found: ReturnType<typeof Tf.backend_util.computeConv2DInfo>): Window {
  const { padInfo } = found;
  const window: Window = {
    size: [found.filterHeight, found.filterWidth],
    strides: [found.strideHeight, found.strideWidth],
    dilations: [found.dilationHeight, found.dilationWidth],
    padding: [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right],
  };
  // A position that sees zeros only: no layer has one, and the programs are not made for it.
  const reach = ([0, 1] as const).map((axis) => (window.size[axis] - 1) * window.dilations[axis]);
  if (window.padding.some((zeros, side) => zeros > reach[side % 2]!))
    throw new RangeError(`the padding ${window.padding.join(', ')} is wider than the window`);
  return window;
}
