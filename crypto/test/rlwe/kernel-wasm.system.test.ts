import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileKernel, KERNELS } from '../../../scripts/build-kernels.ts';

const root = join(import.meta.dirname, '..', '..', '..');

test.each(KERNELS)('$module is $source, compiled', async (kernel) => {
  expect(await compileKernel(kernel)).toBe(await readFile(join(root, kernel.module), 'utf8'));
});

test('a change of the source would be seen', async () => {
  const [kernel] = KERNELS;
  const committed = await readFile(join(root, kernel!.module), 'utf8');
  const source = await readFile(join(root, kernel!.source), 'utf8');
  expect(await compileKernel({ ...kernel!, text: source.replace('0x3fffffff', '0x1fffffff') })).not.toBe(committed);
});
