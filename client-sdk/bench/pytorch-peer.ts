/** PyTorch in a process beside this one, when a Python here has it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface PyTorchPeer {
  readonly version: string;
  /** Milliseconds of CPU time a step. */
  stepMs(model: string, batch: number, steps: number): Promise<number>;
  close(): void;
}

const PYTHONS = ['/usr/bin/python3', 'python3'];

export async function openPyTorch(): Promise<PyTorchPeer | null> {
  const python = PYTHONS.find((path) => spawnSync(path, ['-c', 'import torch']).status === 0);
  if (python === undefined) return null;
  const child = spawn(python, [join(import.meta.dirname, 'pytorch.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
  });
  const lines = createInterface({ input: child.stdout });
  const next = async (): Promise<string> => String((await once(lines, 'line'))[0]);
  const version = await next();
  return {
    version,
    stepMs: async (model, batch, steps) => {
      const answer = next();
      child.stdin.write(`${model} ${batch} ${steps}\n`);
      return Number(await answer);
    },
    close: () => void child.kill(),
  };
}
