/** Rules of differentiation against finite differences, in binary64: every operator, at points where it is smooth. */
import { describe, expect, test } from 'vitest';
import { gradients } from '../../../src/training/plan/gradients.ts';
import { Graph } from '../../../src/training/plan/graph.ts';
import { interpret } from '../../../src/training/plan/interpreter.ts';
import { sizeOf } from '../../../src/training/plan/operators.ts';
import type { OperatorKind, Value } from '../../../src/training/plan/operators.ts';
import { inputsOf, OPERATOR_CASES } from './operator-cases.ts';
import type { OperatorCase } from './operator-cases.ts';

const STEP = 1e-5;

interface Checked {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly total: Value;
}

/** A number of the operator's result: each of its numbers counts differently. */
function totalOf({ shapes, build }: OperatorCase): Checked {
  const graph = new Graph();
  const inputs = shapes.map((shape, index) => graph.feature(index, shape));
  const result = build(graph, ...inputs);
  const weights = graph.feature(inputs.length, result.shape);
  const axes = result.shape.map((_length, axis) => axis);
  return { graph, inputs, total: graph.reshape(graph.sum(graph.multiply(result, weights), axes), []) };
}

function weightsOf(total: Checked, count: number): Float64Array {
  const weights = total.graph.values.find(({ operator }) => operator.kind === 'feature' && operator.index === count)!;
  return Float64Array.from({ length: sizeOf(weights.shape) }, (_value, at) => Math.sin(3 + 1.7 * at));
}

function evaluate({ graph }: Checked, wanted: readonly Value[], features: readonly Float64Array[]): Float64Array[] {
  const bindings = { parameters: [], labels: [], uniform: () => new Float64Array(), numbers: Float64Array };
  return interpret(graph.values, wanted, { ...bindings, features }) as Float64Array[];
}

describe('the gradient by finite differences', () => {
  test.each(OPERATOR_CASES)('$name', (operatorCase) => {
    const checked = totalOf(operatorCase);
    const { shapes, fixed = [] } = operatorCase;
    const features = [...inputsOf(operatorCase), weightsOf(checked, shapes.length)];
    const free = checked.inputs.filter((_input, at) => !fixed.includes(at));
    const found = evaluate(checked, gradients(checked.graph, checked.total, free), features);
    free.forEach((input, at) => {
      const own = features[checked.inputs.indexOf(input)]!;
      const size = own.length;
      // A dozen places are enough to tell a wrong rule from a right one.
      for (let place = 0; place < size; place += Math.max(1, Math.floor(size / 12))) {
        const kept = own[place]!;
        own[place] = kept + STEP;
        const above = evaluate(checked, [checked.total], features)[0]![0]!;
        own[place] = kept - STEP;
        const below = evaluate(checked, [checked.total], features)[0]![0]!;
        own[place] = kept;
        const difference = (above - below) / (2 * STEP);
        expect(Math.abs(found[at]![place]! - difference)).toBeLessThan(1e-5 * Math.max(1, Math.abs(difference)));
      }
    });
  });
});

test('every operator has a case', () => {
  const met = new Set<OperatorKind>();
  for (const operatorCase of OPERATOR_CASES) {
    const { graph, inputs, total } = totalOf(operatorCase);
    gradients(graph, total, inputs);
    for (const { operator } of graph.values) met.add(operator.kind);
  }
  const leaves: readonly OperatorKind[] = ['parameter', 'label', 'uniform'];
  expect(KINDS.filter((kind) => !met.has(kind))).toEqual(leaves);
});

/** Written out so that the compiler notices a new one. */
const EVERY: Readonly<Record<OperatorKind, true>> = {
  parameter: true,
  feature: true,
  label: true,
  constant: true,
  uniform: true,
  unary: true,
  binary: true,
  clip: true,
  within: true,
  matmul: true,
  sum: true,
  max: true,
  broadcast: true,
  reshape: true,
  transpose: true,
  slice: true,
  pad: true,
  concat: true,
  convolution: true,
  'convolution-input': true,
  'convolution-filter': true,
  depthwise: true,
  'depthwise-input': true,
  'depthwise-filter': true,
  'max-pool': true,
  'max-pool-input': true,
  'average-pool': true,
  'average-pool-input': true,
  gather: true,
  scatter: true,
  'one-hot': true,
  softmax: true,
  'softmax-crossentropy': true,
  'softmax-crossentropy-input': true,
  'sigmoid-crossentropy': true,
};
const KINDS = Object.keys(EVERY) as OperatorKind[];
