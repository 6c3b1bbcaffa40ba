/** Takes steps with the engine of this name and prints how much the process grew by after those that warm it up. Needs --expose-gc. */
import type { TrainingEngine } from '../../src/training/engine.ts';
import { openNativeEngine } from '../../src/training/native/engine.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import { openBackend } from '../../src/training/tfjs/backend.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import { numbers, weightsFor } from '../training/exactness.ts';
import { chain, layer } from '../training/topologies.ts';

const [name = '', wanted = ''] = process.argv.slice(2);
const BATCH = 4;
/** Rounds of one whole epoch and a short last batch each. */
const EPOCH = 100 * BATCH + 1;
const WARM_UP_STEPS = 1_010;

const SPEC = chain(
  [12, 12, 2],
  [
    layer('Conv2D', { filters: 4, kernel_size: [3, 3], padding: 'same', activation: 'relu' }),
    layer('MaxPooling2D', { pool_size: [2, 2] }),
    layer('Flatten'),
    layer('Dense', { units: 64, activation: 'relu' }),
    layer('Dense', { units: 3, activation: 'softmax' }),
  ],
);

async function opened(): Promise<TrainingEngine | null> {
  if (name === 'wasm') return openPortableEngine();
  if (name === 'tfjs') return openTfjsEngine();
  const native = await openNativeEngine();
  return 'missing' in native ? null : native;
}

interface Size {
  readonly heap: number;
  readonly outside: number;
  readonly resident: number;
  /** Of TensorFlow.js. */
  readonly tensors: number;
}

async function size(): Promise<Size> {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (collect === undefined) throw new Error('run it with --expose-gc');
  // Finalisers of what lies outside the heap run after a collection.
  for (let turn = 0; turn < 3; turn++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  const tensors = name === 'tfjs' ? (await openBackend()).tf.memory().numTensors : 0;
  return { heap: heapUsed, outside: external + arrayBuffers, resident: rss, tensors };
}

const engine = await opened();
if (engine === null) console.log('null');
else {
  const trainer = await engine.load(SPEC);
  const weights = weightsFor(SPEC, 'memory');
  const examples = {
    count: EPOCH,
    features: numbers('x', EPOCH * 288),
    labels: new Float32Array(EPOCH * 3).fill(1 / 3),
  };
  const order = Uint32Array.from({ length: EPOCH }, (_value, at) => at);
  const settings = { batchSize: BATCH, optimizer: { kind: 'sgd', learningRate: 0.01, momentum: 0.9 } } as const;
  const steps = async (count: number): Promise<number> => {
    let taken = 0;
    while (taken < count) {
      trainer.setWeights(weights);
      taken += (await trainer.trainEpoch(examples, order, settings, new AbortController().signal)).steps;
      await trainer.evaluate({
        count: 10,
        features: examples.features.subarray(0, 2880),
        labels: examples.labels.subarray(0, 30),
      });
      trainer.weights();
    }
    return taken;
  };
  await steps(WARM_UP_STEPS);
  const before = await size();
  const taken = await steps(Number(wanted));
  const after = await size();
  const grown = {
    heap: after.heap - before.heap,
    outside: after.outside - before.outside,
    resident: after.resident - before.resident,
    tensors: after.tensors - before.tensors,
  };
  console.log(JSON.stringify({ steps: taken, ...grown }));
  trainer.dispose();
}
