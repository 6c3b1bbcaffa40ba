/** Every kernel that the wasm backend still lacks, by way of the JavaScript one: copied in, computed, copied out. Right, but slow. */
import type * as Tf from '@tensorflow/tfjs';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './wasm-backend.ts';

interface CpuBackend {
  readonly write: (values: unknown, shape: readonly number[], dtype: string) => object;
  readonly readSync: (dataId: object) => ArrayLike<number>;
  readonly disposeData: (dataId: object, force?: boolean) => boolean;
}

/** By name, or in a row for a kernel that takes any number, such as Einsum. */
type CpuInputs = Record<string, TensorInfo | TensorInfo[] | null | undefined> | TensorInfo[];
type CpuKernel = (call: { inputs: CpuInputs; backend: CpuBackend; attrs: unknown }) => TensorInfo | TensorInfo[];

export function registerCpuFallbacks(tf: typeof Tf): void {
  const present = new Set(tf.getKernelsForBackend('wasm').map(({ kernelName }) => kernelName));
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend('cpu')) {
    if (present.has(kernelName)) continue;
    const kernel = throughCpu(tf, kernelFunc as unknown as CpuKernel);
    tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc: kernel as unknown as KernelFunc });
  }
}

function throughCpu(
  tf: typeof Tf,
  kernel: CpuKernel,
): (call: { inputs: CpuInputs; backend: WasmBackend; attrs: unknown }) => TensorInfo | TensorInfo[] {
  return ({ inputs, backend, attrs }) => {
    const cpu = tf.findBackend('cpu') as unknown as CpuBackend;
    const copied: TensorInfo[] = [];
    const copyIn = (tensor: TensorInfo): TensorInfo => {
      // slice(): what the wasm backend hands out may be a view of its heap.
      const copy = {
        ...tensor,
        dataId: cpu.write(backend.readSync(tensor.dataId).slice(), tensor.shape, tensor.dtype),
      };
      copied.push(copy);
      return copy;
    };
    const each = <T>(value: T | T[], change: (item: T) => T): T | T[] =>
      Array.isArray(value) ? value.map(change) : change(value);
    const local = Array.isArray(inputs)
      ? inputs.map(copyIn)
      : Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, value ? each(value, copyIn) : value]));
    const output = kernel({ inputs: local, backend: cpu, attrs });
    const copyOut = (tensor: TensorInfo): TensorInfo => {
      const result = backend.makeOutput(tensor.shape, tensor.dtype);
      backend.typedArrayFromHeap(result).set(cpu.readSync(tensor.dataId));
      if (!copied.some(({ dataId }) => dataId === tensor.dataId)) cpu.disposeData(tensor.dataId, true);
      return result;
    };
    const results = each(output, copyOut);
    for (const { dataId } of copied) cpu.disposeData(dataId, true);
    return results;
  };
}
