/**
 * The gradients of a 2-D convolution as convolutions: the filter's is the input convolved with the output's gradient (batch and
 * channels change places, the stride becomes the dilation); the input's, for stride 1, is the output's gradient convolved with
 * the filter turned by 180 degrees.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { Attributes, Inputs, Kernel, Kernels, WasmBackend } from './wasm-backend.ts';

interface ConvolutionShape {
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly padInfo: { readonly top: number; readonly bottom: number; readonly left: number; readonly right: number };
}

export function convolutionGradients(kernels: Kernels): void {
  const { get, set } = kernels;
  const parts = { transpose: get('Transpose'), convolve: get('Conv2D'), reverse: get('Reverse'), slice: get('Slice') };
  const slowInput = get('Conv2DBackpropInput');
  set('Conv2DBackpropFilter', ({ inputs, backend, attrs }) => {
    const { x, dy } = required(inputs, 'x', 'dy');
    const shape = shapeOf(kernels, x.shape, attrs['filterShape'], attrs);
    return filterGradient(parts, backend, x, dy, shape, attrs);
  });
  set('Conv2DBackpropInput', (call) => {
    const { inputs, backend, attrs } = call;
    const { dy, filter } = required(inputs, 'dy', 'filter');
    const shape = shapeOf(kernels, attrs['inputShape'], filter.shape, attrs);
    if (shape.strideHeight !== 1 || shape.strideWidth !== 1) return slowInput(call);
    return inputGradient(parts, backend, dy, filter, shape, attrs);
  });
}

type Parts = Readonly<Record<'transpose' | 'convolve' | 'reverse' | 'slice', Kernel>>;

function filterGradient(
  parts: Parts,
  backend: WasmBackend,
  x: TensorInfo,
  dy: TensorInfo,
  shape: ConvolutionShape,
  attrs: Attributes,
): TensorInfo {
  const { transpose, convolve, slice } = parts;
  const { top, left } = shape.padInfo;
  // Padding that makes the result exactly as large as the filter; a negative one means rows that no filter position reached.
  const bottom = shape.filterHeight + (shape.outHeight - 1) * shape.strideHeight - shape.inHeight - top;
  const right = shape.filterWidth + (shape.outWidth - 1) * shape.strideWidth - shape.inWidth - left;
  const byChannel = transpose({ inputs: { x }, backend, attrs: { perm: [3, 1, 2, 0] } });
  const asFilter = transpose({ inputs: { x: dy }, backend, attrs: { perm: [1, 2, 0, 3] } });
  const pad = [
    [0, 0],
    [top, Math.max(0, bottom)],
    [left, Math.max(0, right)],
    [0, 0],
  ];
  const dilations = [shape.strideHeight, shape.strideWidth];
  const all = convolve({
    inputs: { x: byChannel, filter: asFilter },
    backend,
    attrs: { strides: [1, 1], dilations, pad, dataFormat: 'NHWC', dimRoundingMode: attrs['dimRoundingMode'] },
  });
  const size = [all.shape[0], shape.filterHeight, shape.filterWidth, all.shape[3]];
  const exact =
    bottom < 0 || right < 0 ? slice({ inputs: { x: all }, backend, attrs: { begin: [0, 0, 0, 0], size } }) : all;
  const gradient = transpose({ inputs: { x: exact }, backend, attrs: { perm: [1, 2, 0, 3] } });
  for (const { dataId } of new Set([byChannel, asFilter, all, exact])) backend.disposeData(dataId);
  return gradient;
}

function inputGradient(
  { transpose, convolve, reverse }: Parts,
  backend: WasmBackend,
  dy: TensorInfo,
  filter: TensorInfo,
  shape: ConvolutionShape,
  attrs: Attributes,
): TensorInfo {
  const { top, bottom, left, right } = shape.padInfo;
  const turned = reverse({ inputs: { x: filter }, backend, attrs: { dims: [0, 1] } });
  const swapped = transpose({ inputs: { x: turned }, backend, attrs: { perm: [0, 1, 3, 2] } });
  const vertical = [shape.filterHeight - 1 - top, shape.filterHeight - 1 - bottom];
  const horizontal = [shape.filterWidth - 1 - left, shape.filterWidth - 1 - right];
  const pad = [[0, 0], vertical, horizontal, [0, 0]];
  const gradient = convolve({
    inputs: { x: dy, filter: swapped },
    backend,
    attrs: { strides: [1, 1], dilations: [1, 1], pad, dataFormat: 'NHWC', dimRoundingMode: attrs['dimRoundingMode'] },
  });
  for (const { dataId } of [turned, swapped]) backend.disposeData(dataId);
  return gradient;
}

function shapeOf({ tf }: Kernels, inputShape: unknown, filterShape: unknown, attrs: Attributes): ConvolutionShape {
  const input = inputShape as [number, number, number, number];
  const filter = filterShape as [number, number, number, number];
  const strides = attrs['strides'] as number | [number, number];
  return tf.backend_util.computeConv2DInfo(
    input,
    filter,
    strides,
    1,
    attrs['pad'] as 'same' | 'valid' | number,
    attrs['dimRoundingMode'] as 'floor' | undefined,
    false,
    'channelsLast',
  );
}

function required<A extends string, B extends string>(inputs: Inputs, a: A, b: B): Record<A | B, TensorInfo> {
  const first = inputs[a];
  const second = inputs[b];
  if (first === undefined || second === undefined) throw new Error(`a convolution gradient needs ${a} and ${b}`);
  return { [a]: first, [b]: second } as Record<A | B, TensorInfo>;
}
