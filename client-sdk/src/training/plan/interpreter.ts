/**
 * What each operator computes, in plain loops: the reference for the back ends, and in binary64 the one for gradients by finite
 * differences. Slow on purpose: nothing here is clever.
 */
import type { Call, Numbers, Operands } from './interpreter-call.ts';
import { imageLoop } from './interpreter-images.ts';
import { EPSILON, sizeOf } from './operators.ts';
import type { BinaryFunction, OperatorKind, Shape, UnaryFunction, Value } from './operators.ts';

export interface Bindings {
  readonly parameters: readonly Numbers[];
  readonly features: readonly Numbers[];
  readonly labels: readonly Numbers[];
  /** Numbers of a stream of uniform values, for the step that is computed. */
  readonly uniform: (stream: number, size: number) => Numbers;
  /** In what precision. */
  readonly numbers: Float32ArrayConstructor | Float64ArrayConstructor;
}

/** Everything that `wanted` depends on; their values, in their order. */
export function interpret(values: readonly Value[], wanted: readonly Value[], bindings: Bindings): Numbers[] {
  const needed = new Set(wanted);
  for (const value of values.toReversed()) if (needed.has(value)) for (const input of value.inputs) needed.add(input);
  const known = new Map<Value, Numbers>();
  for (const value of values) if (needed.has(value)) known.set(value, compute(value, known, bindings));
  return wanted.map((value) => known.get(value)!);
}

function compute(value: Value, known: ReadonlyMap<Value, Numbers>, bindings: Bindings): Numbers {
  const { operator, shape } = value;
  switch (operator.kind) {
    case 'parameter':
      return bindings.parameters[operator.index]!;
    case 'feature':
      return bindings.features[operator.index]!;
    case 'label':
      return bindings.labels[operator.index]!;
    case 'uniform':
      return bindings.uniform(operator.stream, sizeOf(shape));
    default: {
      const output = new bindings.numbers(sizeOf(shape));
      const inputs = value.inputs.map((input) => known.get(input)!);
      const shapes = value.inputs.map((input) => input.shape);
      (COMPUTE[operator.kind] as (call: Call<OperatorKind>) => void)({ operator, inputs, shapes, shape, output });
      return output;
    }
  }
}

const UNARY: Readonly<Record<UnaryFunction, (x: number) => number>> = {
  negate: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  erf,
  relu: (x) => Math.max(x, 0),
  abs: Math.abs,
  sign: Math.sign,
  step: (x) => (x > 0 ? 1 : 0),
};

const BINARY: Readonly<Record<BinaryFunction, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  gate: (a, b) => (b > 0 ? a : 0),
};

/** As in tfjs (Abramowitz and Stegun 1964, 7.1.26): within 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

/** Position in a row-major tensor of `shape` for an index of a larger or equal tensor; sizes of 1 repeat. */
function positionIn(shape: Shape, index: readonly number[]): number {
  return shape.reduce((position, length, axis) => position * length + (length === 1 ? 0 : index[axis]!), 0);
}

/** Every index of a shape, in row-major order. */
function eachIndex(shape: Shape, visit: (index: number[], position: number) => void): void {
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  for (let position = 0; position < size; position++) {
    visit(index, position);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
}

function fold(
  { inputs, shapes, shape, output }: Operands,
  start: number,
  join: (a: number, b: number) => number,
): void {
  // In binary64 whatever the precision, rounded once.
  const sums = new Float64Array(output.length).fill(start);
  eachIndex(shapes[0]!, (index, position) => {
    const at = positionIn(shape, index);
    sums[at] = join(sums[at]!, inputs[0]![position]!);
  });
  output.set(sums);
}

type Compute = {
  readonly [K in Exclude<OperatorKind, 'parameter' | 'feature' | 'label' | 'uniform'>]: (call: Call<K>) => void;
};

const COMPUTE: Compute = {
  ...imageLoop,
  constant: ({ operator, output }) => void output.fill(operator.value),
  unary: ({ operator, inputs: [x], output }) => x!.forEach((value, i) => (output[i] = UNARY[operator.of](value))),
  binary: ({ operator, inputs: [a, b], shapes, shape, output }) =>
    eachIndex(shape, (index, position) => {
      const [left, right] = [a![positionIn(shapes[0]!, index)]!, b![positionIn(shapes[1]!, index)]!];
      output[position] = BINARY[operator.of](left, right);
    }),
  clip: ({ operator: { low, high }, inputs: [x], output }) =>
    x!.forEach((value, i) => (output[i] = Math.min(Math.max(value, low), high))),
  within: ({ operator: { low, high }, inputs: [x], output }) =>
    x!.forEach((value, i) => (output[i] = value >= Math.fround(low) && value <= Math.fround(high) ? 1 : 0)),
  matmul: multiply,
  sum: (call) => fold(call, 0, (a, b) => a + b),
  max: (call) => fold(call, -Infinity, Math.max),
  broadcast: ({ inputs: [x], shapes, shape, output }) =>
    eachIndex(shape, (index, position) => (output[position] = x![positionIn(shapes[0]!, index)]!)),
  reshape: ({ inputs: [x], output }) => output.set(x!),
  transpose: ({ operator: { order }, inputs: [x], shapes, shape, output }) =>
    eachIndex(shape, (index, position) => {
      const source = shapes[0]!.map((_length, axis) => index[order.indexOf(axis)]!);
      output[position] = x![positionIn(shapes[0]!, source)]!;
    }),
  slice: ({ operator: { begin }, inputs: [x], shapes, shape, output }) =>
    eachIndex(shape, (index, position) => {
      const source = index.map((at, axis) => at + begin[axis]!);
      output[position] = x![positionIn(shapes[0]!, source)]!;
    }),
  pad: ({ operator: { before }, inputs: [x], shapes, shape, output }) =>
    eachIndex(shapes[0]!, (index, position) => {
      const target = index.map((at, axis) => at + before[axis]!);
      output[positionIn(shape, target)] = x![position]!;
    }),
  concat: ({ operator: { axis }, inputs, shapes, shape, output }) => {
    let offset = 0;
    inputs.forEach((part, at) => {
      eachIndex(shapes[at]!, (index, position) => {
        const target = index.map((place, of) => (of === axis ? place + offset : place));
        output[positionIn(shape, target)] = part[position]!;
      });
      offset += shapes[at]![axis]!;
    });
  },
  gather: ({ inputs: [table, indices], shapes, output }) => {
    const [rows, width] = shapes[0] as [number, number];
    indices!.forEach((row, at) => {
      if (row >= 0 && row < rows) output.set(table!.subarray(row * width, (row + 1) * width), at * width);
    });
  },
  scatter: ({ inputs: [indices, rows], shape, output }) => {
    const [length, width] = shape as [number, number];
    indices!.forEach((row, at) => {
      if (row < 0 || row >= length) return;
      for (let i = 0; i < width; i++) output[row * width + i]! += rows![at * width + i]!;
    });
  },
  'one-hot': ({ inputs: [classes], shape, output }) => {
    const width = shape.at(-1)!;
    classes!.forEach((of, at) => {
      if (of >= 0 && of < width) output[at * width + Math.floor(of)] = 1;
    });
  },
  softmax: ({ inputs: [x], shape, output }) =>
    eachRow(shape, (from, to) => {
      const row = Array.from(x!.subarray(from, to));
      const largest = Math.max(...row);
      const total = row.reduce((sum, value) => sum + Math.exp(value - largest), 0);
      row.forEach((value, i) => (output[from + i] = Math.exp(value - largest) / total));
    }),
  'softmax-crossentropy': ({ inputs: [logits, p, target], shapes, output }) => {
    if (logits!.length !== p!.length) throw new RangeError('logits and probabilities differ in size');
    eachRow(shapes[1]!, (from, to, row) => {
      let sum = 0;
      for (let i = from; i < to; i++) sum -= target![i]! * Math.log(clipped(p![i]!));
      output[row] = sum;
    });
  },
  'softmax-crossentropy-input': ({ inputs: [p, target], shape, output }) =>
    eachRow(shape, (from, to) => {
      const counted = (i: number): number => (clipped(p![i]!) === p![i]! ? target![i]! : 0);
      let total = 0;
      for (let i = from; i < to; i++) total += counted(i);
      for (let i = from; i < to; i++) output[i] = p![i]! * total - counted(i);
    }),
  'sigmoid-crossentropy': ({ inputs: [, p, target], output }) =>
    p!.forEach((value, i) => {
      const kept = clipped(value);
      output[i] = -(target![i]! * Math.log(kept) + (1 - target![i]!) * Math.log(1 - kept));
    }),
};

function clipped(p: number): number {
  return Math.min(Math.max(p, Math.fround(EPSILON)), Math.fround(1 - EPSILON));
}

function eachRow(shape: Shape, visit: (from: number, to: number, row: number) => void): void {
  const width = shape.at(-1)!;
  for (let row = 0; row < sizeOf(shape) / width; row++) visit(row * width, (row + 1) * width, row);
}

function multiply({
  operator: { transposeA, transposeB },
  inputs: [a, b],
  shapes,
  shape,
  output,
}: Call<'matmul'>): void {
  const [m, n] = [shape.at(-2)!, shape.at(-1)!];
  const k = shapes[0]!.at(transposeA ? -2 : -1)!;
  for (let batch = 0; batch < sizeOf(shape.slice(0, -2)); batch++) {
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const left = a![batch * m * k + (transposeA ? i * m + row : row * k + i)]!;
          sum += left * b![batch * k * n + (transposeB ? column * k + i : i * n + column)]!;
        }
        output[(batch * m + row) * n + column] = sum;
      }
    }
  }
}
