import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../generated.ts';

describe('npm run bench', () => {
  const bench = (...args: string[]) =>
    spawnSync(process.execPath, [join(ROOT, 'scripts', 'bench.ts'), ...args], { encoding: 'utf8', timeout: 60_000 });

  test('alone lists every bench with a line about it', () => {
    const { stdout, status } = bench();
    const names = globSync('*/bench/*.bench.ts', { cwd: ROOT }).map((path) => basename(path, '.bench.ts'));
    const listed = stdout
      .trim()
      .split('\n')
      .map((line) => /^(\S+) +\S.{20}/.exec(line)?.[1]);
    expect([status, listed]).toEqual([0, names.sort()]);
  });

  test('an unknown name is refused with the names there are', () => {
    const { stderr, status } = bench('nonsense');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/no bench nonsense; there are .*aggregate/)]);
  });
});
