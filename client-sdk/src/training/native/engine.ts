/** The {@link TrainingEngine} on onnxruntime-node, an optional dependency: a plan as one ONNX model, many steps in a call. One thread, CPU only. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { ModelSpec, Trainer, TrainingEngine } from '../engine.ts';
import { uniformNumbers } from '../plan/noise.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Shape } from '../plan/operators.ts';
import { checkSlots, evaluationPlan, trainingPlan } from '../plan/plan.ts';
import type { PlannedModel, Slot, TrainingPlan } from '../plan/plan.ts';
import { plannedModel, PlanTrainer } from '../plan/trainer.ts';
import type { BatchArrays, PlanMachine } from '../plan/trainer.ts';
import { adamScalars, stepForm } from '../settings.ts';
import type { StepForm, TrainingSettings } from '../settings.ts';
import { evaluationModel, outputName } from './evaluation-model.ts';
import { carriedNames, name, trainingModel } from './training-model.ts';
import { SCALARS } from './updates.ts';

type Runtime = typeof import('onnxruntime-node');

/** Bytes of features that one call takes at most. */
const CALL_BYTES = 4 << 20;
const CALL_STEPS = 64;

/** The engine, or why there is none. */
export async function openNativeEngine(): Promise<TrainingEngine | { readonly missing: string }> {
  try {
    const runtime = await import('onnxruntime-node');
    return {
      name: 'onnx',
      load: (spec: ModelSpec): Promise<Trainer> => Promise.resolve().then(() => load(runtime, spec)),
      dispose: () => undefined,
    };
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { missing: `onnxruntime-node does not load (${first ?? 'no reason given'})` };
  }
}

function load(runtime: Runtime, spec: ModelSpec): Trainer {
  const model = plannedModel(spec);
  return new PlanTrainer(model, new NativeMachine(runtime, model, spec));
}

interface Session {
  readonly session: InferenceSession;
  readonly plan: TrainingPlan;
  readonly form: StepForm;
  readonly noise: ReadonlyMap<number, readonly number[]>;
}

interface Evaluation {
  readonly session: InferenceSession;
  readonly inputs: readonly Shape[];
  readonly features: readonly Float32Array[];
  readonly outputs: number;
}

class NativeMachine implements PlanMachine {
  readonly name = 'onnx';
  readonly evaluationBatch = 64;
  readonly parameters: number;
  readonly #runtime: Runtime;
  readonly #model: PlannedModel;
  readonly #slots: readonly Slot[];
  readonly #width: number;
  readonly #sessions = new Map<string, Promise<Session>>();
  /** By name: what goes into the next call. */
  readonly #tensors = new Map<string, Tensor>();
  #evaluation: Evaluation | null = null;
  #batches: BatchArrays = { features: [], labels: [] };
  #step = 0;
  #fresh = true;

  constructor(runtime: Runtime, model: PlannedModel, { tensors }: ModelSpec) {
    this.#runtime = runtime;
    this.#model = model;
    const { slots, features } = trainingPlan(model, 1);
    checkSlots(slots, tensors);
    this.#slots = slots;
    this.#width = features.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    this.parameters = slots.reduce((sum, { size }) => sum + size, 0);
  }

  setWeights(flat: Float32Array): void {
    this.#write(name.weight, flat);
    this.#fresh = true;
  }

  weights(): Float32Array {
    const flat = new Float32Array(this.parameters);
    this.#slots.forEach(({ offset }, parameter) => {
      flat.set(this.#tensors.get(name.weight(parameter))!.data as Float32Array, offset);
    });
    return flat;
  }

  stepsAtOnce(size: number): number {
    return Math.max(1, Math.min(CALL_STEPS, Math.floor(CALL_BYTES / (4 * size * this.#width))));
  }

  begin(settings: TrainingSettings): void {
    if (this.#fresh) {
      this.#step = 0;
      for (const key of this.#tensors.keys()) if (key.startsWith('state')) this.#tensors.delete(key);
      this.#slots.forEach((_slot, parameter) => {
        const weight = this.#tensors.get(name.weight(parameter));
        if (weight !== undefined) this.#tensors.set(name.anchor(parameter), weight);
      });
    }
    this.#fresh = false;
    if (settings.correction !== undefined) this.#write(name.correction, settings.correction);
  }

  async batches(settings: TrainingSettings, size: number, count: number): Promise<BatchArrays> {
    const { plan } = await this.#session(settings, size);
    const arrays = (values: TrainingPlan['features']): Float32Array[] =>
      values.map(({ shape }) => new Float32Array(count * sizeOf(shape)));
    this.#batches = { features: arrays(plan.features), labels: arrays(plan.labels) };
    return this.#batches;
  }

  async steps(settings: TrainingSettings, size: number, count: number): Promise<Float32Array> {
    const { session, plan, form, noise } = await this.#session(settings, size);
    const feeds: Record<string, Tensor> = {
      [name.count]: this.#count(count),
      [name.scalars]: this.#scalars(settings, count),
      [name.minusRate]: this.#tensor(new Float32Array(count).fill(-settings.optimizer.learningRate), [count]),
    };
    plan.features.forEach(({ shape }, at) => {
      feeds[name.feature(at)] = this.#tensor(this.#batches.features[at]!, [count, ...shape]);
    });
    plan.labels.forEach(({ shape }, at) => {
      feeds[name.label(at)] = this.#tensor(this.#batches.labels[at]!, [count, ...shape]);
    });
    for (const [stream, shape] of noise) feeds[name.noise(stream)] = this.#noise(settings, stream, shape, count);
    for (const input of session.inputNames) feeds[input] ??= this.#held(input);
    const results = await session.run(feeds);
    this.#step += count;
    for (const { name: carried } of carriedNames(plan, form)) this.#tensors.set(carried, results[name.after(carried)]!);
    return results[name.losses]!.data as Float32Array;
  }

  async evaluation(): Promise<readonly Float32Array[]> {
    this.#evaluation ??= await this.#evaluationSession();
    return this.#evaluation.features;
  }

  async outputs(): Promise<Float32Array[]> {
    const { session, inputs, features, outputs } = this.#evaluation!;
    const feeds: Record<string, Tensor> = {};
    features.forEach((array, at) => (feeds[name.feature(at)] = this.#tensor(array, inputs[at]!)));
    for (const input of session.inputNames) feeds[input] ??= this.#held(input);
    const results = await session.run(feeds);
    return Array.from({ length: outputs }, (_value, at) => results[outputName(at)]!.data as Float32Array);
  }

  dispose(): void {
    for (const opening of this.#sessions.values())
      opening.then(({ session }) => session.release()).catch(() => undefined);
    void this.#evaluation?.session.release();
    this.#sessions.clear();
    this.#evaluation = null;
    this.#tensors.clear();
  }

  #write(named: (parameter: number) => string, flat: Float32Array): void {
    this.#slots.forEach(({ offset, size, shape }, parameter) => {
      this.#tensors.set(named(parameter), this.#tensor(flat.slice(offset, offset + size), shape));
    });
  }

  #tensor(data: Float32Array, shape: Shape): Tensor {
    return new this.#runtime.Tensor('float32', data, shape);
  }

  #count(count: number): Tensor {
    return new this.#runtime.Tensor('int64', BigInt64Array.of(BigInt(count)), []);
  }

  /** A tensor by the name of an input: a state that is not there yet is zero. */
  #held(input: string): Tensor {
    const known = this.#tensors.get(input);
    if (known !== undefined) return known;
    const { shape, size } = this.#slots[Number(/\d+$/.exec(input)![0])]!;
    const zeros = this.#tensor(new Float32Array(size), shape);
    this.#tensors.set(input, zeros);
    return zeros;
  }

  #noise({ seed = 0 }: TrainingSettings, stream: number, shape: Shape, count: number): Tensor {
    const size = sizeOf(shape);
    const numbers = new Float32Array(count * size);
    for (let at = 0; at < count; at++) numbers.set(uniformNumbers(size, seed, this.#step + at + 1, stream), at * size);
    return this.#tensor(numbers, [count, ...shape]);
  }

  #scalars(settings: TrainingSettings, count: number): Tensor {
    const rows = Array.from({ length: count }, (_value, at) => scalarRow(settings, this.#step + at + 1));
    return this.#tensor(Float32Array.from(rows.flat()), [count, SCALARS.length]);
  }

  #session(settings: TrainingSettings, size: number): Promise<Session> {
    const form = stepForm(settings);
    const of = `${size} ${settings.clipNorm ?? ''} ${settings.perExampleClip ?? ''} ${Object.values(form).join()}`;
    const session = this.#sessions.get(of) ?? this.#open(settings, form, size);
    this.#sessions.set(of, session);
    return session;
  }

  async #open(settings: TrainingSettings, form: StepForm, size: number): Promise<Session> {
    const plan = trainingPlan(this.#model, size, settings.perExampleClip ?? null);
    const { bytes, noise } = trainingModel(plan, form, settings.clipNorm ?? Infinity);
    return { session: await openSession(this.#runtime, bytes), plan, form, noise };
  }

  async #evaluationSession(): Promise<Evaluation> {
    const plan = evaluationPlan(this.#model, this.evaluationBatch);
    const session = await openSession(this.#runtime, evaluationModel(plan));
    const inputs = plan.features.map(({ shape }) => shape);
    const features = inputs.map((shape) => new Float32Array(sizeOf(shape)));
    return { session, inputs, features, outputs: plan.outputs.length };
  }
}

function openSession(runtime: Runtime, bytes: Uint8Array): Promise<InferenceSession> {
  return runtime.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  });
}

/** In the order of `SCALARS`. */
function scalarRow(settings: TrainingSettings, step: number): number[] {
  const { optimizer, proximal = 0 } = settings;
  const momentum = optimizer.kind === 'sgd' ? optimizer.momentum : 0;
  const decay = stepForm(settings).decays ? (optimizer.weightDecay ?? 0) : 0;
  const adam = optimizer.kind === 'sgd' ? Array<number>(9).fill(1) : adamScalars(optimizer, step);
  return [momentum, decay, proximal, ...adam.slice(1)];
}
