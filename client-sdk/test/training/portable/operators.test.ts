/** The WebAssembly kernels against the interpreter: every operator, its gradients with it. */
import { describe, expect, test } from 'vitest';
import { gradients } from '../../../src/training/plan/gradients.ts';
import { Graph } from '../../../src/training/plan/graph.ts';
import { interpret } from '../../../src/training/plan/interpreter.ts';
import { sizeOf } from '../../../src/training/plan/operators.ts';
import { inputsOf, OPERATOR_CASES } from '../plan/operator-cases.ts';
import { runGraph } from './run-graph.ts';

describe('the kernels compute what the interpreter computes', () => {
  test.each(OPERATOR_CASES)('$name', (operatorCase) => {
    const { shapes, build } = operatorCase;
    const graph = new Graph();
    const inputs = shapes.map((shape, index) => graph.feature(index, shape));
    const result = build(graph, ...inputs);
    const weights = graph.feature(inputs.length, result.shape);
    const axes = result.shape.map((_length, axis) => axis);
    const total = graph.reshape(graph.sum(graph.multiply(result, weights), axes), []);
    const wanted = [result, total, ...gradients(graph, total, inputs)];
    const counted = Float64Array.from({ length: sizeOf(result.shape) }, (_value, at) => Math.sin(3 + 1.7 * at));
    const features = [...inputsOf(operatorCase), counted];
    const bindings = { parameters: [], labels: [], uniform: () => new Float32Array(), numbers: Float32Array };
    const single = features.map((numbers) => Float32Array.from(numbers));
    const expected = interpret(graph.values, wanted, { ...bindings, features: single });
    const found = runGraph(graph.values, wanted, single);
    found.forEach((numbers, at) => {
      const scale = Math.max(1, ...expected[at]!.map(Math.abs));
      const worst = numbers.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[at]![i]!)), 0);
      expect(worst).toBeLessThanOrEqual(1e-5 * scale);
    });
  });
});
