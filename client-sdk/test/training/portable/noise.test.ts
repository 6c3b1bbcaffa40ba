import { expect, test } from 'vitest';
import { uniformNumbers } from '../../../src/training/plan/noise.ts';
import { Memory } from '../../../src/training/portable/memory.ts';
import { CODE, ProgramBuilder } from '../../../src/training/portable/program.ts';
import { addressOf } from '../../../src/training/portable/training-program.ts';

function fromKernel(size: number, seed: number, step: number, stream: number): Float32Array {
  const memory = new Memory();
  const program = new ProgramBuilder(memory);
  const target = program.buffer(size);
  program.keep(target, 'after');
  program.emit(CODE.uniform, [target, size, program.table([seed, step]), stream]);
  const { from, to } = program.finish();
  memory.execute(from, to);
  return memory.floats(addressOf(target), size).slice();
}

test('the kernel draws the numbers of the generator', () => {
  for (const [seed, step, stream] of [
    [0, 1, 0],
    [7, 1, 0],
    [0xffffffff, 123_456, 3],
  ] as const)
    expect(fromKernel(1001, seed, step, stream)).toEqual(uniformNumbers(1001, seed, step, stream));
});

test('they fill [0, 1) evenly, and differ by seed, step and stream', () => {
  const numbers = uniformNumbers(100_000, 1, 1, 0);
  expect(numbers.every((value) => value >= 0 && value < 1)).toBe(true);
  const counts = new Array<number>(10).fill(0);
  for (const value of numbers) counts[Math.floor(10 * value)]! += 1;
  // Chi-square with 9 degrees of freedom: 27.9 is exceeded once in a thousand.
  expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(27.9);
  const first = (seed: number, step: number, stream: number): number => uniformNumbers(1, seed, step, stream)[0]!;
  expect(new Set([first(1, 1, 0), first(2, 1, 0), first(1, 2, 0), first(1, 1, 1)]).size).toBe(4);
});
