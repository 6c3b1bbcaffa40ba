import type * as Tf from '@tensorflow/tfjs';
import type { TensorInfo } from '@tensorflow/tfjs-core';

/** What we use of the wasm backend beyond its public type. */
export interface WasmBackend {
  readonly readSync: (dataId: object) => Float32Array | Int32Array | Uint8Array;
  readonly disposeData: (dataId: object, force?: boolean) => boolean;
  readonly makeOutput: (shape: readonly number[], dtype: string) => TensorInfo;
  readonly typedArrayFromHeap: (tensor: TensorInfo) => Float32Array | Int32Array | Uint8Array;
}

export type Inputs = Readonly<Record<string, TensorInfo | undefined>>;
export type Attributes = Readonly<Record<string, unknown>>;
export interface Call {
  readonly inputs: Inputs;
  readonly backend: WasmBackend;
  readonly attrs: Attributes;
}
/** A kernel as these files call and define it. */
export type Kernel = (call: Call) => TensorInfo;

export interface Kernels {
  readonly tf: typeof Tf;
  readonly get: (name: string) => Kernel;
  readonly set: (name: string, kernel: Kernel) => void;
}
