/** A worker of `two-workers.ts`: an engine of its own that takes so many steps for each message, and answers with their CPU time. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ModelSpec, TrainingEngine } from '../src/training/engine.ts';
import { openNativeEngine } from '../src/training/native/engine.ts';
import { openPortableEngine } from '../src/training/portable/engine.ts';

const { engine: wanted, spec, batch } = workerData as { engine: string; spec: ModelSpec; batch: number };

async function opened(): Promise<TrainingEngine> {
  if (wanted === 'wasm') return openPortableEngine();
  const native = await openNativeEngine();
  if ('missing' in native) throw new Error(native.missing);
  return native;
}

const trainer = await (await opened()).load(spec);
trainer.setWeights(Float32Array.from({ length: trainer.parameters }, (_value, at) => 0.05 * Math.sin(at * 2.3)));
const examples = {
  count: batch,
  features: Float32Array.from({ length: batch * 784 }, (_value, at) => Math.abs(Math.sin(at * 1.37 + 0.5))),
  labels: Int32Array.from({ length: batch }, (_value, at) => at % 10),
};
const settings = { batchSize: batch, optimizer: { kind: 'sgd', learningRate: 0.05, momentum: 0 } } as const;

/** Milliseconds of this thread's CPU time. */
async function steps(count: number): Promise<number> {
  const order = Uint32Array.from({ length: count * batch }, (_value, at) => at % batch);
  const started = process.threadCpuUsage();
  await trainer.trainEpoch(examples, order, settings, new AbortController().signal);
  const { user, system } = process.threadCpuUsage(started);
  return (user + system) / 1000;
}

parentPort!.on('message', (count: number) => {
  void steps(count).then((ms) => parentPort!.postMessage(ms));
});
parentPort!.postMessage(await steps(20));
