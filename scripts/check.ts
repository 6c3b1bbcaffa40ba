/** `npm run check`: every check there is, one line each with its time; what failed is shown whole at the end. */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { ROOT } from './generated.ts';

interface Check {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
}

const ROOMS = ['crypto', 'aggregation', 'coordinator', 'client-sdk', 'simulations', 'cli'];
const STATIC: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['eslint', '.', '--max-warnings', '0'] },
  { name: 'format', command: ['prettier', '--check', '.', '--log-level', 'warn'] },
  { name: 'arrow', command: ['depcruise', ...ROOMS] },
  { name: 'dead code', command: ['knip', '--no-config-hints'] },
  { name: 'error table', command: ['node', 'scripts/errors.ts', '--check'] },
  { name: 'picture', command: ['node', 'scripts/architecture.ts', '--check'] },
];
const TESTS: Check = { name: 'tests', command: ['node', 'scripts/test.ts'] };

interface Outcome extends Check {
  readonly passed: boolean;
  readonly output: string;
}

/** With `--static` the tests are left out. */
const checks = process.argv.includes('--static') ? STATIC : [...STATIC, TESTS];
const outcomes: Outcome[] = [];
for (const check of checks) outcomes.push(await run(check));
const failures = outcomes.filter(({ passed }) => !passed);
for (const { name, command, output } of failures) console.log(`\n--- ${name}: ${command.join(' ')}\n${output.trim()}`);
console.log(failures.length === 0 ? '\nall checks pass' : `\nfailed: ${failures.map(({ name }) => name).join(', ')}`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** The packages' own programs go first on PATH, so that `npm run` is not needed to find them. */
async function run(check: Check): Promise<Outcome> {
  const [program, ...args] = check.command;
  const started = performance.now();
  const path = `${join(ROOT, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`;
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  });
  let output = '';
  const keep = (piece: Buffer): void => void (output += piece.toString('utf8'));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = Promise.withResolvers<boolean>();
  child.on('error', (error) => {
    output += error.message;
    ended.resolve(false);
  });
  child.on('close', (code) => ended.resolve(code === 0));
  const passed = await ended.promise;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${check.name.padEnd(12)} ${seconds.padStart(6)} s`);
  return { ...check, passed, output };
}
