/** The memory of one model's programs: laid out once, by bytes; it grows only while something is compiled. */
import { KERNEL_WASM } from './kernel-wasm.ts';

/** As much of the WebAssembly interface as is used: it comes with the DOM's types, which are not loaded here. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE = 65_536;
/** Below this the compiler of the kernels may keep data. */
const FIRST = 4096;
/** After every tensor: kernels read, and up to the next 16 bytes write, a little beyond its end. */
const SLACK = 32;

interface Kernel {
  readonly scratchBytes: (rowsDepth: number, panels: number) => number;
  readonly configure: (scratch: number, rowsDepth: number) => void;
  readonly execute: (from: number, to: number) => void;
}

let compiled: object | null = null;

export class Memory {
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  readonly #kernel: Kernel;
  #end = FIRST;
  #scratch = { rowsDepth: -1, panels: -1 };
  #arena = { base: 0, bytes: 0 };
  #floats = new Float32Array(this.#memory.buffer);
  #words = new Uint32Array(this.#memory.buffer);

  constructor() {
    compiled ??= new WebAssembly.Module(Uint8Array.from(atob(KERNEL_WASM), (byte) => byte.charCodeAt(0)));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: this.#memory } });
    this.#kernel = exports as Kernel;
  }

  /** Address of `bytes` bytes that are kept, zero at first. */
  allocate(bytes: number): number {
    const address = this.#end;
    this.#end = padded(address + bytes);
    const missing = this.#end + SLACK - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE));
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
    return address;
  }

  /** Where the values of a step lie: one place for all programs, since one runs at a time. */
  arena(bytes: number): number {
    if (bytes > this.#arena.bytes) this.#arena = { base: this.allocate(bytes), bytes };
    return this.#arena.base;
  }

  /** Room for packed operands: `rowsDepth` numbers of each row of a block, `panels` numbers of packed columns. */
  reserve(rowsDepth: number, panels: number): void {
    const wanted = {
      rowsDepth: Math.max(rowsDepth, this.#scratch.rowsDepth),
      panels: Math.max(panels, this.#scratch.panels),
    };
    if (wanted.rowsDepth === this.#scratch.rowsDepth && wanted.panels === this.#scratch.panels) return;
    this.#scratch = wanted;
    this.#kernel.configure(this.allocate(this.#kernel.scratchBytes(wanted.rowsDepth, wanted.panels)), wanted.rowsDepth);
  }

  floats(address: number, length: number): Float32Array {
    return this.#floats.subarray(address / 4, address / 4 + length);
  }

  words(address: number, length: number): Uint32Array {
    return this.#words.subarray(address / 4, address / 4 + length);
  }

  execute(from: number, to: number): void {
    this.#kernel.execute(from, to);
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }
}

/** The room that a tensor of this many bytes takes. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 16) * 16 + SLACK;
}
