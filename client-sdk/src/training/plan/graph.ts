/** Builds a graph: shapes are inferred and checked here, and what is known beforehand is folded. */
import { sameShape, sizeOf } from './operators.ts';
import type { BinaryFunction, Operator, Shape, UnaryFunction, Value, Window } from './operators.ts';

const FOLDED: Readonly<Record<BinaryFunction, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  gate: (a, b) => (b > 0 ? a : 0),
};

export class Graph {
  readonly values: Value[] = [];
  #streams = 0;

  push(operator: Operator, inputs: readonly Value[], shape: Shape): Value {
    const value = { id: this.values.length, operator, inputs, shape };
    this.values.push(value);
    return value;
  }

  parameter(index: number, shape: Shape): Value {
    return this.push({ kind: 'parameter', index }, [], shape);
  }

  feature(index: number, shape: Shape): Value {
    return this.push({ kind: 'feature', index }, [], shape);
  }

  label(index: number, shape: Shape): Value {
    return this.push({ kind: 'label', index }, [], shape);
  }

  constant(value: number, shape: Shape = []): Value {
    return this.push({ kind: 'constant', value }, [], shape);
  }

  uniform(shape: Shape): Value {
    return this.push({ kind: 'uniform', stream: this.#streams++ }, [], shape);
  }

  unary(of: UnaryFunction, x: Value): Value {
    return this.push({ kind: 'unary', of }, [x], x.shape);
  }

  binary(of: BinaryFunction, a: Value, b: Value): Value {
    const shape = broadcastShape(a.shape, b.shape);
    const [left, right] = [constantOf(a), constantOf(b)];
    if (left !== null && right !== null) return this.constant(FOLDED[of](left, right), shape);
    if (isNeutral(of, right) && sameShape(a.shape, shape)) return a;
    if (isNeutral(of, left) && (of === 'add' || of === 'multiply') && sameShape(b.shape, shape)) return b;
    return this.push({ kind: 'binary', of }, [this.aligned(a, shape), this.aligned(b, shape)], shape);
  }

  add(a: Value, b: Value): Value {
    return this.binary('add', a, b);
  }

  subtract(a: Value, b: Value): Value {
    return this.binary('subtract', a, b);
  }

  multiply(a: Value, b: Value): Value {
    return this.binary('multiply', a, b);
  }

  divide(a: Value, b: Value): Value {
    return this.binary('divide', a, b);
  }

  scale(x: Value, by: number): Value {
    return this.multiply(x, this.constant(by));
  }

  offset(x: Value, by: number): Value {
    return this.add(x, this.constant(by));
  }

  clip(x: Value, low: number, high: number): Value {
    return this.push({ kind: 'clip', low, high }, [x], x.shape);
  }

  within(x: Value, low: number, high: number): Value {
    return this.push({ kind: 'within', low, high }, [x], x.shape);
  }

  matmul(
    a: Value,
    b: Value,
    { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
  ): Value {
    const [m, k] = lastTwo(a.shape, transposeA);
    const [inner, n] = lastTwo(b.shape, transposeB);
    if (k !== inner || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)))
      throw new RangeError(`[${a.shape.join()}] and [${b.shape.join()}] cannot be multiplied`);
    return this.push({ kind: 'matmul', transposeA, transposeB }, [a, b], [...a.shape.slice(0, -2), m, n]);
  }

  /** Sizes of the axes become 1. */
  sum(x: Value, axes: readonly number[]): Value {
    const summed = axes.filter((axis) => x.shape[axis] !== 1);
    return summed.length === 0 ? x : this.push({ kind: 'sum', axes: summed }, [x], reduced(x.shape, summed));
  }

  max(x: Value, axes: readonly number[]): Value {
    return this.push({ kind: 'max', axes }, [x], reduced(x.shape, axes));
  }

  mean(x: Value, axes: readonly number[]): Value {
    return this.scale(this.sum(x, axes), 1 / axes.reduce((count, axis) => count * x.shape[axis]!, 1));
  }

  broadcast(x: Value, shape: Shape): Value {
    const value = constantOf(x);
    if (value !== null) return this.constant(value, shape);
    if (sameShape(x.shape, shape)) return x;
    return this.push({ kind: 'broadcast' }, [this.aligned(x, shape)], shape);
  }

  reshape(x: Value, shape: Shape): Value {
    if (sizeOf(x.shape) !== sizeOf(shape))
      throw new RangeError(`[${x.shape.join()}] cannot be seen as [${shape.join()}]`);
    const value = constantOf(x);
    if (value !== null) return this.constant(value, shape);
    const source = x.operator.kind === 'reshape' ? x.inputs[0]! : x;
    return sameShape(source.shape, shape) ? source : this.push({ kind: 'reshape' }, [source], shape);
  }

  transpose(x: Value, order: readonly number[]): Value {
    if (order.every((axis, at) => axis === at)) return x;
    return this.push(
      { kind: 'transpose', order },
      [x],
      order.map((axis) => x.shape[axis]!),
    );
  }

  slice(x: Value, begin: readonly number[], shape: Shape): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.push({ kind: 'slice', begin }, [x], shape);
  }

  /** One index of an axis, which goes. */
  at(x: Value, axis: number, index: number): Value {
    const begin = x.shape.map((_length, at) => (at === axis ? index : 0));
    const sliced = this.slice(
      x,
      begin,
      x.shape.map((length, at) => (at === axis ? 1 : length)),
    );
    return this.reshape(
      sliced,
      x.shape.filter((_length, at) => at !== axis),
    );
  }

  pad(x: Value, before: readonly number[], shape: Shape): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.push({ kind: 'pad', before }, [x], shape);
  }

  concat(parts: readonly Value[], axis: number): Value {
    const [first] = parts;
    if (first === undefined) throw new RangeError('nothing to join');
    if (parts.length === 1) return first;
    const length = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return this.push(
      { kind: 'concat', axis },
      parts,
      first.shape.map((own, at) => (at === axis ? length : own)),
    );
  }

  convolution(x: Value, filter: Value, window: Window): Value {
    return this.push({ kind: 'convolution', window }, [x, filter], slid(x.shape, window, filter.shape[3]!));
  }

  depthwise(x: Value, filter: Value, window: Window): Value {
    const channels = filter.shape[2]! * filter.shape[3]!;
    return this.push({ kind: 'depthwise', window }, [x, filter], slid(x.shape, window, channels));
  }

  pool(kind: 'max-pool' | 'average-pool', x: Value, window: Window): Value {
    return this.push({ kind, window }, [x], slid(x.shape, window, x.shape[3]!));
  }

  softmax(x: Value): Value {
    return this.push({ kind: 'softmax' }, [x], x.shape);
  }

  /** With leading sizes of 1, so that it has the rank of `shape`. */
  aligned(x: Value, shape: Shape): Value {
    const missing = shape.length - x.shape.length;
    return missing <= 0 ? x : this.reshape(x, [...Array<number>(missing).fill(1), ...x.shape]);
  }
}

export function constantOf({ operator }: Value): number | null {
  return operator.kind === 'constant' ? operator.value : null;
}

/** Shapes aligned at their ends; sizes of 1 repeat. */
export function broadcastShape(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_value, at) => {
    const [left, right] = [a[a.length - rank + at] ?? 1, b[b.length - rank + at] ?? 1];
    if (left !== right && left !== 1 && right !== 1)
      throw new RangeError(`[${a.join()}] and [${b.join()}] do not go together`);
    return left === 1 ? right : left;
  });
}

/** Whether this value on the right (and for sums and products on the left) changes nothing. */
function isNeutral(of: BinaryFunction, value: number | null): boolean {
  if (of === 'add' || of === 'subtract') return value === 0;
  return (of === 'multiply' || of === 'divide') && value === 1;
}

function lastTwo(shape: Shape, transposed: boolean): readonly [number, number] {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

function reduced(shape: Shape, axes: readonly number[]): Shape {
  return shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
}

function slid(shape: Shape, window: Window, channels: number): Shape {
  const [batch, height, width] = shape as [number, number, number];
  const { size, strides, dilations, padding } = window;
  const along = (length: number, axis: 0 | 1): number =>
    Math.floor((length + padding[axis] + padding[axis + 2]! - dilations[axis] * (size[axis] - 1) - 1) / strides[axis]) +
    1;
  return [batch, along(height, 0), along(width, 1), channels];
}
