/**
 * A model, its loss and a batch size compiled into a plan: the graph of one training step up to the gradients, or of one evaluation.
 * What the optimiser then does with the gradients is the same for every model (`settings.ts`).
 */
import type { LossName } from '../settings.ts';
import { unsupported } from './config.ts';
import { gradients } from './gradients.ts';
import { classifies, labelShape, lossOf } from './losses.ts';
import { buildModel } from './model.ts';
import type { ModelGraph } from './model.ts';
import { sizeOf } from './operators.ts';
import { clippedGradients, refusePerExample } from './per-example.ts';
import type { Shape, Value } from './operators.ts';
import type { Topology } from './topology.ts';

/** Where a weight lies in the flat vector. */
export interface Slot {
  readonly name: string;
  readonly shape: Shape;
  readonly offset: number;
  readonly size: number;
  readonly trainable: boolean;
}

interface PlanBase {
  readonly batch: number;
  /** Everything that is computed, each after its inputs. */
  readonly values: readonly Value[];
  /** By the index of the parameter. */
  readonly slots: readonly Slot[];
  readonly features: readonly Value[];
}

export interface TrainingPlan extends PlanBase {
  readonly labels: readonly Value[];
  /** Mean over the batch, with penalties. */
  readonly loss: Value;
  readonly gradients: readonly { readonly parameter: number; readonly value: Value }[];
  /** Weights that take a value at the end of the step. */
  readonly assignments: readonly { readonly parameter: number; readonly value: Value }[];
}

export interface EvaluationPlan extends PlanBase {
  readonly outputs: readonly Value[];
}

export interface PlannedModel {
  readonly topology: Topology;
  readonly loss: LossName;
}

/**
 * @param limit of each example's gradient, when they are clipped one by one
 * @throws ClientError `MODEL_UNSUPPORTED`, saying what cannot be compiled
 */
export function trainingPlan(
  { topology, loss }: PlannedModel,
  batch: number,
  limit: number | null = null,
): TrainingPlan {
  if (limit !== null) refusePerExample(topology);
  const model = buildModel(topology, batch, true, limit !== null);
  const { graph, outputs, assigned } = model;
  const labels = outputs.map(({ shape }, index) => graph.label(index, labelShape(loss, shape)));
  const losses = outputs.map((output, at) => lossOf(graph, loss, output, labels[at]!));
  const total = [...losses, ...model.penalties].reduce((sum, part) => graph.add(sum, part));
  const trained = model.weights.filter(({ trainable }) => trainable).map(({ value }) => value);
  if (limit !== null && model.penalties.length > 0) throw unsupported('penalties have no per-example gradients');
  const bySlot =
    limit === null
      ? gradients(graph, total, trained)
      : clippedGradients(graph, graph.scale(total, batch), trained, batch, limit);
  const assignments = [...assigned].map(([weight, value]) => ({ parameter: parameterOf(weight), value }));
  const wanted = [total, ...bySlot, ...assignments.map(({ value }) => value)];
  return {
    batch,
    values: needed(graph.values, wanted),
    slots: slotsOf(model),
    features: model.inputs,
    labels,
    loss: total,
    gradients: trained.map((weight, at) => ({ parameter: parameterOf(weight), value: bySlot[at]! })),
    assignments,
  };
}

export function evaluationPlan({ topology }: PlannedModel, batch: number): EvaluationPlan {
  const model = buildModel(topology, batch, false);
  const { graph, inputs, outputs } = model;
  return { batch, values: needed(graph.values, outputs), slots: slotsOf(model), features: inputs, outputs };
}

export function parameterOf({ operator }: Value): number {
  if (operator.kind !== 'parameter') throw new TypeError('a weight is a parameter');
  return operator.index;
}

function slotsOf({ weights }: ModelGraph): Slot[] {
  const slots: Slot[] = [];
  let offset = 0;
  for (const { value, name, trainable } of weights) {
    const size = sizeOf(value.shape);
    slots[parameterOf(value)] = { name, shape: value.shape, offset, size, trainable };
    offset += size;
  }
  return slots;
}

function needed(values: readonly Value[], wanted: readonly Value[]): Value[] {
  const kept = new Set(wanted);
  for (const value of values.toReversed()) if (kept.has(value)) for (const input of value.inputs) kept.add(input);
  return values.filter((value) => kept.has(value));
}

/** The form of one example: all inputs and outputs one after the other. */
export interface ExampleForm {
  readonly inputWidths: readonly number[];
  readonly labelWidths: readonly number[];
  /** With a batch of 1 in front. */
  readonly outputs: readonly Shape[];
  readonly classifies: boolean;
}

export function exampleForm({ topology, loss }: PlannedModel): ExampleForm {
  const { inputs, outputs } = buildModel(topology, 1, false);
  const shapes = outputs.map(({ shape }) => shape);
  return {
    inputWidths: inputs.map(({ shape }) => sizeOf(shape)),
    labelWidths: shapes.map((shape) => sizeOf(labelShape(loss, shape))),
    outputs: shapes,
    classifies: shapes.length === 1 && classifies(loss, shapes[0]!),
  };
}

/** @throws ClientError `MODEL_UNSUPPORTED` when the weights are not those that the assignment speaks of */
export function checkSlots(slots: readonly Slot[], tensors: readonly { readonly shape: readonly number[] }[]): void {
  const found = slots.toSorted((a, b) => a.offset - b.offset).map(({ shape }) => `[${shape.join(', ')}]`);
  const expected = tensors.map(({ shape }) => `[${shape.join(', ')}]`);
  if (found.join() !== expected.join())
    throw unsupported(
      `the topology has the weights ${found.join(', ')}; the assignment speaks of ${expected.join(', ')}`,
    );
}
