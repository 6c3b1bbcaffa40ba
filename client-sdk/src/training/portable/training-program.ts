/**
 * A training plan as one program: forward, backward and the optimiser's step. A weight is changed as soon as nothing reads it any
 * more; with plain SGD its gradient is added to it by the product that computes it, and never exists apart.
 */
import { parameterOf } from '../plan/plan.ts';
import type { TrainingPlan } from '../plan/plan.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Value } from '../plan/operators.ts';
import type { StepForm } from '../settings.ts';
import { emitMatmul, emitScatter, lowerValue } from './lower.ts';
import { placeOf } from './lowering.ts';
import type { Lowering } from './lowering.ts';
import type { ModelMemory } from './model-memory.ts';
import { CODE, ProgramBuilder } from './program.ts';
import type { Place, Program } from './program.ts';

export interface TrainingProgram extends Program {
  /** Where features and labels go before a step, and the loss is after it. */
  readonly features: readonly number[];
  readonly labels: readonly number[];
  readonly loss: number;
}

interface Update {
  readonly parameter: number;
  readonly gradient: Value;
  /** The gradient is computed straight into the weight. */
  readonly fused: boolean;
  /** Values that must be there, or have read the weight, before. */
  readonly after: Set<Value>;
}

export function trainingProgram(
  model: ModelMemory,
  plan: TrainingPlan,
  form: StepForm,
  clipNorm: number,
): TrainingProgram {
  const program = new ProgramBuilder(model.memory);
  const lowering = openLowering(program, model, plan.values);
  const [features, labels] = [plan.features, plan.labels].map((values) =>
    values.map((value) => openInput(lowering, value)),
  );
  const pending = form.clips ? [] : updatesOf(plan, form);
  const fused = new Set(pending.flatMap(({ fused: into, gradient }) => (into ? [gradient] : [])));
  for (const value of plan.values) {
    if (!fused.has(value)) lowerValue(lowering, value);
    for (const update of pending) {
      if (!update.after.delete(value) || update.after.size > 0) continue;
      emitUpdate(model, lowering, form, update, null);
    }
  }
  if (form.clips) emitClipped(model, lowering, form, plan, clipNorm);
  for (const { parameter, value } of plan.assignments) assign(model, lowering, parameter, value);
  const loss = placeOf(lowering, plan.loss);
  program.keep(loss, 'after');
  const finished = program.finish();
  const addresses = (places: readonly Place[]): number[] => places.map(addressOf);
  return { ...finished, features: addresses(features!), labels: addresses(labels!), loss: addressOf(loss) };
}

export function addressOf({ buffer, offset }: Place): number {
  if (buffer.address === null) throw new RangeError('the program is not finished');
  return buffer.address + offset;
}

export function openLowering(program: ProgramBuilder, model: ModelMemory, values: readonly Value[]): Lowering {
  const places = new Map<Value, Place>();
  for (const value of values)
    if (value.operator.kind === 'parameter') places.set(value, model.part(program, 'weights', value.operator.index));
  return { program, places, padded: new Map(), noise: model.scalar(program, 'noise') };
}

export function openInput({ program, places }: Lowering, value: Value): Place {
  const place = program.buffer(sizeOf(value.shape));
  program.keep(place, 'before');
  places.set(value, place);
  return place;
}

function isPlain({ rule, decays, clips, proximal, corrected }: StepForm): boolean {
  return rule === 'sgd' && !decays && !clips && !proximal && !corrected;
}

function updatesOf(plan: TrainingPlan, form: StepForm): Update[] {
  const uses = new Map<Value, Value[]>();
  for (const value of plan.values)
    for (const input of value.inputs) uses.set(input, [...(uses.get(input) ?? []), value]);
  const weights = plan.values.filter(({ operator }) => operator.kind === 'parameter');
  const targets = plan.gradients.map(({ value }) => value);
  return plan.gradients.map(({ parameter, value: gradient }) => {
    const weight = weights.find((value) => parameterOf(value) === parameter);
    const alone = !uses.has(gradient) && targets.indexOf(gradient) === targets.lastIndexOf(gradient);
    const fused = isPlain(form) && alone && isFusible(gradient);
    const readers = weight === undefined ? [] : readersOf(weight, uses);
    return { parameter, gradient, fused, after: new Set([...(fused ? gradient.inputs : [gradient]), ...readers]) };
  });
}

/** A product or a scatter that reads no weight: another weight's change cannot come between. */
function isFusible({ operator, inputs, shape }: Value): boolean {
  const adds = (operator.kind === 'matmul' && shape.length === 2) || operator.kind === 'scatter';
  return adds && inputs.every((input) => shown(input).operator.kind !== 'parameter');
}

/** What a reshape or a slice shows. */
function shown(value: Value): Value {
  const { kind } = value.operator;
  return kind === 'reshape' || kind === 'slice' ? shown(value.inputs[0]!) : value;
}

/** Everything that reads a weight, also by way of a reshape or a slice that is only a place in it. */
function readersOf(value: Value, uses: ReadonlyMap<Value, readonly Value[]>): Value[] {
  return (uses.get(value) ?? []).flatMap((user) => {
    const views = user.operator.kind === 'reshape' || user.operator.kind === 'slice';
    return views ? [user, ...readersOf(user, uses)] : [user];
  });
}

function emitUpdate(model: ModelMemory, lowering: Lowering, form: StepForm, update: Update, scale: Place | null): void {
  const { program } = lowering;
  const weight = model.part(program, 'weights', update.parameter);
  if (update.fused) {
    const emit = update.gradient.operator.kind === 'scatter' ? emitScatter : emitMatmul;
    emit(lowering, update.gradient, weight, model.scalar(program, 'minusRate'));
    return;
  }
  const { size } = model.slots[update.parameter]!;
  const gradient = adjusted(model, lowering, form, update, scale);
  const state = (vector: 'first' | 'second'): Place => model.part(program, vector, update.parameter);
  if (form.rule === 'sgd') {
    program.emit(CODE.axpy, [model.scalar(program, 'minusRate'), gradient, weight, size]);
  } else if (form.rule === 'adam') {
    program.emit(CODE.adam, [weight, gradient, state('first'), state('second'), size, model.scalar(program, 'adam')]);
  } else {
    const scalars = [model.scalar(program, 'rate'), model.scalar(program, 'momentum')];
    program.emit(CODE.momentum, [weight, gradient, state('first'), size, ...scalars, form.rule === 'nesterov' ? 1 : 0]);
  }
}

/** The gradient with everything that is added to it, in memory of its own when there is something. */
function adjusted(model: ModelMemory, lowering: Lowering, form: StepForm, update: Update, scale: Place | null): Place {
  const { program } = lowering;
  const raw = placeOf(lowering, update.gradient);
  if (scale === null && !form.decays && !form.proximal && !form.corrected) return raw;
  const { size } = model.slots[update.parameter]!;
  const sum = program.buffer(size);
  const weight = model.part(program, 'weights', update.parameter);
  const plus = (by: Place, what: Place): void => program.emit(CODE.axpy, [by, what, sum, size]);
  program.emit(CODE.fill, [sum, { real: 0 }, size]);
  plus(scale ?? model.scalar(program, 'one'), raw);
  if (form.proximal && scale === null) {
    const anchor = model.part(program, 'anchor', update.parameter);
    program.emit(CODE.pull, [model.scalar(program, 'proximal'), weight, anchor, sum, size]);
  }
  if (form.corrected) plus(model.scalar(program, 'one'), model.part(program, 'correction', update.parameter));
  if (form.decays) plus(model.scalar(program, 'decay'), weight);
  return sum;
}

/** All gradients, with the proximal term, are measured before any weight changes. */
function emitClipped(model: ModelMemory, lowering: Lowering, form: StepForm, plan: TrainingPlan, limit: number): void {
  const { program } = lowering;
  const [total, scale] = [program.buffer(4), program.buffer(4)];
  program.emit(CODE.zero, [total]);
  const updates = plan.gradients.map(({ parameter, value }) => {
    const { size } = model.slots[parameter]!;
    const update = { parameter, gradient: value, fused: false, after: new Set<Value>() };
    const near = { ...form, decays: false, corrected: false };
    const gradient = adjusted(model, lowering, near, update, null);
    program.emit(CODE.squares, [gradient, size, total]);
    return { update, gradient };
  });
  program.emit(CODE.clipScale, [total, scale, { real: limit }]);
  for (const { update, gradient } of updates) {
    lowering.places.set(update.gradient, gradient);
    emitUpdate(model, lowering, form, update, scale);
  }
}

function assign(model: ModelMemory, lowering: Lowering, parameter: number, value: Value): void {
  const { program } = lowering;
  const weight = model.part(program, 'weights', parameter);
  const { size } = model.slots[parameter]!;
  program.emit(CODE.fill, [weight, { real: 0 }, size]);
  program.emit(CODE.axpy, [model.scalar(program, 'one'), placeOf(lowering, value), weight, size]);
}
