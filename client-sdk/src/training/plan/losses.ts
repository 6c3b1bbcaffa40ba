/** Losses as in `tf.metrics` and `model.compile`: the mean over all but the last axis, probabilities clipped as TensorFlow.js does. */
import type { LossName } from '../settings.ts';
import type { Graph } from './graph.ts';
import { EPSILON, sizeOf } from './operators.ts';
import type { Shape, Value } from './operators.ts';

/** Where the error of the Huber loss turns from square to linear. */
const HUBER_DELTA = 1;

/** Shape of the labels of an output. */
export function labelShape(loss: LossName, output: Shape): Shape {
  return loss === 'sparse-categorical-crossentropy' ? output.slice(0, -1) : output;
}

/** One number. */
export function lossOf(graph: Graph, loss: LossName, output: Value, labels: Value): Value {
  const errors = ERRORS[loss](graph, output, labels);
  const axes = errors.shape.map((_length, axis) => axis);
  return graph.reshape(graph.mean(errors, axes), []);
}

type Errors = (graph: Graph, output: Value, labels: Value) => Value;

const ERRORS: Readonly<Record<LossName, Errors>> = {
  'categorical-crossentropy': categorical,
  'sparse-categorical-crossentropy': (graph, output, labels) =>
    categorical(graph, output, graph.push({ kind: 'one-hot' }, [labels], output.shape)),
  'binary-crossentropy': (graph, output, labels) => {
    if (output.operator.kind === 'unary' && output.operator.of === 'sigmoid')
      return graph.push({ kind: 'sigmoid-crossentropy' }, [output.inputs[0]!, output, labels], output.shape);
    const p = graph.clip(output, EPSILON, 1 - EPSILON);
    const one = graph.constant(1);
    const right = graph.multiply(labels, graph.unary('log', p));
    const wrong = graph.multiply(graph.subtract(one, labels), graph.unary('log', graph.subtract(one, p)));
    return graph.unary('negate', graph.add(right, wrong));
  },
  'mean-squared-error': (graph, output, labels) => {
    const error = graph.subtract(output, labels);
    return graph.multiply(error, error);
  },
  'mean-absolute-error': (graph, output, labels) => graph.unary('abs', graph.subtract(output, labels)),
  huber: (graph, output, labels) => {
    const error = graph.unary('abs', graph.subtract(output, labels));
    const square = graph.binary('minimum', error, graph.constant(HUBER_DELTA));
    const linear = graph.subtract(error, square);
    return graph.add(graph.scale(graph.multiply(square, square), 0.5), graph.scale(linear, HUBER_DELTA));
  },
};

/** From logits when the output is a softmax; otherwise the output is scaled to sum to 1 first. [..., 1] */
function categorical(graph: Graph, output: Value, target: Value): Value {
  const shape = [...output.shape.slice(0, -1), 1];
  if (output.operator.kind === 'softmax')
    return graph.push({ kind: 'softmax-crossentropy' }, [output.inputs[0]!, output, target], shape);
  const last = [output.shape.length - 1];
  const p = graph.clip(graph.divide(output, graph.sum(output, last)), EPSILON, 1 - EPSILON);
  return graph.unary('negate', graph.sum(graph.multiply(target, graph.unary('log', p)), last));
}

/** Whether accuracy means anything for an output of this shape. */
export function classifies(loss: LossName, output: Shape): boolean {
  const regression = loss === 'mean-squared-error' || loss === 'mean-absolute-error' || loss === 'huber';
  return !regression && sizeOf(output.slice(1)) > 1;
}
