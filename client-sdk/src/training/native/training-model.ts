/**
 * A training plan as one ONNX model: a loop over the batches of a call, whose carried values are the weights and the optimiser's
 * state. Inside the loop a step is forward, backward and update; weights cross from JavaScript and back once a call, not once a step.
 */
import type { Value } from '../plan/operators.ts';
import type { Slot, TrainingPlan } from '../plan/plan.ts';
import type { StepForm } from '../settings.ts';
import { emitValue } from './emit.ts';
import { openEmission, rowsOf } from './emission.ts';
import type { Emission } from './emission.ts';
import { modelBytes, OnnxGraph, TYPE } from './onnx.ts';
import type { GraphValue } from './onnx.ts';
import { adjustedGradients, fusedUpdate, isFused, SCALARS, update } from './updates.ts';
import type { Scalars, Trained, Updated } from './updates.ts';

export interface TrainingModel {
  readonly bytes: Uint8Array;
  /** Shapes of the noise of a step, by stream. */
  readonly noise: ReadonlyMap<number, readonly number[]>;
}

/** How many vectors of state the step carries. */
export function statesOf({ rule }: StepForm): 0 | 1 | 2 {
  return rule === 'sgd' ? 0 : rule === 'adam' ? 2 : 1;
}

/** Names of the model's inputs and outputs. */
export const name = {
  count: 'count',
  scalars: 'scalars',
  /** Apart from the other numbers: plain SGD needs no more. */
  minusRate: 'minus_rate',
  losses: 'losses',
  feature: (index: number): string => `feature${index}`,
  label: (index: number): string => `label${index}`,
  noise: (stream: number): string => `noise${stream}`,
  weight: (parameter: number): string => `weight${parameter}`,
  state: (which: number, parameter: number): string => `state${which}_${parameter}`,
  anchor: (parameter: number): string => `anchor${parameter}`,
  correction: (parameter: number): string => `correction${parameter}`,
  after: (of: string): string => `${of}_after`,
};

/** What a call carries from step to step, by name: weights that change, and their states. */
export function carriedNames(
  plan: TrainingPlan,
  form: StepForm,
): readonly { readonly name: string; readonly slot: Slot }[] {
  const changed = [...plan.gradients, ...plan.assignments].map(({ parameter }) => parameter);
  const weights = changed.map((parameter) => ({ name: name.weight(parameter), slot: plan.slots[parameter]! }));
  const states = Array.from({ length: statesOf(form) }, (_value, which) =>
    plan.gradients.map(({ parameter }) => ({ name: name.state(which, parameter), slot: plan.slots[parameter]! })),
  );
  return [...weights, ...states.flat()];
}

export function trainingModel(plan: TrainingPlan, form: StepForm, limit: number): TrainingModel {
  const carried = carriedNames(plan, form);
  const uniform = plan.values.filter(({ operator }) => operator.kind === 'uniform');
  const body = stepGraph(plan, form, limit, uniform);
  const outer = new OnnxGraph('o');
  const named = [...carried.map((value) => name.after(value.name)), name.losses];
  outer.nodes('Loop', [name.count, '', ...carried.map((value) => value.name)], named, { body });
  const typed = (of: string, shape: GraphValue['shape']): GraphValue => ({ name: of, type: TYPE.float, shape });
  const stacked = (of: string, value: Value): GraphValue => typed(of, ['steps', ...value.shape]);
  const fixed = plan.slots.flatMap((slot, parameter) => [
    ...(carried.some((value) => value.name === name.weight(parameter))
      ? []
      : [typed(name.weight(parameter), slot.shape)]),
  ]);
  const vectors = plan.gradients.flatMap(({ parameter }) => {
    const { shape } = plan.slots[parameter]!;
    return [
      ...(form.proximal ? [typed(name.anchor(parameter), shape)] : []),
      ...(form.corrected ? [typed(name.correction(parameter), shape)] : []),
    ];
  });
  const inputs = [
    { name: name.count, type: TYPE.int64, shape: [] },
    typed(name.scalars, ['steps', SCALARS.length]),
    typed(name.minusRate, ['steps']),
    ...plan.features.map((value, index) => stacked(name.feature(index), value)),
    ...plan.labels.map((value, index) => stacked(name.label(index), value)),
    ...uniform.map((value) => stacked(name.noise(streamOf(value)), value)),
    ...carried.map((value) => typed(value.name, value.slot.shape)),
    ...fixed,
    ...vectors,
  ];
  const shapes = [...carried.map(({ slot }): GraphValue['shape'] => slot.shape), ['steps']];
  const bytes = modelBytes(
    outer.graph(
      inputs,
      named.map((of, at) => typed(of, shapes[at]!)),
    ),
  );
  return { bytes, noise: new Map(uniform.map((value) => [streamOf(value), value.shape])) };
}

function streamOf({ operator }: Value): number {
  if (operator.kind !== 'uniform') throw new TypeError('noise is uniform');
  return operator.stream;
}

/** The loop's body: one step. */
function stepGraph(plan: TrainingPlan, form: StepForm, limit: number, uniform: readonly Value[]): Uint8Array {
  const onnx = new OnnxGraph('s');
  const inner = (of: string): string => `s_${of}`;
  const carried = carriedNames(plan, form);
  const inside = (of: string): string => (carried.some((value) => value.name === of) ? inner(of) : of);
  const emission = openEmission(onnx, 'indices');
  const at = (of: string): string => onnx.node('Gather', [of, inner('step')], { axis: 0 });
  plan.features.forEach((value, index) => emission.rows.set(value, at(name.feature(index))));
  plan.labels.forEach((value, index) => emission.rows.set(value, at(name.label(index))));
  for (const value of uniform) emission.rows.set(value, at(name.noise(streamOf(value))));
  for (const value of plan.values)
    if (value.operator.kind === 'parameter') emission.rows.set(value, inside(name.weight(value.operator.index)));
  const scalars = stepScalars(onnx, at(name.scalars), at(name.minusRate));
  const after = new Map(stepUpdates(emission, plan, form, scalars, limit, inside));
  for (const { parameter, value } of plan.assignments) after.set(name.weight(parameter), rowsOf(emission, value));
  const outputs = carried.map((value) => after.get(value.name)!);
  const loss = rowsOf(emission, plan.loss);
  const going = onnx.node('Identity', [inner('going')]);
  const typed = (of: string, shape: GraphValue['shape']): GraphValue => ({ name: of, type: TYPE.float, shape });
  return onnx.graph(
    [
      { name: inner('step'), type: TYPE.int64, shape: [] },
      { name: inner('going'), type: TYPE.boolean, shape: [] },
      ...carried.map((value) => typed(inner(value.name), value.slot.shape)),
    ],
    [
      { name: going, type: TYPE.boolean, shape: [] },
      ...outputs.map((of, index) => typed(of, carried[index]!.slot.shape)),
      typed(loss, []),
    ],
  );
}

function stepScalars(onnx: OnnxGraph, row: string, minusRate: string): Scalars {
  const parts = onnx.nodes('Split', [row], SCALARS.length, { axis: 0 });
  const named = Object.fromEntries(SCALARS.map((of, at) => [of, parts[at]!])) as Omit<Scalars, 'minusRate'>;
  return { ...named, minusRate };
}

/** Emits everything; names of what each carried value is after the step. */
function stepUpdates(
  emission: Emission,
  plan: TrainingPlan,
  form: StepForm,
  scalars: Scalars,
  limit: number,
  inside: (of: string) => string,
): [string, string][] {
  const uses = new Set(plan.values.flatMap(({ inputs }) => inputs));
  const fused = new Set(plan.gradients.filter(({ value }) => isFused(form, value, uses)).map(({ value }) => value));
  for (const value of plan.values) if (!fused.has(value)) emitValue(emission, value);
  const trained = plan.gradients.map(({ parameter, value }): Trained => ({
    weight: inside(name.weight(parameter)),
    gradient: value,
    first: inside(name.state(0, parameter)),
    second: inside(name.state(1, parameter)),
    anchor: name.anchor(parameter),
    correction: name.correction(parameter),
  }));
  const apart = trained.filter(({ gradient }) => !fused.has(gradient));
  const gradients = adjustedGradients(emission, apart, form, scalars, limit);
  return plan.gradients.flatMap(({ parameter }, at): [string, string][] => {
    const own = trained[at]!;
    const result: Updated = fused.has(own.gradient)
      ? { weight: fusedUpdate(emission, own, scalars), states: [] }
      : update(emission, own, gradients[apart.indexOf(own)]!, form, scalars);
    const states = result.states.map((state, which): [string, string] => [name.state(which, parameter), state]);
    return [[name.weight(parameter), result.weight], ...states];
  });
}
