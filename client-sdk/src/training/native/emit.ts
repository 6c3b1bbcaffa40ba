/** Operators of a plan as ONNX nodes: one rule each. */
import { constantOf } from '../plan/graph.ts';
import { EPSILON, sameShape, sizeOf } from '../plan/operators.ts';
import type { BinaryFunction, OperatorKind, Shape, UnaryFunction, Value } from '../plan/operators.ts';
import { imageRules } from './emit-images.ts';
import { inPlanes, planesOf, repeats, rowsOf, sizes, TO_PLANES } from './emission.ts';
import type { Context, Emission, EmissionRule, Site } from './emission.ts';
import type { OnnxGraph } from './onnx.ts';
import { TYPE } from './onnx.ts';

export function emitValue(emission: Emission, value: Value): void {
  if (emission.rows.has(value) || emission.planes.has(value) || constantOf(value) !== null) return;
  const { operator, inputs } = value;
  const rule = RULES[operator.kind] as EmissionRule<OperatorKind>;
  rule({ emission, onnx: emission.onnx, operator, value, inputs });
}

const UNARY: Readonly<Record<Exclude<UnaryFunction, 'step'>, string>> = {
  negate: 'Neg',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  reciprocal: 'Reciprocal',
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
  softplus: 'Softplus',
  erf: 'Erf',
  relu: 'Relu',
  abs: 'Abs',
  sign: 'Sign',
};

const BINARY: Readonly<Record<Exclude<BinaryFunction, 'gate'>, string>> = {
  add: 'Add',
  subtract: 'Sub',
  multiply: 'Mul',
  divide: 'Div',
  maximum: 'Max',
  minimum: 'Min',
};

function unary(onnx: OnnxGraph, of: UnaryFunction, x: string): string {
  return of === 'step' ? positive(onnx, x) : onnx.node(UNARY[of], [x]);
}

/** 1 where x > 0, else 0. */
function positive(onnx: OnnxGraph, x: string): string {
  return onnx.node('Cast', [onnx.node('Greater', [x, onnx.scalar(0)])], { to: TYPE.float });
}

function binary(onnx: OnnxGraph, of: BinaryFunction, a: string, b: string, isRelu: boolean): string {
  if (of !== 'gate') return onnx.node(BINARY[of], [a, b]);
  // Of what is never negative the sign is the step, and one node.
  return onnx.node('Mul', [a, isRelu ? onnx.node('Sign', [b]) : positive(onnx, b)]);
}

/** An operand beside one in planes: one number, or one for each channel, or in planes too. */
function besidePlanes(emission: Emission, value: Value): string {
  const { onnx } = emission;
  const number = constantOf(value);
  if (number !== null) return onnx.scalar(number);
  if (sizeOf(value.shape) === 1 || emission.planes.has(value)) return planesOf(emission, value);
  return sizeOf(value.shape) === value.shape[3]
    ? onnx.node('Reshape', [rowsOf(emission, value), onnx.ints([1, value.shape[3], 1, 1])])
    : planesOf(emission, value);
}

/** Into the order that the inputs are in. */
function elementwise({ emission, value, inputs }: Context, apply: (names: readonly string[]) => string): void {
  const planes =
    value.shape.length === 4 &&
    inputs.some((input) => sameShape(input.shape, value.shape) && inPlanes(emission, input));
  if (planes) emission.planes.set(value, apply(inputs.map((input) => besidePlanes(emission, input))));
  else emission.rows.set(value, apply(inputs.map((input) => operand(emission, input))));
}

/** A constant takes part as one number, whatever its shape. */
function operand(emission: Emission, value: Value): string {
  const number = constantOf(value);
  if (number !== null) return emission.onnx.scalar(number);
  // Sizes of 1 in front are understood.
  const [source] = value.inputs;
  const fronted =
    value.operator.kind === 'reshape' &&
    sameShape(value.shape.slice(-source!.shape.length || value.shape.length), source!.shape);
  return rowsOf(emission, fronted && source!.operator.kind === 'parameter' ? source! : value);
}

/** Whether two lists of sizes are one when a constant was taken as one number. */
function shaped(emission: Emission, name: string, value: Value): string {
  const { onnx } = emission;
  const whole = value.inputs.some((input) => constantOf(input) === null && sameShape(input.shape, value.shape));
  const repeated = value.inputs.filter((input) => constantOf(input) !== null).some((input) => sizeOf(input.shape) > 1);
  if (whole || !repeated) return name;
  const from = value.inputs.find((input) => constantOf(input) === null)?.shape ?? [];
  return onnx.node('Expand', [name, onnx.ints(repeats(emission, from, value.shape))]);
}

function isRelu(value: Value): boolean {
  return value.operator.kind === 'unary' && value.operator.of === 'relu';
}

/** @param into the value that is recorded: the sum itself, or a reshape of it that only leaves out ones */
function reduce({ emission, onnx, value, inputs: [x] }: Context, axes: readonly number[], into: Value = value): void {
  const planes = inPlanes(emission, x!) && sizeOf(value.shape) === value.shape[3];
  const name = planes ? planesOf(emission, x!) : rowsOf(emission, x!);
  const along = planes ? axes.map((axis) => TO_PLANES.indexOf(axis)) : axes;
  const plain = into.shape.length === value.shape.length - along.length;
  const keepdims = plain ? 0 : 1;
  // Over the axes as an input for sums, as an attribute for the largest: the operator set has them so.
  const result =
    value.operator.kind === 'max'
      ? onnx.node('ReduceMax', [name], { axes: along, keepdims })
      : onnx.node('ReduceSum', [name, onnx.ints(along)], { keepdims });
  const done = plain || (!planes && into === value);
  emission.rows.set(into, done ? result : onnx.node('Reshape', [result, onnx.ints(sizes(emission, into.shape))]));
}

function matmul({ emission, onnx, operator: { transposeA, transposeB }, value, inputs: [a, b] }: Site<'matmul'>): void {
  const [left, right] = [rowsOf(emission, a!), rowsOf(emission, b!)];
  if (value.shape.length === 2) {
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
    emission.rows.set(value, onnx.node('Gemm', [left, right], attributes));
    return;
  }
  const turned = (name: string, rank: number, turn: boolean): string =>
    turn ? onnx.node('Transpose', [name], { perm: swapLast(rank) }) : name;
  const rank = value.shape.length;
  const operands = [turned(left, rank, transposeA), turned(right, rank, transposeB)];
  emission.rows.set(value, onnx.node('MatMul', operands));
}

function swapLast(rank: number): number[] {
  return [...Array.from({ length: rank - 2 }, (_value, axis) => axis), rank - 1, rank - 2];
}

/** Whole numbers as ONNX wants indices. */
function whole(emission: Emission, value: Value): string {
  return emission.onnx.node('Cast', [rowsOf(emission, value)], { to: TYPE.int64 });
}

function zeros(onnx: OnnxGraph, shape: Shape): string {
  return onnx.node('ConstantOfShape', [onnx.ints(shape)]);
}

/** Rows added to `table` where their indices say. */
export function scattered(
  emission: Emission,
  { inputs: [indices, rows], shape }: Value,
  table: string,
  by: string | null,
): string {
  const { onnx } = emission;
  const count = sizeOf(indices!.shape);
  const at = onnx.node('Reshape', [whole(emission, indices!), onnx.ints([count, 1])]);
  const flat = onnx.node('Reshape', [rowsOf(emission, rows!), onnx.ints([count, shape[1]!])]);
  const updates = by === null ? flat : onnx.node('Mul', [flat, by]);
  return onnx.node('ScatterND', [table, at, updates], { reduction: 'add' });
}

const clipped = (onnx: OnnxGraph, x: string): string =>
  onnx.node('Clip', [x, onnx.scalar(EPSILON), onnx.scalar(1 - EPSILON)]);

function within(onnx: OnnxGraph, x: string, low: number, high: number): string {
  const above = onnx.node('GreaterOrEqual', [x, onnx.scalar(low)]);
  const below = onnx.node('LessOrEqual', [x, onnx.scalar(high)]);
  return onnx.node('Cast', [onnx.node('And', [above, below])], { to: TYPE.float });
}

/** Rules whose inputs and output are in the plan's order. */
function inRows<K extends OperatorKind>(make: (site: Site<K>, names: readonly string[]) => string): EmissionRule<K> {
  return (site) => {
    const names = site.inputs.map((input) => rowsOf(site.emission, input));
    site.emission.rows.set(site.value, make(site, names));
  };
}

const RULES: { readonly [K in OperatorKind]: EmissionRule<K> } = {
  ...imageRules,
  parameter: () => fail('weights have their names before'),
  feature: () => fail('features have their names before'),
  label: () => fail('labels have their names before'),
  constant: () => fail('constants are written where they are used'),
  uniform: () => fail('noise has its name before'),
  unary: (site) => elementwise(site, ([x]) => unary(site.onnx, site.operator.of, x!)),
  binary: (site) => {
    const [, b] = site.inputs as [Value, Value];
    elementwise(site, ([left, right]) => {
      const name = binary(site.onnx, site.operator.of, left!, right!, isRelu(b));
      return shaped(site.emission, name, site.value);
    });
  },
  clip: (site) =>
    elementwise(site, ([x]) =>
      site.onnx.node('Clip', [x!, site.onnx.scalar(site.operator.low), site.onnx.scalar(site.operator.high)]),
    ),
  within: (site) => elementwise(site, ([x]) => within(site.onnx, x!, site.operator.low, site.operator.high)),
  matmul,
  sum: (site) => reduce(site, site.operator.axes),
  max: (site) => reduce(site, site.operator.axes),
  broadcast: inRows(({ emission, onnx, value, inputs: [source] }, [x]) =>
    onnx.node('Expand', [x!, onnx.ints(repeats(emission, source!.shape, value.shape))]),
  ),
  reshape: (site) => {
    const { emission, onnx, value, inputs } = site;
    const [source] = inputs as [Value];
    // Its ones in front are left out by the sum itself: a bias' gradient is one node.
    if (source.operator.kind === 'sum' && value.shape.length === 1 && source.shape.at(-1) === value.shape[0]) {
      reduce({ emission, onnx, value: source, inputs: source.inputs }, source.operator.axes, value);
      return;
    }
    emission.rows.set(value, onnx.node('Reshape', [rowsOf(emission, source), onnx.ints(sizes(emission, value.shape))]));
  },
  transpose: inRows(({ onnx, operator: { order } }, [x]) => onnx.node('Transpose', [x!], { perm: order })),
  slice: inRows(({ onnx, operator: { begin }, value, inputs: [source] }, [x]) => {
    const cut = begin.flatMap((at, axis) => (at > 0 || value.shape[axis] !== source!.shape[axis] ? [axis] : []));
    const from = onnx.ints(cut.map((axis) => begin[axis]!));
    const to = onnx.ints(cut.map((axis) => begin[axis]! + value.shape[axis]!));
    return onnx.node('Slice', [x!, from, to, onnx.ints(cut)]);
  }),
  pad: inRows(({ onnx, operator: { before }, value, inputs: [source] }, [x]) => {
    const after = before.map((at, axis) => value.shape[axis]! - at - source!.shape[axis]!);
    return onnx.node('Pad', [x!, onnx.ints([...before, ...after])]);
  }),
  concat: inRows(({ onnx, operator: { axis } }, names) => onnx.node('Concat', names, { axis })),
  gather: ({ emission, onnx, value, inputs: [table, indices] }) =>
    emission.rows.set(value, onnx.node('Gather', [rowsOf(emission, table!), whole(emission, indices!)], { axis: 0 })),
  scatter: ({ emission, onnx, value }) =>
    emission.rows.set(value, scattered(emission, value, zeros(onnx, value.shape), null)),
  'one-hot': ({ emission, onnx, value, inputs: [classes] }) => {
    const operands = [whole(emission, classes!), onnx.ints([value.shape.at(-1)!]), onnx.float([0, 1], [2])];
    emission.rows.set(value, onnx.node('OneHot', operands, { axis: -1 }));
  },
  softmax: inRows(({ onnx }, [x]) => onnx.node('Softmax', [x!], { axis: -1 })),
  'softmax-crossentropy': inRows(({ onnx, value }, [, p, t]) => {
    const terms = onnx.node('Mul', [t!, onnx.node('Log', [clipped(onnx, p!)])]);
    return onnx.node('Neg', [onnx.node('ReduceSum', [terms, onnx.ints([value.shape.length - 1])], { keepdims: 1 })]);
  }),
  'softmax-crossentropy-input': inRows(({ onnx, value }, [p, t]) => {
    const kept = onnx.node('Cast', [onnx.node('Equal', [clipped(onnx, p!), p!])], { to: TYPE.float });
    const counted = onnx.node('Mul', [t!, kept]);
    const total = onnx.node('ReduceSum', [counted, onnx.ints([value.shape.length - 1])], { keepdims: 1 });
    return onnx.node('Sub', [onnx.node('Mul', [p!, total]), counted]);
  }),
  'sigmoid-crossentropy': inRows(({ onnx }, [, p, t]) => {
    const kept = clipped(onnx, p!);
    const one = onnx.scalar(1);
    const right = onnx.node('Mul', [t!, onnx.node('Log', [kept])]);
    const wrong = onnx.node('Mul', [onnx.node('Sub', [one, t!]), onnx.node('Log', [onnx.node('Sub', [one, kept])])]);
    return onnx.node('Neg', [onnx.node('Add', [right, wrong])]);
  }),
};

function fail(why: string): never {
  throw new RangeError(why);
}
