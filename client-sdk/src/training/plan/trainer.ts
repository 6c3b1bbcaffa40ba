/** A {@link Trainer} on a compiled plan: batches, their order and scores are the same whatever computes the steps. */
import { ClientError } from '../../errors.ts';
import type { EpochResult, Evaluation, Examples, ModelSpec, Trainer } from '../engine.ts';
import { checkExamples, scoreBatch } from '../examples.ts';
import type { TrainingSettings } from '../settings.ts';
import { sizeOf } from './operators.ts';
import { exampleForm } from './plan.ts';
import type { ExampleForm, PlannedModel } from './plan.ts';
import { parseTopology } from './topology.ts';

/** Arrays that a batch is written into, one for each input and output of the model: batch x its size. */
export interface BatchArrays {
  readonly features: readonly Float32Array[];
  readonly labels: readonly Float32Array[];
}

/** What computes steps. */
export interface PlanMachine {
  readonly name: string;
  readonly parameters: number;
  readonly evaluationBatch: number;
  setWeights(flat: Float32Array): void;
  weights(): Float32Array;
  /** How many steps on batches of this size it takes in one call, at most. */
  stepsAtOnce(size: number): number;
  /** An epoch begins. The optimiser starts anew when weights were set since the last one. */
  begin(settings: TrainingSettings): void;
  /** Where the batches of the next call go, one after the other. */
  batches(settings: TrainingSettings, size: number, count: number): BatchArrays | Promise<BatchArrays>;
  /** Steps on the batches that were written; their mean losses. */
  steps(settings: TrainingSettings, size: number, count: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  evaluation(): readonly Float32Array[] | Promise<readonly Float32Array[]>;
  /** The outputs for the batch that was written last. */
  outputs(): readonly Float32Array[] | Promise<readonly Float32Array[]>;
  dispose(): void;
}

/** The event loop gets its turn this often: heartbeats and the abort signal depend on it. */
const YIELD_MS = 50;

/** @throws ClientError `MODEL_UNSUPPORTED` */
export function plannedModel({ topology, loss }: Pick<ModelSpec, 'topology' | 'loss'>): PlannedModel {
  try {
    return { topology: parseTopology(topology), loss };
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('MODEL_UNSUPPORTED', `the topology cannot be read: ${String(cause)}`, { cause });
  }
}

export class PlanTrainer implements Trainer {
  readonly engine: string;
  readonly parameters: number;
  readonly #machine: PlanMachine;
  readonly #model: PlannedModel;
  readonly #form: ExampleForm;
  #rested = performance.now();

  constructor(model: PlannedModel, machine: PlanMachine) {
    this.#machine = machine;
    this.#model = model;
    this.#form = exampleForm(model);
    this.engine = machine.name;
    this.parameters = machine.parameters;
  }

  setWeights(flat: Float32Array): void {
    if (flat.length !== this.parameters)
      throw new ClientError('DATA_INVALID', `${flat.length} weights for a model of ${this.parameters}`);
    this.#machine.setWeights(flat);
  }

  weights(): Float32Array {
    return this.#machine.weights();
  }

  async trainEpoch(
    examples: Examples,
    order: Uint32Array,
    settings: TrainingSettings,
    signal: AbortSignal,
  ): Promise<EpochResult> {
    this.#check(examples);
    this.#checkSettings(settings);
    this.#machine.begin(settings);
    const whole = Math.floor(order.length / settings.batchSize) * settings.batchSize;
    const first = await this.#run(examples, order.subarray(0, whole), settings, settings.batchSize, signal);
    const last = await this.#run(examples, order.subarray(whole), settings, order.length - whole, signal);
    const total = first.loss + last.loss;
    return { loss: order.length === 0 ? 0 : total / order.length, steps: first.steps + last.steps };
  }

  /** Steps on batches of one size; the sum of the losses of all examples. */
  async #run(
    { features, labels }: Examples,
    order: Uint32Array,
    settings: TrainingSettings,
    size: number,
    signal: AbortSignal,
  ): Promise<EpochResult> {
    let [loss, steps, atOnce, breath] = [0, 0, 1, performance.now()];
    for (let from = 0; from < order.length; from += atOnce * size) {
      signal.throwIfAborted();
      if (from > 0) atOnce = this.#stepsWithin(size, (performance.now() - breath) / atOnce);
      const count = Math.min(atOnce, (order.length - from) / size);
      const rows = order.subarray(from, from + count * size);
      breath = performance.now();
      const arrays = await this.#machine.batches(settings, size, count);
      gather(features, rows, arrays.features, this.#form.inputWidths);
      gather(labels, rows, arrays.labels, this.#form.labelWidths);
      const losses = await this.#machine.steps(settings, size, count);
      for (let step = 0; step < count; step++) loss += size * losses[step]!;
      steps += count;
      await this.#rest();
    }
    return { loss, steps };
  }

  #stepsWithin(size: number, stepMs: number): number {
    return Math.max(1, Math.min(this.#machine.stepsAtOnce(size), Math.floor(YIELD_MS / Math.max(stepMs, 1e-3))));
  }

  async #rest(): Promise<void> {
    if (performance.now() - this.#rested < YIELD_MS) return;
    await new Promise(setImmediate);
    this.#rested = performance.now();
  }

  async evaluate(examples: Examples): Promise<Evaluation> {
    this.#check(examples);
    const { evaluationBatch: size } = this.#machine;
    let loss = 0;
    let correct = 0;
    for (let from = 0; from < examples.count; from += size) {
      const rows = Uint32Array.from({ length: Math.min(size, examples.count - from) }, (_value, at) => from + at);
      gather(examples.features, rows, await this.#machine.evaluation(), this.#form.inputWidths);
      const scored = this.#score(await this.#machine.outputs(), examples, rows);
      loss += scored.loss;
      correct += scored.correct;
      await this.#rest();
    }
    return { loss: loss / examples.count, accuracy: this.#form.classifies ? correct / examples.count : null };
  }

  dispose(): void {
    this.#machine.dispose();
  }

  /** Each output against its labels; positions along the time of a sequence count as examples of their own. */
  #score(outputs: readonly Float32Array[], { labels }: Examples, rows: Uint32Array): { loss: number; correct: number } {
    const { labelWidths } = this.#form;
    const own = labelWidths.map((width) => new Float32Array(rows.length * width));
    gather(labels, rows, own, labelWidths);
    const sum = { loss: 0, correct: 0 };
    this.#form.outputs.forEach((shape, at) => {
      const positions = sizeOf(shape.slice(1, -1));
      const all = Uint32Array.from({ length: rows.length * positions }, (_value, position) => position);
      const scored = scoreBatch(outputs[at]!, own[at]!, all, shape.at(-1)!, this.#model.loss);
      sum.loss += scored.loss / positions;
      sum.correct += scored.correct / positions;
    });
    return sum;
  }

  #check(examples: Examples): void {
    const { inputWidths, labelWidths, outputs } = this.#form;
    const total = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width, 0);
    const sparse = this.#model.loss === 'sparse-categorical-crossentropy';
    const classes = sparse ? outputs[0]!.at(-1)! : null;
    checkExamples(examples, { features: total(inputWidths), labels: total(labelWidths), classes });
  }

  #checkSettings({ correction }: TrainingSettings): void {
    if (correction !== undefined && correction.length !== this.parameters)
      throw new ClientError(
        'DATA_INVALID',
        `a correction of ${correction.length} numbers for ${this.parameters} weights`,
      );
  }
}

/** Rows of a flat array, each cut into parts of these widths. */
function gather(
  source: Float32Array | Int32Array,
  rows: Uint32Array,
  targets: readonly Float32Array[],
  widths: readonly number[],
): void {
  const total = widths.reduce((sum, width) => sum + width, 0);
  let offset = 0;
  targets.forEach((target, part) => {
    const width = widths[part]!;
    for (let at = 0; at < rows.length; at++) {
      const from = rows[at]! * total + offset;
      // A view and a copy cost more than they save below some width.
      if (width < 16) for (let i = 0; i < width; i++) target[at * width + i] = source[from + i]!;
      else target.set(source.subarray(from, from + width), at * width);
    }
    offset += width;
  });
}
