/** Instructions over buffers, until every buffer has its place: lifetimes decide which share memory. */
import type { Memory } from './memory.ts';
import { padded } from './memory.ts';

/** Codes of `assembly/kernel.ts`. */
export const CODE = {
  matmul: 0,
  unary: 1,
  binary: 2,
  range: 3,
  reduce: 4,
  move: 5,
  fill: 6,
  uniform: 7,
  gather: 8,
  scatter: 9,
  oneHot: 10,
  softmax: 11,
  crossEntropy: 12,
  crossEntropyInput: 13,
  binaryCrossEntropy: 14,
  convolve: 15,
  filterGradient: 16,
  windows: 17,
  depthwise: 18,
  pool: 19,
  axpy: 20,
  momentum: 21,
  adam: 22,
  pull: 23,
  squares: 24,
  zero: 25,
  clipScale: 26,
} as const;

const WORDS = 16;

/** Memory for one tensor. */
export interface Buffer {
  readonly bytes: number;
  /** Known from the start for what outlives a step. */
  address: number | null;
  /** First and last instruction that names it. */
  first: number;
  last: number;
}

/** A place in a buffer, in bytes. */
export interface Place {
  readonly buffer: Buffer;
  readonly offset: number;
}

/** A float32 operand, in place of an integer. */
export interface Real {
  readonly real: number;
}

type Operand = number | Place | Real;

interface Instruction {
  readonly code: number;
  readonly operands: readonly Operand[];
  /** An input whose memory the output may take over: it is read element by element before it is written. */
  readonly takeover: { readonly input: Buffer; readonly output: Buffer } | null;
}

export interface Program {
  readonly from: number;
  readonly to: number;
}

export class ProgramBuilder {
  readonly memory: Memory;
  readonly #instructions: Instruction[] = [];
  readonly #buffers = new Set<Buffer>();
  readonly #constants = new Map<number, Place>();
  #rowsDepth = 0;
  #panels = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  buffer(size: number): Place {
    const buffer = { bytes: 4 * size, address: null, first: Infinity, last: -1 };
    this.#buffers.add(buffer);
    return { buffer, offset: 0 };
  }

  /** Memory that outlives the step. */
  fixed(address: number, size: number): Place {
    return { buffer: { bytes: 4 * size, address, first: -1, last: Infinity }, offset: 0 };
  }

  /** Written before the first instruction, or read after the last one. */
  keep({ buffer }: Place, when: 'before' | 'after'): void {
    if (when === 'before') buffer.first = -1;
    else buffer.last = Infinity;
  }

  /** A number in memory. */
  constant(value: number): Place {
    const known = this.#constants.get(value);
    if (known !== undefined) return known;
    const address = this.memory.allocate(16);
    this.memory.floats(address, 1)[0] = value;
    const place = this.fixed(address, 1);
    this.#constants.set(value, place);
    return place;
  }

  /** Words in memory. */
  table(words: readonly number[]): Place {
    const address = this.memory.allocate(4 * words.length);
    this.memory.words(address, words.length).set(words.map((word) => word >>> 0));
    return this.fixed(address, words.length);
  }

  /** Packed operands that this program needs. */
  reserve(rowsDepth: number, panels: number): void {
    this.#rowsDepth = Math.max(this.#rowsDepth, rowsDepth);
    this.#panels = Math.max(this.#panels, panels);
  }

  emit(code: number, operands: readonly Operand[], takeover: { input: Place; output: Place } | null = null): void {
    const at = this.#instructions.length;
    for (const operand of operands) {
      if (typeof operand === 'number' || 'real' in operand) continue;
      operand.buffer.first = Math.min(operand.buffer.first, at);
      operand.buffer.last = Math.max(operand.buffer.last, at);
    }
    const taken = takeover && { input: takeover.input.buffer, output: takeover.output.buffer };
    this.#instructions.push({ code, operands, takeover: taken });
  }

  /** Places every buffer and writes the instructions. */
  finish(): Program {
    const bytes = this.#place();
    const base = this.memory.arena(bytes);
    for (const buffer of this.#buffers) if (buffer.address !== null) buffer.address += base;
    this.memory.reserve(this.#rowsDepth, this.#panels);
    const from = this.memory.allocate(4 * WORDS * this.#instructions.length);
    this.#instructions.forEach((instruction, at) => this.#encode(instruction, from + 4 * WORDS * at));
    return { from, to: from + 4 * WORDS * this.#instructions.length };
  }

  /** First fit, in the order in which buffers come to life; addresses from 0. */
  #place(): number {
    const starting = new Map<number, Buffer[]>();
    for (const buffer of this.#buffers) {
      if (buffer.first === Infinity && buffer.last < 0) continue;
      starting.set(buffer.first, [...(starting.get(buffer.first) ?? []), buffer]);
    }
    const live: Buffer[] = [];
    let end = 0;
    for (let at = -1; at < this.#instructions.length; at++) {
      const takeover = this.#instructions[at]?.takeover ?? null;
      for (let i = live.length - 1; i >= 0; i--) if (live[i]!.last < at) live.splice(i, 1);
      for (const buffer of starting.get(at) ?? []) {
        if (takeover?.output === buffer && this.#takesOver(live, takeover, at)) continue;
        end = Math.max(end, settle(live, buffer));
      }
    }
    return end;
  }

  #takesOver(live: Buffer[], { input, output }: { input: Buffer; output: Buffer }, at: number): boolean {
    const place = live.indexOf(input);
    if (place < 0 || input.last !== at || input.bytes !== output.bytes || input === output) return false;
    output.address = input.address;
    live.splice(place, 1, output);
    return true;
  }

  #encode({ code, operands }: Instruction, address: number): void {
    const words = this.memory.words(address, WORDS);
    const reals = this.memory.floats(address, WORDS);
    words[0] = code;
    operands.forEach((operand, at) => {
      if (typeof operand === 'number') words[at + 1] = operand >>> 0;
      else if ('real' in operand) reals[at + 1] = operand.real;
      else words[at + 1] = operand.buffer.address! + operand.offset;
    });
  }
}

/** Into the lowest gap between the live ones, which are kept in order of address. Its end. */
function settle(live: Buffer[], buffer: Buffer): number {
  const bytes = padded(buffer.bytes);
  let address = 0;
  let at = 0;
  for (; at < live.length; at++) {
    const other = live[at]!;
    if (other.address! - address >= bytes) break;
    address = Math.max(address, other.address! + padded(other.bytes));
  }
  buffer.address = address;
  live.splice(at, 0, buffer);
  return address + bytes;
}
