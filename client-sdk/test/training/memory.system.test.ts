/** Ten thousand steps leave the process as large as it was: a process each, so that nothing else grows in it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = join(import.meta.dirname, '../processes/step-memory.ts');
const MIB = 2 ** 20;
/** Of TensorFlow.js a tenth, which takes as long: `CARAPACE_LONG_TESTS=yes` for all. */
const STEPS = { onnx: 10_000, wasm: 10_000, tfjs: process.env['CARAPACE_LONG_TESTS'] === 'yes' ? 10_000 : 1_000 };

test.each(Object.entries(STEPS))('%s: %d steps', async (engine, steps) => {
  const args = ['--expose-gc', script, engine, String(steps)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const grown = JSON.parse(stdout) as {
    steps: number;
    heap: number;
    outside: number;
    resident: number;
    tensors: number;
  } | null;
  // onnxruntime-node is optional.
  if (grown === null) return expect(engine).toBe('onnx');
  expect(grown.steps).toBeGreaterThanOrEqual(steps);
  // A number that every step of ten thousand keeps is 80 kB, a copy of the weights at each call 4 MB or more.
  expect(grown.heap).toBeLessThan(MIB);
  expect(grown.outside).toBeLessThan(MIB);
  // TensorFlow.js makes and drops objects with every operator: V8 takes more room for them as it likes.
  expect(grown.resident).toBeLessThan((engine === 'tfjs' ? 128 : 24) * MIB);
  expect(grown.tensors).toBe(0);
});
