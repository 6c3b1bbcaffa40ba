/** Training steps of the engines beside PyTorch's: the figures that say whether compiled training is at native speed. */
import { defaultPolicies } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import type * as Tf from '@tensorflow/tfjs';
import { figure, summary } from '../../scripts/bench-kit.ts';
import type { Bench, Figure } from '../../scripts/bench-kit.ts';
import type { Examples, ModelSpec, Trainer, TrainingEngine } from '../src/training/engine.ts';
import { buildShippedModel } from '../src/training/models.ts';
import { openNativeEngine } from '../src/training/native/engine.ts';
import { openPortableEngine } from '../src/training/portable/engine.ts';
import type { TrainingSettings } from '../src/training/settings.ts';
import { openBackend } from '../src/training/tfjs/backend.ts';
import { openPyTorch } from './pytorch-peer.ts';
import type { PyTorchPeer } from './pytorch-peer.ts';
import { twoWorkers } from './two-workers.ts';

const ROUNDS = 15;
/** How long one engine computes before the other has its turn, milliseconds of its CPU time. */
const TURN_MS = 60;
const LOSS = 'sparse-categorical-crossentropy';

interface Case {
  readonly peer: string;
  readonly what: string;
  readonly batch: number;
  readonly build: (tf: typeof Tf) => Promise<Pick<ModelSpec, 'topology' | 'tensors'>>;
  readonly width: number;
  /** Features are whole numbers below this; 0 for any number in [0, 1). */
  readonly indices: number;
  readonly classes: number;
  /** Ratio of examples per second to PyTorch's, by engine. */
  readonly goals: Readonly<Record<string, number>>;
}

const shipped = (name: string) => (): Promise<Pick<ModelSpec, 'topology' | 'tensors'>> =>
  buildShippedModel(name, seededRandom(name));

function layered(stack: (layers: typeof Tf.layers) => Tf.layers.Layer[]): Case['build'] {
  return (tf) => {
    const model = tf.sequential({ layers: stack(tf.layers) });
    const tensors = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] }));
    return Promise.resolve({ topology: JSON.stringify(model.toJSON(null, false)), tensors: defaultPolicies(tensors) });
  };
}

const lenet = layered((l) => [
  l.reshape({ inputShape: [784], targetShape: [28, 28, 1] }),
  l.conv2d({ filters: 6, kernelSize: 5, padding: 'same', activation: 'tanh' }),
  l.averagePooling2d({ poolSize: 2 }),
  l.conv2d({ filters: 16, kernelSize: 5, activation: 'tanh' }),
  l.averagePooling2d({ poolSize: 2 }),
  l.flatten(),
  l.dense({ units: 120, activation: 'tanh' }),
  l.dense({ units: 84, activation: 'tanh' }),
  l.dense({ units: 10, activation: 'softmax' }),
]);

const sequence = layered((l) => [
  l.embedding({ inputDim: 86, outputDim: 8, inputLength: 20 }),
  l.lstm({ units: 64, recurrentActivation: 'sigmoid' }),
  l.dense({ units: 86, activation: 'softmax' }),
]);

const text = layered((l) => [
  l.embedding({ inputDim: 10_000, outputDim: 16, inputLength: 40 }),
  l.globalAveragePooling1d(),
  l.dense({ units: 16, activation: 'relu' }),
  l.dense({ units: 4, activation: 'softmax' }),
]);

const mnist = { width: 784, indices: 0, classes: 10 };
const CASES: readonly Case[] = [
  { peer: '2nn', what: '2NN', batch: 10, build: shipped('mnist-2nn'), ...mnist, goals: { onnx: 2, wasm: 1.2 } },
  { peer: '2nn', what: '2NN', batch: 32, build: shipped('mnist-2nn'), ...mnist, goals: { onnx: 1.5, wasm: 0.9 } },
  { peer: 'cnn', what: 'CNN', batch: 10, build: shipped('mnist-cnn'), ...mnist, goals: { onnx: 1, wasm: 0.5 } },
  { peer: 'cnn', what: 'CNN', batch: 32, build: shipped('mnist-cnn'), ...mnist, goals: { onnx: 1, wasm: 0.4 } },
  { peer: 'lenet', what: 'LeNet', batch: 64, build: lenet, ...mnist, goals: { onnx: 1, wasm: 0.5 } },
  {
    peer: 'lstm',
    what: 'embedding, LSTM 64, sequence 20,',
    batch: 10,
    build: sequence,
    width: 20,
    indices: 86,
    classes: 86,
    goals: { onnx: 1, wasm: 1.5 },
  },
  {
    peer: 'text',
    what: 'text mean pool',
    batch: 10,
    build: text,
    width: 40,
    indices: 10_000,
    classes: 4,
    goals: { onnx: 1, wasm: 2 },
  },
];

function examplesOf({ width, indices, classes }: Case, count: number): Examples {
  const features = Float32Array.from({ length: count * width }, (_value, at) => {
    const unit = Math.abs(Math.sin(at * 1.37 + 0.5));
    return indices === 0 ? unit : Math.floor(unit * indices) % indices;
  });
  return { count, features, labels: Int32Array.from({ length: count }, (_value, at) => at % classes) };
}

const never = new AbortController().signal;

/** Milliseconds of CPU time a step of `steps` steps. */
async function stepMs(
  trainer: Trainer,
  { batch, ...rest }: Case,
  steps: number,
  more: Partial<TrainingSettings> = {},
): Promise<number> {
  // The same few examples again and again: reading them from afar is not what is measured.
  const examples = examplesOf({ batch, ...rest }, batch);
  const order = Uint32Array.from({ length: steps * batch }, (_value, at) => at % batch);
  const optimizer = { kind: 'sgd', learningRate: 0.05, momentum: 0 } as const;
  const started = process.threadCpuUsage();
  await trainer.trainEpoch(examples, order, { batchSize: batch, optimizer, ...more }, never);
  const { user, system } = process.threadCpuUsage(started);
  return (user + system) / 1000 / steps;
}

async function compare(
  engines: readonly TrainingEngine[],
  tf: typeof Tf,
  peer: PyTorchPeer | null,
  of: Case,
): Promise<Figure[]> {
  const model = await of.build(tf);
  const figures: Figure[] = [];
  for (const engine of engines) {
    const trainer = await engine.load({ ...model, loss: LOSS });
    const size = model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    trainer.setWeights(Float32Array.from({ length: size }, (_value, at) => 0.05 * Math.sin(at * 2.3)));
    const first = await stepMs(trainer, of, 5);
    const steps = Math.max(1, Math.round(TURN_MS / first));
    const own: number[] = [];
    const ratios: number[] = [];
    for (let round = -2; round < ROUNDS; round++) {
      const mine = await stepMs(trainer, of, steps);
      const theirs = (await peer?.stepMs(of.peer, of.batch, steps)) ?? Number.NaN;
      // The clock of a thread's CPU time does not move at every look.
      if (round < 0 || mine === 0 || theirs === 0) continue;
      own.push(mine);
      ratios.push(theirs / mine);
    }
    trainer.dispose();
    const what = `${engine.name}, ${of.what} B=${of.batch}`;
    const rate = summary(own.map((ms) => (1000 * of.batch) / ms));
    figures.push(figure(what, 'examples/s', rate, { anchor: `${summary(own).median.toFixed(3)} ms a step` }));
    if (peer !== null)
      figures.push(
        figure(what, 'x PyTorch', summary(ratios), { goal: of.goals[engine.name] ?? null, anchor: peer.version }),
      );
  }
  return figures;
}

/** Clipped example by example, against the plain step: turn and turn about. */
async function perExample(engine: TrainingEngine, tf: typeof Tf): Promise<Figure> {
  const of = CASES.find(({ what, batch }) => what === '2NN' && batch === 32)!;
  const model = await of.build(tf);
  const [plain, clipping] = [await engine.load({ ...model, loss: LOSS }), await engine.load({ ...model, loss: LOSS })];
  for (const trainer of [plain, clipping])
    trainer.setWeights(Float32Array.from({ length: trainer.parameters }, (_value, at) => 0.05 * Math.sin(at * 2.3)));
  const ratios: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const [once, each] = [await stepMs(plain, of, 60), await stepMs(clipping, of, 60, { perExampleClip: 1 })];
    if (round >= 0 && once > 0) ratios.push(each / once);
  }
  const what = `${engine.name}, per-example clipped gradients, 2NN B=32`;
  return figure(what, 'x the plain step', summary(ratios), { goal: 2.5, atMost: true, anchor: 'the plain step' });
}

/** From the model's JSON to the end of the first step. */
async function compileTime(engine: TrainingEngine, tf: typeof Tf, goal: number): Promise<Figure> {
  const of = CASES.find(({ what, batch }) => what === 'CNN' && batch === 10)!;
  const model = await of.build(tf);
  const times: number[] = [];
  for (let round = 0; round < 7; round++) {
    const started = performance.now();
    const trainer = await engine.load({ ...model, loss: LOSS });
    trainer.setWeights(new Float32Array(trainer.parameters));
    await stepMs(trainer, of, 1);
    times.push(performance.now() - started);
    trainer.dispose();
  }
  const what = `${engine.name}, compile and load, CNN, with the first step`;
  return figure(what, 'ms', summary(times), { goal, atMost: true, anchor: 'the wait before a first round' });
}

export const bench: Bench = {
  description: 'training steps of the engines beside PyTorch',
  method: `${ROUNDS} rounds in which engine and PyTorch take turns of about ${TURN_MS} ms, one thread, CPU time; medians, ratios by round`,
  run: async () => {
    const { tf } = await openBackend();
    const peer = await openPyTorch();
    const native = await openNativeEngine();
    const engines = [...('missing' in native ? [] : [native]), openPortableEngine()];
    const figures: Figure[] = [];
    for (const of of CASES) figures.push(...(await compare(engines, tf, peer, of)));
    for (const engine of engines) {
      figures.push(await perExample(engine, tf));
      figures.push(await compileTime(engine, tf, engine.name === 'onnx' ? 300 : 100));
    }
    peer?.close();
    const model = await shipped('mnist-2nn')();
    for (const { name } of engines) figures.push(...(await twoWorkers(name, { ...model, loss: LOSS })));
    return figures;
  },
};
