/** The {@link TrainingEngine} that is always there: plans run by our own WebAssembly kernels, a whole step in one call, the same bits on every CPU. */
import type { ModelSpec, Trainer, TrainingEngine } from '../engine.ts';
import { sizeOf } from '../plan/operators.ts';
import { checkSlots, evaluationPlan, trainingPlan } from '../plan/plan.ts';
import type { EvaluationPlan, PlannedModel } from '../plan/plan.ts';
import { plannedModel, PlanTrainer } from '../plan/trainer.ts';
import type { BatchArrays, PlanMachine } from '../plan/trainer.ts';
import { stepForm } from '../settings.ts';
import type { TrainingSettings } from '../settings.ts';
import { lowerValue } from './lower.ts';
import { placeOf } from './lowering.ts';
import { Memory } from './memory.ts';
import { ModelMemory } from './model-memory.ts';
import { ProgramBuilder } from './program.ts';
import type { Program } from './program.ts';
import { addressOf, openInput, openLowering, trainingProgram } from './training-program.ts';
import type { TrainingProgram } from './training-program.ts';

export function openPortableEngine(): TrainingEngine {
  return {
    name: 'wasm',
    load: (spec: ModelSpec): Promise<Trainer> => Promise.resolve().then(() => load(spec)),
    dispose: () => undefined,
  };
}

function load(spec: ModelSpec): Trainer {
  const model = plannedModel(spec);
  return new PlanTrainer(model, new PortableMachine(model, spec));
}

interface Region {
  readonly address: number;
  readonly size: number;
}

interface EvaluationProgram extends Program {
  readonly features: readonly Region[];
  readonly outputs: readonly Region[];
}

interface StepProgram extends TrainingProgram {
  readonly sizes: { readonly features: readonly number[]; readonly labels: readonly number[] };
}

class PortableMachine implements PlanMachine {
  readonly name = 'wasm';
  readonly evaluationBatch = 64;
  readonly #model: PlannedModel;
  readonly #weights: ModelMemory;
  readonly #programs = new Map<string, StepProgram>();
  #current: { readonly of: string; readonly program: StepProgram } | null = null;
  #evaluation: EvaluationProgram | null = null;
  #fresh = true;

  constructor(model: PlannedModel, { tensors }: ModelSpec) {
    this.#model = model;
    const { slots } = trainingPlan(model, 1);
    checkSlots(slots, tensors);
    this.#weights = new ModelMemory(new Memory(), slots);
  }

  get parameters(): number {
    return this.#weights.parameters;
  }

  setWeights(flat: Float32Array): void {
    this.#weights.write('weights', flat);
    this.#fresh = true;
  }

  weights(): Float32Array {
    return this.#weights.read('weights');
  }

  begin(settings: TrainingSettings): void {
    if (this.#fresh) {
      this.#weights.reset();
      if (stepForm(settings).proximal) this.#weights.write('anchor', this.weights());
    }
    this.#fresh = false;
    if (settings.correction !== undefined) this.#weights.write('correction', settings.correction);
  }

  /** A call costs nothing to speak of. */
  stepsAtOnce(): number {
    return 1;
  }

  batches(settings: TrainingSettings, size: number): BatchArrays {
    const { features, labels, sizes } = this.#program(settings, size);
    const { memory } = this.#weights;
    const arrays = (addresses: readonly number[], lengths: readonly number[]): Float32Array[] =>
      addresses.map((address, at) => memory.floats(address, lengths[at]!));
    return { features: arrays(features, sizes.features), labels: arrays(labels, sizes.labels) };
  }

  steps(settings: TrainingSettings, size: number): Float32Array {
    const { from, to, loss } = this.#program(settings, size);
    this.#weights.advance(settings);
    this.#weights.memory.execute(from, to);
    return this.#weights.memory.floats(loss, 1);
  }

  evaluation(): Float32Array[] {
    this.#evaluation ??= evaluationProgram(this.#weights, evaluationPlan(this.#model, this.evaluationBatch));
    return this.#evaluation.features.map(({ address, size }) => this.#weights.memory.floats(address, size));
  }

  outputs(): Float32Array[] {
    const { from, to, outputs } = this.#evaluation!;
    this.#weights.memory.execute(from, to);
    return outputs.map(({ address, size }) => this.#weights.memory.floats(address, size));
  }

  dispose(): void {
    this.#programs.clear();
    this.#current = null;
    this.#evaluation = null;
  }

  #program(settings: TrainingSettings, size: number): StepProgram {
    const form = stepForm(settings);
    const of = `${size} ${settings.clipNorm ?? ''} ${settings.perExampleClip ?? ''} ${Object.values(form).join()}`;
    if (this.#current?.of === of) return this.#current.program;
    const program = this.#programs.get(of) ?? this.#compile(settings, size);
    this.#programs.set(of, program);
    this.#current = { of, program };
    return program;
  }

  #compile(settings: TrainingSettings, size: number): StepProgram {
    const plan = trainingPlan(this.#model, size, settings.perExampleClip ?? null);
    const program = trainingProgram(this.#weights, plan, stepForm(settings), settings.clipNorm ?? Infinity);
    const sizes = (values: typeof plan.features): number[] => values.map(({ shape }) => sizeOf(shape));
    return { ...program, sizes: { features: sizes(plan.features), labels: sizes(plan.labels) } };
  }
}

function evaluationProgram(model: ModelMemory, plan: EvaluationPlan): EvaluationProgram {
  const program = new ProgramBuilder(model.memory);
  const lowering = openLowering(program, model, plan.values);
  const inputs = plan.features.map((value) => openInput(lowering, value));
  for (const value of plan.values) lowerValue(lowering, value);
  const outputs = plan.outputs.map((value) => placeOf(lowering, value));
  for (const place of outputs) program.keep(place, 'after');
  const finished = program.finish();
  const regions = (places: typeof inputs, values: EvaluationPlan['outputs']): Region[] =>
    places.map((place, at) => ({ address: addressOf(place), size: sizeOf(values[at]!.shape) }));
  return { ...finished, features: regions(inputs, plan.features), outputs: regions(outputs, plan.outputs) };
}
