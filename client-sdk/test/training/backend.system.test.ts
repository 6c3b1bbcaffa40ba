/** Which TensorFlow.js is taken, in a process each: what is installed is decided by NODE_PATH. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'carapace-backend-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const require = createRequire(import.meta.url);
const isInstalled = (() => {
  try {
    return require.resolve('@tensorflow/tfjs-node') !== '';
  } catch {
    return false;
  }
})();

/** A package of this name with this content, where Node looks last. @returns the NODE_PATH to it */
function installed(content: string): string {
  const modules = mkdtempSync(join(folder, 'modules-'));
  const home = join(modules, '@tensorflow', 'tfjs-node');
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: '@tensorflow/tfjs-node', main: 'index.cjs' }));
  writeFileSync(join(home, 'index.cjs'), content);
  return modules;
}

/** @param between what happens after our code is loaded (Node needs WebAssembly for its types) and before it looks around */
const script = (between: string): string => `
  const { openTfjsEngine } = await import(${JSON.stringify(new URL('../../src/training/tfjs/engine.ts', import.meta.url).href)});
  ${between}
  const { name, reason } = await openTfjsEngine();
  console.log(JSON.stringify({ name, reason }));
`;

function opened(nodePath: string, between = ''): { name: string; reason: string; printed: string[] } {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script(between)], {
    encoding: 'utf8',
    env: { ...process.env, NODE_PATH: nodePath, NODE_OPTIONS: '' },
  });
  const printed = `${stderr}${stdout}`.trimEnd().split('\n');
  const last = printed.pop() ?? '';
  if (!last.startsWith('{')) throw new Error(`it printed ${stdout}${stderr}`);
  return { ...(JSON.parse(last) as { name: string; reason: string }), printed };
}

const present = 'a real @tensorflow/tfjs-node is installed, which these stand in for';
describe.skipIf(isInstalled)(`the engine${isInstalled ? ` — skipped: ${present}` : ''}`, () => {
  test('is WebAssembly when tfjs-node is not installed, and prints nothing of its own', () => {
    expect(opened('')).toEqual({
      name: 'tfjs-wasm',
      reason: '@tensorflow/tfjs-node is not installed; WebAssembly with our gradient kernels',
      printed: [],
    });
  });

  test('is WebAssembly when tfjs-node is installed and does not load, and says why', () => {
    const { name, reason } = opened(installed("throw new Error('libtensorflow.so.2: cannot open\\nmore');"));
    expect(name).toBe('tfjs-wasm');
    expect(reason).toMatch(/^@tensorflow\/tfjs-node does not load \(libtensorflow\.so\.2: cannot open\); /);
  });

  test('is tfjs-node when that loads, with the function that Node took away and it still calls', () => {
    const tfjs = JSON.stringify(require.resolve('@tensorflow/tfjs'));
    const native = installed(
      `if (!require('util').isNullOrUndefined(null)) throw new Error('null?'); module.exports = require(${tfjs});`,
    );
    expect(opened(native)).toMatchObject({ name: 'tfjs-node', reason: 'it is installed and loads' });
  });

  test('is plain JavaScript when WebAssembly does not start', () => {
    const { name, reason } = opened('', 'delete globalThis.WebAssembly;');
    expect(name).toBe('tfjs-cpu');
    expect(reason).toMatch(/WebAssembly did not start \(.+\); plain JavaScript is slow/);
  });
});
