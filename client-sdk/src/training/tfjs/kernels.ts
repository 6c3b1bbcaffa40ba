/**
 * Makes the wasm backend of TensorFlow.js 4.22 train: the gradient kernels it lacks or has slow are computed by the portable back end
 * (only the stock matmul and convolution of operands that are not transposed go through XNNPACK), and those that are wrong are mended.
 *
 * The traps that are mended: convolutions that come out as zeros (`same-padding.ts`), pooled gradients below zero
 * (`window-gradients.ts`), and `_FusedMatMul` with transposed or batched operands, which adds the bias once per block of 48 along the
 * inner dimension. Composing transpose and plain product avoids that path; batched operands are computed without the fusion.
 * The trap that is avoided: XNNPACK keeps a packed copy of the right operand by tensor id, so a tensor is never written in place.
 */
import type * as Tf from '@tensorflow/tfjs';
import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { compiledKernel } from './compiled-kernels.ts';
import { registerCpuFallbacks } from './cpu-fallback.ts';
import { samePadding } from './same-padding.ts';
import type { Attributes, Call, Inputs, Kernel, Kernels, WasmBackend } from './wasm-backend.ts';
import { windowGradients } from './window-gradients.ts';

export function registerKernels(tf: typeof Tf): void {
  const kernels: Kernels = {
    tf,
    get: (name) => {
      const config = tf.getKernel(name, 'wasm');
      if (!config)
        throw new Error(`TensorFlow.js has no wasm kernel ${name}: its version is not the one this was written for`);
      return config.kernelFunc as unknown as Kernel;
    },
    set: (name, kernel) => {
      if (tf.getKernel(name, 'wasm')) tf.unregisterKernel(name, 'wasm');
      tf.registerKernel({
        kernelName: name,
        backendName: 'wasm',
        kernelFunc: kernel as unknown as KernelFunc,
      } satisfies KernelConfig);
    },
  };
  productKernels(kernels);
  samePadding(kernels);
  windowGradients(kernels);
  kernels.set('UnsortedSegmentSum', segmentSum);
  registerCpuFallbacks(tf);
}

function productKernels({ get, set }: Kernels): void {
  const transpose = get('Transpose');
  const product = get('BatchMatMul');
  const fused = get('_FusedMatMul');
  const untransposed = (kernel: Kernel): Kernel => {
    return ({ inputs, backend, attrs }) => {
      const made: TensorInfo[] = [];
      const straight = (tensor: TensorInfo | undefined, flip: unknown): TensorInfo | undefined => {
        if (tensor === undefined || flip !== true) return tensor;
        const turned = transpose({ inputs: { x: tensor }, backend, attrs: { perm: swapLast(tensor.shape.length) } });
        made.push(turned);
        return turned;
      };
      const a = straight(inputs['a'], attrs['transposeA']);
      const b = straight(inputs['b'], attrs['transposeB']);
      const output = kernel({
        inputs: { ...inputs, a, b },
        backend,
        attrs: { ...attrs, transposeA: false, transposeB: false },
      });
      for (const { dataId } of made) backend.disposeData(dataId);
      return output;
    };
  };
  set('BatchMatMul', either(isTurned, turnedProduct, untransposed(product)));
  set('_FusedMatMul', untransposed(unbatchedFusion(get, product, fused)));
}

/** The products of a backward pass: the stock kernel takes a path without SIMD for them. */
const turnedProduct = compiledKernel('BatchMatMul', ['a', 'b'], (graph, [a, b], attrs) =>
  graph.matmul(a!, b!, { transposeA: attrs['transposeA'] === true, transposeB: attrs['transposeB'] === true }),
);

function isTurned({ inputs: { a, b }, attrs }: Call): boolean {
  const turned = attrs['transposeA'] === true || attrs['transposeB'] === true;
  return turned && a?.shape.slice(0, -2).join() === b?.shape.slice(0, -2).join();
}

function either(which: (call: Call) => boolean, first: Kernel, second: Kernel): Kernel {
  return (call) => (which(call) ? first(call) : second(call));
}

/** XNNPACK takes one matrix at a time; anything batched is product, then bias, then activation. */
function unbatchedFusion(get: Kernels['get'], product: Kernel, fused: Kernel): Kernel {
  const plus = get('Add');
  return (call) => {
    const { inputs, backend, attrs } = call;
    const { a, b, bias, preluActivationWeights: prelu } = inputs;
    if (batchOf(a) === 1 && batchOf(b) === 1) return fused(call);
    const steps = [product({ inputs: { a, b }, backend, attrs: { transposeA: false, transposeB: false } })];
    const last = (): TensorInfo => steps.at(-1);
    if (bias !== undefined) steps.push(plus({ inputs: { a: last(), b: bias }, backend, attrs: {} }));
    const activation = attrs['activation'];
    if (typeof activation === 'string' && activation !== 'linear')
      steps.push(activate(get, activation, last(), prelu, backend, attrs));
    for (const { dataId } of steps.slice(0, -1)) backend.disposeData(dataId);
    return last();
  };
}

function activate(
  get: Kernels['get'],
  activation: string,
  x: TensorInfo,
  alpha: TensorInfo | undefined,
  backend: WasmBackend,
  attrs: Attributes,
): TensorInfo {
  const names: Readonly<Record<string, string>> = {
    relu: 'Relu',
    relu6: 'Relu6',
    sigmoid: 'Sigmoid',
    elu: 'Elu',
    leakyrelu: 'LeakyRelu',
    prelu: 'Prelu',
    tanh: 'Tanh',
  };
  const name = names[activation];
  if (name === undefined) throw new Error(`the fused activation ${activation} is not known`);
  const inputs: Inputs = activation === 'prelu' ? { x, alpha } : { x };
  return get(name)({ inputs, backend, attrs: { alpha: attrs['leakyreluAlpha'] } });
}

function batchOf(tensor: TensorInfo | undefined): number {
  return tensor === undefined ? 1 : tensor.shape.slice(0, -2).reduce((product, length) => product * length, 1);
}

/** Scatter-add, the gradient of an embedding: one pass over the rows that occur. The CPU backend's goes over all segments for each. */
const segmentSum: Kernel = ({ inputs, backend, attrs }) => {
  const { x, segmentIds } = inputs;
  if (x === undefined || segmentIds === undefined) throw new Error('UnsortedSegmentSum needs x and segmentIds');
  const segments = attrs['numSegments'] as number;
  const output = backend.makeOutput([segments, ...x.shape.slice(segmentIds.shape.length)], x.dtype);
  const sums = backend.typedArrayFromHeap(output).fill(0);
  const values = backend.typedArrayFromHeap(x);
  const ids = backend.typedArrayFromHeap(segmentIds);
  const width = sums.length / segments;
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row]!;
    if (segment < 0 || segment >= segments) continue;
    for (let i = 0; i < width; i++) sums[segment * width + i]! += values[row * width + i]!;
  }
  return output;
};

function swapLast(rank: number): number[] {
  const order = Array.from({ length: rank }, (_value, axis) => axis);
  [order[rank - 2], order[rank - 1]] = [rank - 1, rank - 2];
  return order;
}
