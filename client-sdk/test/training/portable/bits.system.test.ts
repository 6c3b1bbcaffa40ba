/** WebAssembly without relaxed SIMD has one result: not one of the compiler, nor of what the processor can do. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = join(import.meta.dirname, '../../processes/step-digest.ts');

async function digest(flags: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script]);
  return stdout.trim();
}

test('a step gives the same bits by the baseline and the optimising compiler, with and without AVX and FMA', async () => {
  const usual = await digest([]);
  expect(usual).toMatch(/^[0-9a-f]{64}$/);
  const settings = [
    ['--liftoff-only'],
    ['--no-liftoff'],
    ...(process.arch === 'x64' ? [['--no-enable-avx'], ['--no-enable-fma3', '--no-enable-avx2', '--no-liftoff']] : []),
  ];
  for (const flags of settings) expect([flags, await digest(flags)]).toEqual([flags, usual]);
});
