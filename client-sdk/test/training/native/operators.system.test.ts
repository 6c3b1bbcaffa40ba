/** The ONNX nodes against the interpreter: every operator, its gradients with it, as ONNX Runtime computes them. */
import { describe, expect, test } from 'vitest';
import { emitValue } from '../../../src/training/native/emit.ts';
import { openEmission, rowsOf } from '../../../src/training/native/emission.ts';
import { modelBytes, OnnxGraph, TYPE } from '../../../src/training/native/onnx.ts';
import { gradients } from '../../../src/training/plan/gradients.ts';
import { Graph } from '../../../src/training/plan/graph.ts';
import { interpret } from '../../../src/training/plan/interpreter.ts';
import { sizeOf } from '../../../src/training/plan/operators.ts';
import type { Value } from '../../../src/training/plan/operators.ts';
import { inputsOf, OPERATOR_CASES } from '../plan/operator-cases.ts';

const runtime = await import('onnxruntime-node').catch(() => null);

async function runGraph(
  values: readonly Value[],
  wanted: readonly Value[],
  features: readonly Float32Array[],
): Promise<Float32Array[]> {
  const { InferenceSession, Tensor } = runtime!;
  const onnx = new OnnxGraph('t');
  const emission = openEmission(onnx, 'indices');
  const inputs = values.filter(({ operator }) => operator.kind === 'feature');
  const named = (value: Value): string => `x${value.operator.kind === 'feature' ? value.operator.index : ''}`;
  for (const value of inputs) emission.rows.set(value, named(value));
  for (const value of values) emitValue(emission, value);
  const outputs = wanted.map((value, at) => onnx.nodes('Identity', [rowsOf(emission, value)], [`y${at}`])[0]!);
  const typed = (name: string, value: Value) => ({ name, type: TYPE.float, shape: value.shape });
  const graph = onnx.graph(
    inputs.map((value) => typed(named(value), value)),
    wanted.map((value, at) => typed(outputs[at]!, value)),
  );
  const session = await InferenceSession.create(modelBytes(graph), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = inputs.map((value) => [
    named(value),
    new Tensor('float32', features[value.operator.kind === 'feature' ? value.operator.index : 0]!, [...value.shape]),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return outputs.map((name) => results[name]!.data as Float32Array);
}

const missing = 'onnxruntime-node is not installed (npm install)';
describe.skipIf(runtime === null)(
  `ONNX Runtime computes what the interpreter computes${runtime === null ? ` — skipped: ${missing}` : ''}`,
  () => {
    test.each(OPERATOR_CASES)('$name', async (operatorCase) => {
      const { shapes, build } = operatorCase;
      const graph = new Graph();
      const inputs = shapes.map((shape, index) => graph.feature(index, shape));
      const result = build(graph, ...inputs);
      const weights = graph.feature(inputs.length, result.shape);
      const axes = result.shape.map((_length, axis) => axis);
      const total = graph.reshape(graph.sum(graph.multiply(result, weights), axes), []);
      const wanted = [result, total, ...gradients(graph, total, inputs)];
      const counted = Float64Array.from({ length: sizeOf(result.shape) }, (_value, at) => Math.sin(3 + 1.7 * at));
      const features = [...inputsOf(operatorCase), counted].map((numbers) => Float32Array.from(numbers));
      const bindings = { parameters: [], labels: [], uniform: () => new Float32Array(), numbers: Float32Array };
      const expected = interpret(graph.values, wanted, { ...bindings, features });
      const found = await runGraph(graph.values, wanted, features);
      found.forEach((numbers, at) => {
        const scale = Math.max(1, ...expected[at]!.map(Math.abs));
        const worst = numbers.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[at]![i]!)), 0);
        expect(worst).toBeLessThanOrEqual(1e-5 * scale);
      });
    });
  },
);
