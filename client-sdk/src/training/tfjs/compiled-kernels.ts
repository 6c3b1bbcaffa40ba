/**
 * Kernels of the wasm backend that one operator of the portable back end computes: a program for each shape, copied into and out of
 * its memory. A model's step calls them with the same few shapes again and again.
 */
import { Graph } from '../plan/graph.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Value } from '../plan/operators.ts';
import { lowerValue } from '../portable/lower.ts';
import { placeOf } from '../portable/lowering.ts';
import { Memory } from '../portable/memory.ts';
import { ModelMemory } from '../portable/model-memory.ts';
import { ProgramBuilder } from '../portable/program.ts';
import type { Program } from '../portable/program.ts';
import { addressOf, openInput, openLowering } from '../portable/training-program.ts';
import type { Attributes, Inputs, Kernel } from './wasm-backend.ts';

/** The operator on the kernel's inputs. */
export type Compute = (graph: Graph, inputs: readonly Value[], attrs: Attributes) => Value;

interface Compiled extends Program {
  readonly inputs: readonly number[];
  readonly output: number;
  readonly shape: readonly number[];
}

/** Programs that share a memory; then a new one is begun, or models of ever new shapes would fill it. */
const LIMIT = 200;
let memory = new Memory();
const programs = new Map<string, Compiled>();

/** @param names of the inputs, in the order in which `compute` takes them */
export function compiledKernel(kernel: string, names: readonly string[], compute: Compute): Kernel {
  return ({ inputs, backend, attrs }) => {
    const given = names.map((name) => required(kernel, inputs, name));
    const shapes = given.map(({ shape }) => shape);
    const program = programFor(JSON.stringify([kernel, shapes, attrs]), shapes, (graph, values) =>
      compute(graph, values, attrs),
    );
    given.forEach((tensor, at) =>
      memory.floats(program.inputs[at]!, sizeOf(tensor.shape)).set(backend.typedArrayFromHeap(tensor)),
    );
    memory.execute(program.from, program.to);
    const output = backend.makeOutput(program.shape, 'float32');
    backend.typedArrayFromHeap(output).set(memory.floats(program.output, sizeOf(program.shape)));
    return output;
  };
}

function required(kernel: string, inputs: Inputs, name: string): NonNullable<Inputs[string]> {
  const tensor = inputs[name];
  if (tensor === undefined) throw new Error(`${kernel} needs ${name}`);
  return tensor;
}

function programFor(
  key: string,
  shapes: readonly (readonly number[])[],
  compute: (graph: Graph, inputs: readonly Value[]) => Value,
): Compiled {
  const known = programs.get(key);
  if (known !== undefined) return known;
  if (programs.size >= LIMIT) {
    programs.clear();
    memory = new Memory();
  }
  const graph = new Graph();
  const inputs = shapes.map((shape, index) => graph.feature(index, shape));
  const compiled = compile(inputs, compute(graph, inputs), graph);
  programs.set(key, compiled);
  return compiled;
}

function compile(inputs: readonly Value[], output: Value, { values }: Graph): Compiled {
  const program = new ProgramBuilder(memory);
  const lowering = openLowering(program, new ModelMemory(memory, []), values);
  const places = inputs.map((value) => openInput(lowering, value));
  for (const value of values) lowerValue(lowering, value);
  const result = placeOf(lowering, output);
  program.keep(result, 'after');
  return { ...program.finish(), inputs: places.map(addressOf), output: addressOf(result), shape: output.shape };
}
