/**
 * Convolutions with `same` padding whose stride steps over rows that no filter reaches: there XNNPACK computes nothing and the
 * result is zeros, without a word (a 2x2 filter with stride 3 on 3x3 pixels). With the padding spelled out it is right.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { Attributes, Kernel, Kernels } from './wasm-backend.ts';

const CONVOLUTIONS = ['Conv2D', 'FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2D'];

export function samePadding({ get, set }: Kernels): void {
  for (const name of CONVOLUTIONS) set(name, spelledOut(get(name)));
}

function spelledOut(convolve: Kernel): Kernel {
  return (call) => {
    const { inputs, attrs } = call;
    const { x, filter } = inputs;
    if (attrs['pad'] !== 'same' || x === undefined || filter === undefined) return convolve(call);
    return convolve({
      ...call,
      attrs: { ...attrs, pad: [[0, 0], around(1, x, filter, attrs), around(2, x, filter, attrs), [0, 0]] },
    });
  };
}

/** Before and after, along one axis of the image: as much as the last filter position sticks out, the larger half after. */
function around(axis: 1 | 2, x: TensorInfo, filter: TensorInfo, attrs: Attributes): [before: number, after: number] {
  const length = x.shape[axis] ?? 1;
  const stride = along(axis, attrs['strides']);
  const reach = ((filter.shape[axis - 1] ?? 1) - 1) * along(axis, attrs['dilations']) + 1;
  const total = Math.max(0, (Math.ceil(length / stride) - 1) * stride + reach - length);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

function along(axis: 1 | 2, value: unknown): number {
  const steps = value as number | readonly [height: number, width: number] | null | undefined;
  return typeof steps === 'object' && steps !== null ? steps[axis - 1]! : (steps ?? 1);
}
