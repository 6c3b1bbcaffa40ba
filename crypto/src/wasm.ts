/** WebAssembly kernels (`scripts/build-kernels.ts`): compiled once, instantiated over a memory that is laid out once and never grows. */

/** As much of the WebAssembly interface as is used: it comes with the DOM's types, which are not loaded here. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

export interface Instance<Exports> {
  readonly exports: Exports;
  readonly memory: ArrayBuffer;
}

const compiled = new Map<string, object>();

/** A fresh instance over a memory of `bytes` at least. @param wasm the binary as base64 */
export function instantiate<Exports>(wasm: string, bytes: number): Instance<Exports> {
  const module =
    compiled.get(wasm) ?? new WebAssembly.Module(Uint8Array.from(atob(wasm), (byte) => byte.charCodeAt(0)));
  compiled.set(wasm, module);
  const pages = Math.ceil(bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { exports: exports as Exports, memory: memory.buffer };
}
