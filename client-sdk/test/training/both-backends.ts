/** Runs one computation on the wasm backend, with our kernels, and on plain JavaScript: the oracle. */
import { expect } from 'vitest';
import type * as Tf from '@tensorflow/tfjs';
import { openBackend } from '../../src/training/tfjs/backend.ts';
import type { Backend } from '../../src/training/tfjs/backend.ts';

const backend: Backend = await openBackend();
export const tf: typeof Tf = backend.tf;
export const BACKEND: Backend['name'] = backend.name;

export interface Both {
  readonly wasm: readonly Float32Array[];
  readonly cpu: readonly Float32Array[];
}

export async function onBoth(compute: () => Tf.Tensor[]): Promise<Both> {
  return { cpu: await on('cpu', compute), wasm: await on('wasm', compute) };
}

/** Leaves the wasm backend set, as the engine wants it. */
export async function on(backend: 'cpu' | 'wasm', compute: () => Tf.Tensor[]): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  try {
    return tf.tidy(() => compute().map((tensor) => Float32Array.from(tensor.dataSync())));
  } finally {
    await tf.setBackend('wasm');
  }
}

/** Sums in another order differ in the last bits: relative to the largest value of the tensor. */
export function expectAgreement({ wasm, cpu }: Both, tolerance = 1e-5): void {
  expect(wasm.map(({ length }) => length)).toEqual(cpu.map(({ length }) => length));
  cpu.forEach((expected, index) => {
    const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-3);
    const worst = expected.reduce(
      (largest, value, at) => Math.max(largest, Math.abs(value - (wasm[index]?.[at] ?? Number.NaN))),
      0,
    );
    expect(worst / scale).toBeLessThanOrEqual(tolerance);
  });
}
