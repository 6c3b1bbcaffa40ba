import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../generated.ts';
import { fences } from './markdown.ts';

const ROOMS = ['crypto', 'aggregation', 'coordinator', 'client-sdk', 'simulations', 'cli'];

describe.each(ROOMS)('%s/README.md', (room) => {
  const file = join(ROOT, room, 'README.md');

  test('is there', () => {
    expect(existsSync(file)).toBe(true);
  });

  test.each(fences(readFileSync(file, 'utf8'), 'ts').map((code, index) => [index + 1, code] as const))(
    'example %i prints what its comments say',
    (_number, code) => {
      const promised = [...code.matchAll(/^console\.log\(.*\/\/ => (.*)$/gm)].map(([, line]) => line);
      expect(promised.length).toBeGreaterThan(0);
      const { stdout, stderr, status } = run(code);
      expect({ status, stderr: status === 0 ? '' : stderr, lines: stdout.trim().split('\n') }).toEqual({
        status: 0,
        stderr: '',
        lines: promised,
      });
    },
  );
});

/** As a file of a project that has the packages installed. */
function run(code: string): { readonly stdout: string; readonly stderr: string; readonly status: number | null } {
  const project = mkdtempSync(join(tmpdir(), 'carapace-readme-'));
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'));
    writeFileSync(join(project, 'example.mts'), code);
    return spawnSync(process.execPath, ['example.mts'], { cwd: project, encoding: 'utf8', timeout: 120_000 });
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}
