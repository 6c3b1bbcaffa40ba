/** Values of a graph as the portable back end computes them. */
import { sizeOf } from '../../../src/training/plan/operators.ts';
import type { Value } from '../../../src/training/plan/operators.ts';
import { lowerValue } from '../../../src/training/portable/lower.ts';
import { placeOf } from '../../../src/training/portable/lowering.ts';
import { Memory } from '../../../src/training/portable/memory.ts';
import { ModelMemory } from '../../../src/training/portable/model-memory.ts';
import { ProgramBuilder } from '../../../src/training/portable/program.ts';
import { addressOf, openInput, openLowering } from '../../../src/training/portable/training-program.ts';

export function runGraph(
  values: readonly Value[],
  wanted: readonly Value[],
  features: readonly ArrayLike<number>[],
): Float32Array[] {
  const memory = new Memory();
  const program = new ProgramBuilder(memory);
  const lowering = openLowering(program, new ModelMemory(memory, []), values);
  const inputs = values.filter(({ operator }) => operator.kind === 'feature');
  const places = inputs.map((value) => openInput(lowering, value));
  for (const value of values) lowerValue(lowering, value);
  const results = wanted.map((value) => placeOf(lowering, value));
  for (const place of results) program.keep(place, 'after');
  const { from, to } = program.finish();
  inputs.forEach(({ operator, shape }, at) => {
    if (operator.kind === 'feature')
      memory.floats(addressOf(places[at]!), sizeOf(shape)).set(features[operator.index]!);
  });
  memory.execute(from, to);
  return wanted.map(({ shape }, at) => memory.floats(addressOf(results[at]!), sizeOf(shape)).slice());
}
