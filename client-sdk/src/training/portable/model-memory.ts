/** What outlives a step: weights, the optimiser's state, what a proximal or corrected step pulls to, and the numbers of the step. */
import type { Slot } from '../plan/plan.ts';
import { adamScalars, stepForm } from '../settings.ts';
import type { TrainingSettings } from '../settings.ts';
import type { Memory } from './memory.ts';
import type { Place, ProgramBuilder } from './program.ts';

/** Where the numbers of a step lie, in floats from the first. */
const SCALAR = { minusRate: 0, rate: 1, momentum: 2, decay: 3, proximal: 4, one: 5, adam: 8, noise: 20 } as const;
const SCALARS = 24;

/** Vectors of the model's size, by what they hold. */
export type Vector = 'weights' | 'first' | 'second' | 'anchor' | 'correction';

export class ModelMemory {
  readonly memory: Memory;
  readonly slots: readonly Slot[];
  readonly parameters: number;
  readonly #vectors = new Map<Vector, readonly number[]>();
  readonly #scalars: number;
  #step = 0;

  constructor(memory: Memory, slots: readonly Slot[]) {
    this.memory = memory;
    this.slots = slots;
    this.parameters = slots.reduce((sum, { size }) => sum + size, 0);
    this.#scalars = memory.allocate(4 * SCALARS);
  }

  /** The part of a vector that belongs to a parameter; the vector is made, zero, when it is first asked for. */
  part(program: ProgramBuilder, vector: Vector, parameter: number): Place {
    return program.fixed(this.#addresses(vector)[parameter]!, this.slots[parameter]!.size);
  }

  scalar(program: ProgramBuilder, name: keyof typeof SCALAR): Place {
    return program.fixed(this.#scalars + 4 * SCALAR[name], 1);
  }

  #addresses(vector: Vector): readonly number[] {
    const known = this.#vectors.get(vector);
    if (known !== undefined) return known;
    const made = this.slots.map(({ size }) => this.memory.allocate(4 * size));
    this.#vectors.set(vector, made);
    return made;
  }

  /** From the flat vector, in `getWeights()` order. */
  write(vector: Vector, flat: Float32Array): void {
    this.#addresses(vector).forEach((address, parameter) => {
      const { offset, size } = this.slots[parameter]!;
      this.memory.floats(address, size).set(flat.subarray(offset, offset + size));
    });
  }

  read(vector: Vector): Float32Array {
    const flat = new Float32Array(this.parameters);
    this.#addresses(vector).forEach((address, parameter) => {
      const { offset, size } = this.slots[parameter]!;
      flat.set(this.memory.floats(address, size), offset);
    });
    return flat;
  }

  /** The optimiser starts anew: what it gathered in an earlier round must not reach into this one. */
  reset(): void {
    this.#step = 0;
    for (const vector of ['first', 'second'] as const) {
      this.#vectors.get(vector)?.forEach((address, parameter) => {
        this.memory.floats(address, this.slots[parameter]!.size).fill(0);
      });
    }
  }

  /** Writes the numbers of the next step. */
  advance(settings: TrainingSettings): void {
    this.#step += 1;
    const { optimizer } = settings;
    const scalars = this.memory.floats(this.#scalars, SCALARS);
    scalars[SCALAR.minusRate] = -optimizer.learningRate;
    scalars[SCALAR.rate] = optimizer.learningRate;
    scalars[SCALAR.momentum] = optimizer.kind === 'sgd' ? optimizer.momentum : 0;
    scalars[SCALAR.decay] = stepForm(settings).decays ? optimizer.weightDecay! : 0;
    scalars[SCALAR.proximal] = settings.proximal ?? 0;
    scalars[SCALAR.one] = 1;
    if (optimizer.kind !== 'sgd') scalars.set(adamScalars(optimizer, this.#step), SCALAR.adam);
    const noise = this.memory.words(this.#scalars + 4 * SCALAR.noise, 2);
    noise[0] = settings.seed ?? 0;
    noise[1] = this.#step;
  }
}
