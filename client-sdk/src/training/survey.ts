/** Every engine that could train on this machine: how fast it takes steps, or why it cannot. */
import type { RandomSource } from '@carapace/crypto';
import type { Trainer, TrainingEngine } from './engine.ts';
import { buildShippedModel } from './models.ts';
import { openNativeEngine } from './native/engine.ts';
import { openPortableEngine } from './portable/engine.ts';
import { openTfjsEngine } from './tfjs/engine.ts';

export interface SurveyedEngine {
  readonly engine: string;
  /** Of 32 examples on the 784-200-200-10 network, one thread; null when the engine is not there. */
  readonly stepsPerSecond: number | null;
  /** What it is, or why it is not there. */
  readonly detail: string;
}

const BATCH = 32;
const LOSS = 'sparse-categorical-crossentropy';
/** As long as each engine is timed, after steps that warm it up. */
const TIMED_MS = 150;

/** In the order in which they are chosen. */
export async function surveyEngines(random: RandomSource): Promise<readonly SurveyedEngine[]> {
  const native = await openNativeEngine();
  const tfjs = await openTfjsEngine();
  return [
    'missing' in native
      ? { engine: 'onnx', stepsPerSecond: null, detail: native.missing }
      : await timed(native, 'the model as one graph for ONNX Runtime', random),
    await timed(openPortableEngine(), 'the model as one step of WebAssembly; always there', random),
    await timed(tfjs, `for models that are not compiled; ${tfjs.reason}`, random),
  ];
}

async function timed(engine: TrainingEngine, detail: string, random: RandomSource): Promise<SurveyedEngine> {
  const model = await buildShippedModel('mnist-2nn', random);
  const trainer = await engine.load({ ...model, loss: LOSS });
  try {
    trainer.setWeights(model.weights);
    await steps(trainer, 20);
    const started = performance.now();
    let [taken, elapsed] = [0, 0];
    while (elapsed < TIMED_MS) {
      taken += await steps(trainer, 10);
      elapsed = performance.now() - started;
    }
    return { engine: engine.name, stepsPerSecond: (1000 * taken) / elapsed, detail };
  } finally {
    trainer.dispose();
  }
}

const examples = { count: BATCH, features: new Float32Array(BATCH * 784).fill(0.5), labels: new Int32Array(BATCH) };

async function steps(trainer: Trainer, count: number): Promise<number> {
  const order = Uint32Array.from({ length: count * BATCH }, (_value, at) => at % BATCH);
  const optimizer = { kind: 'sgd', learningRate: 0.01, momentum: 0 } as const;
  const never = new AbortController().signal;
  return (await trainer.trainEpoch(examples, order, { batchSize: BATCH, optimizer }, never)).steps;
}
