/**
 * Brings up TensorFlow.js in Node: `@tensorflow/tfjs-node` when the user has installed it and it loads, else the wasm backend with
 * the gradient kernels that it lacks, else plain JavaScript. TensorFlow.js is one global object, so this happens once a process.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import type * as Tf from '@tensorflow/tfjs';
import { registerKernels } from './kernels.ts';

export interface Backend {
  readonly tf: typeof Tf;
  readonly name: 'tfjs-node' | 'tfjs-wasm' | 'tfjs-cpu';
  /** Why this one, in a sentence for the log. */
  readonly reason: string;
}

let opened: Promise<Backend> | null = null;

export function openBackend(): Promise<Backend> {
  opened ??= open();
  return opened;
}

async function open(): Promise<Backend> {
  const require = createRequire(import.meta.url);
  const native = openNative(require);
  if ('tf' in native) return native;
  const tf = quietly(() => require('@tensorflow/tfjs') as typeof Tf);
  // Else the JavaScript backend, which the wasm one falls back on, greets and advertises on the console at its first kernel.
  tf.enableProdMode();
  const wasm = await openWasm(require, tf);
  // The JavaScript backend, which also computes what WebAssembly lacks, greets at its first use.
  Object.assign(tf.findBackend('cpu'), { firstUse: false });
  if (wasm === null)
    return { tf, name: 'tfjs-wasm', reason: `${native.missing}; WebAssembly with our gradient kernels` };
  await tf.setBackend('cpu');
  return {
    tf,
    name: 'tfjs-cpu',
    reason: `${native.missing}; WebAssembly did not start (${wasm}); plain JavaScript is slow`,
  };
}

function openNative(require: NodeJS.Require): Backend | { readonly missing: string } {
  try {
    require.resolve('@tensorflow/tfjs-node');
  } catch {
    return { missing: '@tensorflow/tfjs-node is not installed' };
  }
  try {
    // Removed in Node 23, still called by tfjs-node 4.22.
    const patched = util as { isNullOrUndefined?: (value: unknown) => boolean };
    patched.isNullOrUndefined ??= (value) => value === null || value === undefined;
    const tf = require('@tensorflow/tfjs-node') as typeof Tf;
    return { tf, name: 'tfjs-node', reason: 'it is installed and loads' };
  } catch (error) {
    return {
      missing: `@tensorflow/tfjs-node does not load (${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)})`,
    };
  }
}

/** Null when it is up, else why not. */
async function openWasm(require: NodeJS.Require, tf: typeof Tf): Promise<string | null> {
  try {
    const wasm = quietly(() => require('@tensorflow/tfjs-backend-wasm') as { setWasmPaths: (folder: string) => void });
    wasm.setWasmPaths(`${join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist')}/`);
    if (!(await tf.setBackend('wasm'))) return 'the backend refused';
    await tf.ready();
    registerKernels(tf);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** TensorFlow.js greets and warns on the console while it loads; a client's output is its own. */
function quietly<T>(load: () => T): T {
  const { warn, log, info } = console;
  Object.assign(console, { warn: () => undefined, log: () => undefined, info: () => undefined });
  try {
    return load();
  } finally {
    Object.assign(console, { warn, log, info });
  }
}
