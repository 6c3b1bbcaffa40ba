/** The {@link TrainingEngine} for whatever cannot be compiled: any TensorFlow.js layers model, on whatever backend this machine has. */
import { layoutOf } from '@carapace/aggregation';
import type * as Tf from '@tensorflow/tfjs';
import { ClientError } from '../../errors.ts';
import type { EpochResult, Evaluation, Examples, ModelSpec, Trainer, TrainingEngine } from '../engine.ts';
import { checkExamples, scoreBatch } from '../examples.ts';
import { classifies } from '../plan/losses.ts';
import { stepForm } from '../settings.ts';
import type { LossName, TrainingSettings } from '../settings.ts';
import { openBackend } from './backend.ts';

type TfLoss = string | ((truth: Tf.Tensor, output: Tf.Tensor) => Tf.Tensor);

const LOSSES: Readonly<Record<LossName, TfLoss | null>> = {
  'categorical-crossentropy': 'categoricalCrossentropy',
  'sparse-categorical-crossentropy': 'sparseCategoricalCrossentropy',
  'binary-crossentropy': 'binaryCrossentropy',
  'mean-squared-error': 'meanSquaredError',
  'mean-absolute-error': 'meanAbsoluteError',
  // A layers model has none of this name.
  huber: null,
};
const EVALUATION_BATCH = 256;
/** The event loop gets its turn this often: heartbeats and the abort signal depend on it. */
const YIELD_MS = 50;

export interface TfjsEngine extends TrainingEngine {
  readonly reason: string;
}

export async function openTfjsEngine(): Promise<TfjsEngine> {
  const { tf, name, reason } = await openBackend();
  return { name, reason, load: (model) => load(tf, model), dispose: () => undefined };
}

async function load(tf: typeof Tf, spec: ModelSpec): Promise<Trainer> {
  const model = await layersModel(tf, spec.topology);
  const layout = layoutOf(spec.tensors);
  checkWeights(model, spec);
  return new TfjsTrainer(tf, model, layout.slots, spec.loss);
}

/** @throws ClientError `MODEL_UNSUPPORTED` */
export async function layersModel(tf: typeof Tf, topology: string): Promise<Tf.LayersModel> {
  try {
    return await tf.loadLayersModel({
      load: () => Promise.resolve({ modelTopology: JSON.parse(topology) as object, format: 'layers-model' }),
    });
  } catch (cause) {
    throw new ClientError(
      'MODEL_UNSUPPORTED',
      `TensorFlow.js cannot build the model: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function checkWeights(model: Tf.LayersModel, { tensors }: ModelSpec): void {
  const shapes = model.getWeights().map(({ shape, dtype }) => `${dtype} [${shape.join(', ')}]`);
  const expected = tensors.map(({ shape }) => `float32 [${shape.join(', ')}]`);
  if (shapes.join() === expected.join()) return;
  throw new ClientError(
    'MODEL_UNSUPPORTED',
    `the topology has the weights ${shapes.join(', ')}; the assignment speaks of ${expected.join(', ')}`,
  );
}

interface SlotShape {
  readonly offset: number;
  readonly size: number;
  readonly shape: readonly number[];
}

class TfjsTrainer implements Trainer {
  readonly engine: string;
  readonly parameters: number;
  readonly #tf: typeof Tf;
  readonly #model: Tf.LayersModel;
  readonly #slots: readonly SlotShape[];
  readonly #loss: LossName;
  readonly #featureShape: number[];
  readonly #featureSize: number;
  readonly #outputSize: number;
  #optimizer: { readonly of: string; readonly instance: Tf.Optimizer } | null = null;

  constructor(tf: typeof Tf, model: Tf.LayersModel, slots: readonly SlotShape[], loss: LossName) {
    this.engine = `tfjs-${tf.getBackend() === 'tensorflow' ? 'node' : tf.getBackend()}`;
    this.#tf = tf;
    this.#model = model;
    this.#slots = slots;
    this.#loss = loss;
    this.parameters = slots.reduce((sum, { size }) => sum + size, 0);
    this.#featureShape = oneShape(model.inputs, 'input');
    this.#featureSize = product(this.#featureShape);
    this.#outputSize = product(oneShape(model.outputs, 'output'));
  }

  setWeights(flat: Float32Array): void {
    if (flat.length !== this.parameters)
      throw new ClientError('DATA_INVALID', `${flat.length} weights for a model of ${this.parameters}`);
    this.#tf.tidy(() => {
      this.#model.setWeights(
        this.#slots.map(({ offset, size, shape }) => this.#tf.tensor(flat.slice(offset, offset + size), [...shape])),
      );
    });
    disposeOptimizer(this.#optimizer?.instance);
    this.#optimizer = null;
  }

  weights(): Float32Array {
    const flat = new Float32Array(this.parameters);
    this.#model.getWeights().forEach((tensor, index) => flat.set(tensor.dataSync(), this.#slots[index]?.offset ?? 0));
    return flat;
  }

  async trainEpoch(
    examples: Examples,
    order: Uint32Array,
    training: TrainingSettings,
    signal: AbortSignal,
  ): Promise<EpochResult> {
    this.#check(examples);
    this.#compile(training);
    let weighted = 0;
    let steps = 0;
    let breath = performance.now();
    for (let from = 0; from < order.length; from += training.batchSize) {
      signal.throwIfAborted();
      const rows = order.subarray(from, from + training.batchSize);
      weighted += rows.length * (await this.#step(examples, rows));
      steps += 1;
      if (performance.now() - breath > YIELD_MS) {
        await new Promise(setImmediate);
        breath = performance.now();
      }
    }
    return { loss: order.length === 0 ? 0 : weighted / order.length, steps };
  }

  async evaluate(examples: Examples): Promise<Evaluation> {
    this.#check(examples);
    let loss = 0;
    let correct = 0;
    for (let from = 0; from < examples.count; from += EVALUATION_BATCH) {
      const rows = Uint32Array.from(
        { length: Math.min(EVALUATION_BATCH, examples.count - from) },
        (_value, index) => from + index,
      );
      const batch = this.#evaluateBatch(examples, rows);
      loss += batch.loss;
      correct += batch.correct;
      await new Promise(setImmediate);
    }
    const counts = classifies(this.#loss, [1, this.#outputSize]);
    return { loss: loss / examples.count, accuracy: counts ? correct / examples.count : null };
  }

  dispose(): void {
    disposeOptimizer(this.#optimizer?.instance);
    this.#model.dispose();
  }

  async #step(examples: Examples, rows: Uint32Array): Promise<number> {
    const { features, labels } = this.#batch(examples, rows);
    try {
      const loss = await this.#model.trainOnBatch(features, labels);
      return typeof loss === 'number' ? loss : (loss[0] ?? Number.NaN);
    } finally {
      features.dispose();
      labels.dispose();
    }
  }

  #evaluateBatch(examples: Examples, rows: Uint32Array): { loss: number; correct: number } {
    return this.#tf.tidy(() => {
      const { features } = this.#batch(examples, rows);
      const output = this.#model.predict(features) as Tf.Tensor;
      const scores = output.dataSync() as Float32Array;
      return scoreBatch(scores, examples.labels, rows, this.#outputSize, this.#loss);
    });
  }

  /** Rows gathered into fresh arrays: TensorFlow.js keeps what it is given. */
  #batch({ features, labels }: Examples, rows: Uint32Array): { features: Tf.Tensor; labels: Tf.Tensor } {
    const width = this.#featureSize;
    const gathered = new Float32Array(rows.length * width);
    rows.forEach((row, at) => gathered.set(features.subarray(row * width, (row + 1) * width), at * width));
    const sparse = this.#loss === 'sparse-categorical-crossentropy';
    const labelWidth = sparse ? 1 : this.#outputSize;
    const targets = new Float32Array(rows.length * labelWidth);
    rows.forEach((row, at) => targets.set(labels.subarray(row * labelWidth, (row + 1) * labelWidth), at * labelWidth));
    return {
      features: this.#tf.tensor(gathered, [rows.length, ...this.#featureShape]),
      labels: this.#tf.tensor(targets, [rows.length, labelWidth]),
    };
  }

  #compile(training: TrainingSettings): void {
    const of = JSON.stringify(training.optimizer);
    if (this.#optimizer?.of === of) return;
    disposeOptimizer(this.#optimizer?.instance);
    const instance = optimizerOf(this.#tf, training);
    this.#model.compile({ optimizer: instance, loss: this.#tfLoss() });
    this.#optimizer = { of, instance };
  }

  #tfLoss(): TfLoss {
    const known = LOSSES[this.#loss];
    // By its type, compile takes names only; by its code and documentation also a function.
    return known ?? ((truth, output) => this.#tf.losses.huberLoss(truth, output));
  }

  #check(examples: Examples): void {
    const sparse = this.#loss === 'sparse-categorical-crossentropy';
    const labels = sparse ? 1 : this.#outputSize;
    checkExamples(examples, { features: this.#featureSize, labels, classes: sparse ? this.#outputSize : null });
  }
}

/** With momentum TensorFlow.js forgets one of its tensors, the learning rate: a leak for every round. */
function disposeOptimizer(optimizer: Tf.Optimizer | undefined): void {
  optimizer?.dispose();
  const { c: rate } = (optimizer ?? {}) as { readonly c?: Tf.Tensor };
  if (rate !== undefined && !rate.isDisposed) rate.dispose();
}

/** @throws ClientError `MODEL_UNSUPPORTED` for what only compiled plans can do */
function optimizerOf(tf: typeof Tf, training: TrainingSettings): Tf.Optimizer {
  const { optimizer } = training;
  const { decays, clips, proximal, corrected } = stepForm(training);
  const beyond = decays || clips || proximal || corrected || training.perExampleClip !== undefined;
  if (beyond || optimizer.kind === 'adamw')
    throw new ClientError('MODEL_UNSUPPORTED', 'TensorFlow.js trains with plain SGD, momentum and Adam only');
  if (optimizer.kind !== 'sgd') {
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 } = optimizer;
    return tf.train.adam(learningRate, beta1, beta2, epsilon);
  }
  const { learningRate, momentum, nesterov = false } = optimizer;
  return momentum === 0 ? tf.train.sgd(learningRate) : tf.train.momentum(learningRate, momentum, nesterov);
}

function oneShape(tensors: readonly { readonly shape: readonly (number | null)[] }[], what: string): number[] {
  const [only, ...more] = tensors;
  if (only === undefined || more.length > 0)
    throw new ClientError('MODEL_UNSUPPORTED', `models with one ${what} are trained; this one has ${tensors.length}`);
  const shape = only.shape.slice(1);
  if (shape.some((length) => length === null))
    throw new ClientError(
      'MODEL_UNSUPPORTED',
      `the ${what} has the open shape [${only.shape.join(', ')}]: fix its sizes`,
    );
  return shape as number[];
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}
