/** Steps of two worker threads, each with an engine, against those of one: what stands in the way when both cores train. */
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { figure, summary } from '../../scripts/bench-kit.ts';
import type { Figure } from '../../scripts/bench-kit.ts';
import type { ModelSpec } from '../src/training/engine.ts';

const ROUNDS = 15;
const TURN_MS = 150;
const BATCH = 10;

async function opened(engine: string, spec: ModelSpec): Promise<Worker> {
  const worker = new Worker(new URL('./training-worker.ts', import.meta.url), {
    workerData: { engine, spec, batch: BATCH },
  });
  await once(worker, 'message');
  return worker;
}

interface Turn {
  /** Until all have taken the steps. */
  readonly wallMs: number;
  /** Of one worker, the mean. */
  readonly cpuMs: number;
}

async function turn(workers: readonly Worker[], steps: number): Promise<Turn> {
  const started = performance.now();
  const done = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage(steps);
  const times = (await Promise.all(done)).map(([ms]) => ms as number);
  return { wallMs: performance.now() - started, cpuMs: times.reduce((a, b) => a + b) / times.length };
}

/**
 * Turn and turn about: by the clock, which counts only where no other work takes the cores, so the load is told; and by CPU time, of which
 * steps take more when the threads share caches and memory, whatever else runs.
 */
export async function twoWorkers(engine: string, spec: ModelSpec): Promise<Figure[]> {
  const workers = [await opened(engine, spec), await opened(engine, spec)] as const;
  const steps = Math.max(1, Math.round((TURN_MS * 100) / (await turn(workers, 100)).cpuMs));
  const ratios: { readonly clock: number; readonly cpu: number }[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const alone = await turn([workers[(round + 2) % 2]!], steps);
    const together = await turn(workers, steps);
    if (round >= 0)
      ratios.push({ clock: (2 * alone.wallMs) / together.wallMs, cpu: (2 * alone.cpuMs) / together.cpuMs });
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  const what = `${engine}, two workers against one, 2NN B=${BATCH}`;
  const where = `${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)}`;
  return [
    figure(`${what}, by the clock`, 'x one worker', summary(ratios.map(({ clock }) => clock)), {
      goal: 1.85,
      anchor: `2 at most; ${where}`,
    }),
    figure(`${what}, by CPU time`, 'x one worker', summary(ratios.map(({ cpu }) => cpu)), {
      goal: null,
      anchor: `2 at most; ${where}`,
    }),
  ];
}
