import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..', '..');
const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** Runs `scripts/test.ts` on a repository of its own with one test file. */
function npmTest(content: string, ...args: string[]): { status: number | null; lines: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'carapace-npm-test-'));
  made.push(root);
  mkdirSync(join(root, 'room', 'test'), { recursive: true });
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'vitest.config.ts'), "export default { test: { include: ['*/test/**/*.test.ts'] } };\n");
  writeFileSync(
    join(root, 'room', 'test', 'a.test.ts'),
    `import { beforeAll, describe, expect, test } from 'vitest';\n${content}`,
  );
  const run = spawnSync(process.execPath, [join(repository, 'scripts', 'test.ts'), '--root', root, ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, NO_COLOR: '1', VITEST: undefined, VITEST_POOL_ID: undefined },
  });
  return { status: run.status, lines: run.stdout.trimEnd().split('\n') };
}

const passing = "test('adds', () => expect(1 + 1).toBe(2));\n";

describe('the last line and the exit code', () => {
  const cases: readonly (readonly [name: string, content: string, status: number, last: string])[] = [
    ['all pass', passing, 0, '1 passed, 0 failed, 0 skipped'],
    ['one fails', `${passing}test('no', () => expect(1).toBe(2));`, 1, '1 passed, 1 failed, 0 skipped'],
    ['a file does not load', `${passing}throw new Error('broken');`, 1, '0 passed, 1 failed, 0 skipped'],
    [
      'a hook fails',
      `${passing}describe('d', () => { beforeAll(() => { throw new Error('down'); }); test('t', () => {}); });`,
      1,
      '1 passed, 1 failed, 0 skipped',
    ],
    [
      'an error nobody handles',
      `${passing}test('t', () => { setTimeout(() => { throw new Error('late'); }); return new Promise((r) => setTimeout(r, 50)); });`,
      1,
      '2 passed, 1 failed, 0 skipped',
    ],
    ['no test at all', '', 1, '0 passed, 1 failed, 0 skipped'],
    [
      'a skip with its reason in the title',
      `${passing}test.skip('s — skipped: no X here (install x)', () => {});`,
      0,
      '1 passed, 0 failed, 1 skipped',
    ],
    [
      'a skip with its reason in the suite',
      `${passing}describe.skipIf(true)('d — skipped: no X here', () => { test('s', () => {}); });`,
      0,
      '1 passed, 0 failed, 1 skipped',
    ],
    [
      'a skip with its reason at run time',
      `${passing}test('s', ({ skip }) => skip('no X here'));`,
      0,
      '1 passed, 0 failed, 1 skipped',
    ],
    ['a skip without a reason', `${passing}test.skip('s', () => {});`, 1, '1 passed, 1 failed, 0 skipped'],
  ];
  test.each(cases)('%s', (_name, content, status, last) => {
    const run = npmTest(content);
    expect({ status: run.status, last: run.lines.at(-1) }).toEqual({ status, last });
  });
});

test('every skipped test is listed under its reason, before the last line', () => {
  const { lines } = npmTest(
    `${passing}describe.skip('Redis — skipped: redis-server is not installed', () => { test('a', () => {}); test('b', () => {}); });`,
  );
  expect(lines.slice(-5)).toEqual([
    'Skipped:',
    '  redis-server is not installed (2)',
    '    room/test/a.test.ts > Redis — skipped: redis-server is not installed > a',
    '    room/test/a.test.ts > Redis — skipped: redis-server is not installed > b',
    '1 passed, 0 failed, 2 skipped',
  ]);
});

test('further arguments reach vitest: a name pattern runs what it names', () => {
  const { status, lines } = npmTest(`${passing}test('no', () => expect(1).toBe(2));`, '-t', 'adds');
  expect([status, lines.at(-1)]).toEqual([0, '1 passed, 0 failed, 0 skipped']);
});

describe('a file whose process V8 ended', () => {
  const marked = (then: string): string =>
    `import { existsSync, writeFileSync } from 'node:fs';\n${passing}test('v8', async () => { ${then} });`;
  const end = "process.kill(process.pid, 'SIGTRAP'); await new Promise((r) => setTimeout(r, 5_000));";

  test('is run once more, and that is said', () => {
    const once = `if (!existsSync('mark')) { writeFileSync('mark', ''); ${end} }`;
    const { status, lines } = npmTest(marked(once), '--pool', 'forks');
    expect([status, lines.at(-1)]).toEqual([0, '2 passed, 0 failed, 0 skipped']);
    expect(lines.filter((line) => line.startsWith('V8 ended the process'))).toHaveLength(1);
  });

  test('has failed when that happens again, or when one of its tests fails then', () => {
    expect(npmTest(marked(end), '--pool', 'forks')).toMatchObject({ status: 1 });
    const fails = `if (!existsSync('mark')) { writeFileSync('mark', ''); ${end} } expect(1).toBe(2);`;
    const { status, lines } = npmTest(marked(fails), '--pool', 'forks');
    expect([status, lines.at(-1)]).toEqual([1, '1 passed, 1 failed, 0 skipped']);
  });
});
