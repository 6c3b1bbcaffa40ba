/** The first {@link TrainingEngine}: any TensorFlow.js layers model, on whatever backend this machine has. */
import { layoutOf } from '@carapace/aggregation';
import type { LocalTraining, Loss } from '@carapace/aggregation';
import type * as Tf from '@tensorflow/tfjs';
import { ClientError } from '../../errors.ts';
import type { EpochResult, Evaluation, Examples, ModelSpec, Trainer, TrainingEngine } from '../engine.ts';
import { openBackend } from './backend.ts';

const LOSSES: Readonly<Record<Loss, string>> = {
  'categorical-crossentropy': 'categoricalCrossentropy',
  'sparse-categorical-crossentropy': 'sparseCategoricalCrossentropy',
  'binary-crossentropy': 'binaryCrossentropy',
  'mean-squared-error': 'meanSquaredError',
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
  const model = await buildModel(tf, spec);
  const layout = layoutOf(spec.tensors);
  checkWeights(model, spec);
  return new TfjsTrainer(tf, model, layout.slots, spec.loss);
}

async function buildModel(tf: typeof Tf, { topology }: ModelSpec): Promise<Tf.LayersModel> {
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
  readonly parameters: number;
  readonly #tf: typeof Tf;
  readonly #model: Tf.LayersModel;
  readonly #slots: readonly SlotShape[];
  readonly #loss: Loss;
  readonly #featureShape: number[];
  readonly #featureSize: number;
  readonly #outputSize: number;
  #optimizer: { readonly of: string; readonly instance: Tf.Optimizer } | null = null;

  constructor(tf: typeof Tf, model: Tf.LayersModel, slots: readonly SlotShape[], loss: Loss) {
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
  }

  weights(): Float32Array {
    const flat = new Float32Array(this.parameters);
    this.#model.getWeights().forEach((tensor, index) => flat.set(tensor.dataSync(), this.#slots[index]?.offset ?? 0));
    return flat;
  }

  async trainEpoch(
    examples: Examples,
    order: Uint32Array,
    training: LocalTraining,
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
    const classifies = this.#outputSize > 1 && this.#loss !== 'mean-squared-error';
    return { loss: loss / examples.count, accuracy: classifies ? correct / examples.count : null };
  }

  dispose(): void {
    this.#optimizer?.instance.dispose();
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
      return scoreBatch(output.dataSync() as Float32Array, examples, rows, this.#outputSize, this.#loss);
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

  #compile({ optimizer }: LocalTraining): void {
    const of = JSON.stringify(optimizer);
    // Momentum of an earlier round must not reach into this one, so a stateful optimizer is new each time.
    if (this.#optimizer?.of === of && optimizer.momentum === 0) return;
    this.#optimizer?.instance.dispose();
    const { learningRate, momentum } = optimizer;
    const instance =
      momentum === 0 ? this.#tf.train.sgd(learningRate) : this.#tf.train.momentum(learningRate, momentum);
    this.#model.compile({ optimizer: instance, loss: LOSSES[this.#loss] });
    this.#optimizer = { of, instance };
  }

  #check({ count, features, labels }: Examples): void {
    const labelWidth = this.#loss === 'sparse-categorical-crossentropy' ? 1 : this.#outputSize;
    if (features.length !== count * this.#featureSize) {
      throw new ClientError(
        'DATA_INVALID',
        `${features.length} feature values for ${count} examples of ${this.#featureSize}`,
      );
    }
    if (labels.length !== count * labelWidth)
      throw new ClientError('DATA_INVALID', `${labels.length} labels for ${count} examples of ${labelWidth}`);
    if (labelWidth === 1 && this.#loss === 'sparse-categorical-crossentropy') checkClasses(labels, this.#outputSize);
  }
}

/** Says where, never which label: the message goes to the coordinator when the round is declined. */
function checkClasses(labels: Int32Array | Float32Array, classes: number): void {
  const wrong = labels.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= classes);
  if (wrong >= 0)
    throw new ClientError('DATA_INVALID', `the label of example ${wrong} is not a class from 0 to ${classes - 1}`);
}

/** Sums of loss and right answers of one batch, in binary64. */
function scoreBatch(
  output: Float32Array,
  { labels }: Examples,
  rows: Uint32Array,
  width: number,
  loss: Loss,
): { loss: number; correct: number } {
  let total = 0;
  let correct = 0;
  rows.forEach((row, at) => {
    const scores = output.subarray(at * width, (at + 1) * width);
    const target =
      loss === 'sparse-categorical-crossentropy'
        ? oneHot(labels[row] ?? 0, width)
        : labels.subarray(row * width, (row + 1) * width);
    total += exampleLoss(scores, target, loss);
    if (argMax(scores) === argMax(target)) correct += 1;
  });
  return { loss: total, correct };
}

function exampleLoss(scores: Float32Array, target: ArrayLike<number>, loss: Loss): number {
  const safe = (p: number): number => Math.log(Math.min(1 - 1e-7, Math.max(1e-7, p)));
  const terms = Array.from(scores, (score, i) => {
    const wanted = target[i] ?? 0;
    if (loss === 'mean-squared-error') return (score - wanted) ** 2 / scores.length;
    if (loss === 'binary-crossentropy') return -(wanted * safe(score) + (1 - wanted) * safe(1 - score)) / scores.length;
    return wanted === 0 ? 0 : -wanted * safe(score);
  });
  return terms.reduce((sum, term) => sum + term, 0);
}

function oneHot(label: number, width: number): Float32Array {
  const target = new Float32Array(width);
  target[label] = 1;
  return target;
}

function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
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
