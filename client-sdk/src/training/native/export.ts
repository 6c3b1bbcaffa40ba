/**
 * A layers model as an ONNX model for inference: what comes in and goes out bears the names of the layers, the batch is open, and the
 * weights lie in it under their own names, in their own order.
 */
import type { TensorSpec } from '@carapace/aggregation';
import { unsupported } from '../plan/config.ts';
import { buildModel } from '../plan/model.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Shape, Value } from '../plan/operators.ts';
import { checkSlots, evaluationPlan } from '../plan/plan.ts';
import type { EvaluationPlan } from '../plan/plan.ts';
import { parseTopology } from '../plan/topology.ts';
import type { Topology } from '../plan/topology.ts';
import { emitValue } from './emit.ts';
import { growsWithBatch, openEmission, rowsOf } from './emission.ts';
import type { Emission } from './emission.ts';
import { modelPieces, OnnxGraph, TYPE } from './onnx.ts';
import type { GraphValue } from './onnx.ts';

/** Before every name within: no layer begins with it. */
const PREFIX = '@';

/**
 * Pieces between which the bytes of the tensors belong, in their order: piece i comes before tensor i, the last one after all.
 * @throws ClientError `MODEL_UNSUPPORTED` when a layer is not compiled, or the tensors are not the model's
 */
export function onnxPieces(topology: string, tensors: readonly TensorSpec[]): Uint8Array[] {
  const parsed = parseTopology(topology);
  const plan = evaluationPlan({ topology: parsed, loss: 'mean-squared-error' }, openBatch(parsed));
  checkSlots(plan.slots, tensors);
  const emission = openEmission(new OnnxGraph(PREFIX), 'no indices', plan.batch);
  const names = namesOf(parsed, tensors);
  plan.features.forEach((value, at) => emission.rows.set(value, names.inputs[at]!));
  const inOrder = plan.slots.map(({ offset }) => offset).sort((a, b) => a - b);
  for (const value of plan.values)
    if (value.operator.kind === 'parameter')
      emission.rows.set(value, names.weights[inOrder.indexOf(plan.slots[value.operator.index]!.offset)]!);
  for (const value of plan.values) emitValue(emission, value);
  const graph = graphOf(emission, plan, names);
  return modelPieces(
    graph,
    tensors.map(({ shape }, at) => ({ name: names.weights[at]!, shape })),
  );
}

/** @throws ClientError `MODEL_UNSUPPORTED` */
export function exportOnnx({
  topology,
  tensors,
  weights,
}: {
  readonly topology: string;
  readonly tensors: readonly TensorSpec[];
  readonly weights: Float32Array;
}): Uint8Array<ArrayBuffer> {
  const size = tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  if (weights.length !== size) throw unsupported(`there are ${weights.length} weights for tensors of ${size}`);
  const parts: Uint8Array[] = [];
  let offset = 0;
  onnxPieces(topology, tensors).forEach((piece, at) => {
    const length = sizeOf(tensors[at]?.shape ?? [0]);
    parts.push(piece, littleEndian(weights.subarray(offset, offset + length)));
    offset += length;
  });
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    file.set(part, at);
    return at + part.length;
  }, 0);
  return file;
}

function littleEndian(values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, at) => view.setFloat32(4 * at, value, true));
  return new Uint8Array(view.buffer);
}

/** A prime above every size of the model: what it divides comes from the batch. */
function openBatch(topology: Topology): number {
  const { graph } = buildModel(topology, 1, false);
  const largest = graph.values.reduce((most, { shape }) => Math.max(most, ...shape), 1);
  let batch = largest + 1;
  while (!isPrime(batch)) batch++;
  return batch;
}

function isPrime(number: number): boolean {
  for (let by = 2; by * by <= number; by++) if (number % by === 0) return false;
  return number > 1;
}

interface Names {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly weights: readonly string[];
}

/** Each name once: a layer that is input and output, or two outputs of one layer, are told apart by a number. */
function namesOf({ inputs, outputs }: Topology, tensors: readonly TensorSpec[]): Names {
  const taken = new Set<string>();
  const own = (name: string): string => {
    let free = name.startsWith(PREFIX) ? `_${name}` : name;
    for (let count = 1; taken.has(free); count++) free = `${name}_${count}`;
    taken.add(free);
    return free;
  };
  return {
    inputs: inputs.map(({ layer }) => own(layer)),
    outputs: outputs.map(({ layer }) => own(layer)),
    weights: tensors.map(({ name }) => own(name)),
  };
}

function graphOf(emission: Emission, plan: EvaluationPlan, names: Names): Uint8Array {
  const { onnx } = emission;
  const described = (name: string, shape: Shape): GraphValue => ({
    name,
    type: TYPE.float,
    shape: shape.map((length) => (growsWithBatch(emission, length) ? 'batch' : length)),
  });
  const outputs = plan.outputs.map((value: Value, at) => {
    onnx.nodes('Identity', [rowsOf(emission, value)], [names.outputs[at]!]);
    return described(names.outputs[at]!, value.shape);
  });
  return onnx.graph(
    plan.features.map(({ shape }, at) => described(names.inputs[at]!, shape)),
    outputs,
  );
}
