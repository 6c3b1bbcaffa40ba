/** An evaluation plan as an ONNX model: features and weights in, outputs out. */
import type { EvaluationPlan } from '../plan/plan.ts';
import { emitValue } from './emit.ts';
import { openEmission, rowsOf } from './emission.ts';
import { modelBytes, OnnxGraph, TYPE } from './onnx.ts';
import { name } from './training-model.ts';

export function outputName(index: number): string {
  return `output${index}`;
}

export function evaluationModel(plan: EvaluationPlan): Uint8Array {
  const onnx = new OnnxGraph('e');
  const emission = openEmission(onnx, 'no indices');
  plan.features.forEach((value, index) => emission.rows.set(value, name.feature(index)));
  const weights = plan.values.filter(({ operator }) => operator.kind === 'parameter');
  const named = weights.map((value) => ({
    name: value.operator.kind === 'parameter' ? name.weight(value.operator.index) : '',
    type: TYPE.float,
    shape: value.shape,
  }));
  weights.forEach((value, at) => emission.rows.set(value, named[at]!.name));
  for (const value of plan.values) emitValue(emission, value);
  const inputs = plan.features.map(({ shape }, at) => ({ name: name.feature(at), type: TYPE.float, shape }));
  const outputs = plan.outputs.map((value, at) => ({
    name: onnx.nodes('Identity', [rowsOf(emission, value)], [outputName(at)])[0]!,
    type: TYPE.float,
    shape: value.shape,
  }));
  return modelBytes(onnx.graph([...inputs, ...named], outputs));
}
