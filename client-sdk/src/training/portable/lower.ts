/** Operators of a plan as instructions: one rule each. Reshapes and contiguous slices cost nothing, they are places in a buffer. */
import { constantOf } from '../plan/graph.ts';
import { sameShape, sizeOf } from '../plan/operators.ts';
import type { BinaryFunction, OperatorKind, Shape, UnaryFunction, Value } from '../plan/operators.ts';
import { imageRules } from './lower-images.ts';
import { move, placeOf, steps } from './lowering.ts';
import type { Context, Lowering, LoweringRule, Site } from './lowering.ts';
import { CODE } from './program.ts';
import type { Place } from './program.ts';

/** In the order of their numbers in `assembly/kernel.ts`. */
const UNARY: readonly UnaryFunction[] = [
  'negate',
  'exp',
  'log',
  'sqrt',
  'reciprocal',
  'tanh',
  'sigmoid',
  'softplus',
  'erf',
  'relu',
  'abs',
  'sign',
  'step',
];
const BINARY: readonly BinaryFunction[] = ['add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum', 'gate'];
const COMMUTES: ReadonlySet<BinaryFunction> = new Set(['add', 'multiply', 'maximum', 'minimum']);

/** Emits the value. */
export function lowerValue(lowering: Lowering, value: Value): void {
  if (lowering.places.has(value) || constantOf(value) !== null) return;
  const { operator, inputs } = value;
  const rule = RULES[operator.kind] as LoweringRule<OperatorKind>;
  lowering.places.set(value, rule({ lowering, program: lowering.program, operator, value, inputs }));
}

/** A value as a tensor of this shape, repeated where its sizes are 1. */
function repeated(lowering: Lowering, value: Value, shape: Shape): Place {
  if (sameShape(value.shape, shape)) return placeOf(lowering, value);
  const target = lowering.program.buffer(sizeOf(shape));
  const from = steps(value.shape).map((step, axis) => (value.shape[axis] === 1 ? 0 : step));
  move(lowering.program, { shape, from, to: steps(shape), source: placeOf(lowering, value), target });
  return target;
}

/** How b repeats beside a whole a: 0 not, 1 a row for all rows, 2 a number for each row, 3 one number; null in some other way. */
function repetition(whole: Shape, part: Shape): { readonly how: 0 | 1 | 2 | 3; readonly width: number } | null {
  if (sameShape(whole, part)) return { how: 0, width: 1 };
  if (sizeOf(part) === 1) return { how: 3, width: 1 };
  const first = part.findIndex((length) => length !== 1);
  const last = part.findLastIndex((length) => length !== 1);
  const within = sameShape(part.slice(first, last + 1), whole.slice(first, last + 1));
  if (within && sizeOf(whole.slice(last + 1)) === 1) return { how: 1, width: sizeOf(part) };
  if (within && sizeOf(whole.slice(0, first)) === 1) return { how: 2, width: sizeOf(whole.slice(last + 1)) };
  return null;
}

function binary({ lowering, program, operator: { of }, value, inputs }: Site<'binary'>): Place {
  const [a, b] = inputs as [Value, Value];
  const { shape } = value;
  const code = BINARY.indexOf(of);
  const output = program.buffer(sizeOf(shape));
  const emit = (how: number, left: Place, right: Place, width: number, input: Place): Place => {
    // A row that lies within the other operand would be written over while it is still read.
    const apart = how === 0 || left.buffer !== right.buffer;
    const takeover = apart ? { input, output } : null;
    program.emit(CODE.binary, [code, how, left, right, output, sizeOf(shape) / width, width], takeover);
    return output;
  };
  const [left, right] = [constantOf(a), constantOf(b)];
  if (right !== null) {
    const whole = repeated(lowering, a, shape);
    return emit(3, whole, program.constant(right), 1, whole);
  }
  if (left !== null) {
    const whole = repeated(lowering, b, shape);
    return emit(4, program.constant(left), whole, 1, whole);
  }
  const swapped = !sameShape(a.shape, shape) && COMMUTES.has(of);
  const [first, second] = swapped ? [b, a] : [a, b];
  const whole = repeated(lowering, first, shape);
  const known = repetition(shape, second.shape);
  if (known !== null) return emit(known.how, whole, placeOf(lowering, second), known.width, whole);
  return emit(0, whole, repeated(lowering, second, shape), 1, whole);
}

function mapped(
  { lowering, program, value, inputs }: Context,
  code: number,
  before: readonly number[],
  after: readonly { real: number }[],
): Place {
  const [source, target] = [placeOf(lowering, inputs[0]!), program.buffer(sizeOf(value.shape))];
  program.emit(code, [...before, source, target, sizeOf(value.shape), ...after], { input: source, output: target });
  return target;
}

/** Axis by axis where they do not lie side by side. */
function reduce({ lowering, program, value, inputs }: Context, axes: readonly number[]): Place {
  let source = placeOf(lowering, inputs[0]!);
  let shape = inputs[0]!.shape;
  for (const [first, last] of neighbours(axes, shape)) {
    const [outers, mid, inners] = [shape.slice(0, first), shape.slice(first, last + 1), shape.slice(last + 1)].map(
      sizeOf,
    );
    const target = program.buffer(outers! * inners!);
    program.emit(CODE.reduce, [value.operator.kind === 'max' ? 1 : 0, source, target, outers!, mid!, inners!]);
    shape = shape.map((length, axis) => (axis >= first && axis <= last ? 1 : length));
    source = target;
  }
  return source;
}

/** Runs of axes with only ones between them, the last first. */
function neighbours(axes: readonly number[], shape: Shape): [number, number][] {
  const sorted = axes.toSorted((a, b) => b - a);
  return sorted.reduce<[number, number][]>((runs, axis) => {
    const run = runs.at(-1);
    if (run !== undefined && sizeOf(shape.slice(axis + 1, run[0])) === 1) {
      run[0] = axis;
      return runs;
    }
    return [...runs, [axis, axis]];
  }, []);
}

function slice({ lowering, program, operator: { begin }, value, inputs }: Site<'slice'>): Place {
  const [x] = inputs as [Value];
  const from = steps(x.shape);
  const { buffer, offset } = placeOf(lowering, x);
  const source = { buffer, offset: offset + 4 * begin.reduce((sum, at, axis) => sum + at * from[axis]!, 0) };
  if (isContiguous(x.shape, value.shape)) return source;
  const target = program.buffer(sizeOf(value.shape));
  move(program, { shape: value.shape, from, to: steps(value.shape), source, target });
  return target;
}

/** Whether a part lies in one piece: whole behind the first axis that is cut, and one index before it. */
function isContiguous(whole: Shape, part: Shape): boolean {
  const cut = part.findLastIndex((length, axis) => length !== whole[axis]);
  return sizeOf(part.slice(0, Math.max(cut, 0))) === 1;
}

const RULES: { readonly [K in OperatorKind]: LoweringRule<K> } = {
  ...imageRules,
  parameter: () => fail('weights have their places before'),
  feature: () => fail('features have their places before'),
  label: () => fail('labels have their places before'),
  constant: () => fail('constants are written where they are used'),
  uniform: ({ lowering, program, operator, value }) => {
    const target = program.buffer(sizeOf(value.shape));
    program.emit(CODE.uniform, [target, sizeOf(value.shape), lowering.noise, operator.stream]);
    return target;
  },
  unary: (site) => mapped(site, CODE.unary, [UNARY.indexOf(site.operator.of)], []),
  binary,
  clip: (site) => mapped(site, CODE.range, [0], [{ real: site.operator.low }, { real: site.operator.high }]),
  within: (site) => mapped(site, CODE.range, [1], [{ real: site.operator.low }, { real: site.operator.high }]),
  matmul: (site) => {
    const target = site.program.buffer(sizeOf(site.value.shape));
    emitMatmul(site.lowering, site.value, target, null);
    return target;
  },
  sum: (site) => reduce(site, site.operator.axes),
  max: (site) => reduce(site, site.operator.axes),
  broadcast: ({ lowering, value, inputs }) => repeated(lowering, inputs[0]!, value.shape),
  reshape: ({ lowering, inputs }) => placeOf(lowering, inputs[0]!),
  transpose: ({ lowering, program, operator: { order }, value, inputs }) => {
    const [x] = inputs as [Value];
    const target = program.buffer(sizeOf(value.shape));
    const own = steps(x.shape);
    const from = order.map((axis) => own[axis]!);
    move(program, { shape: value.shape, from, to: steps(value.shape), source: placeOf(lowering, x), target });
    return target;
  },
  slice,
  pad: ({ lowering, program, operator: { before }, value, inputs }) => {
    const [x] = inputs as [Value];
    const target = program.buffer(sizeOf(value.shape));
    const to = steps(value.shape);
    program.emit(CODE.fill, [target, { real: 0 }, sizeOf(value.shape)]);
    const inside = { buffer: target.buffer, offset: 4 * before.reduce((sum, at, axis) => sum + at * to[axis]!, 0) };
    move(program, { shape: x.shape, from: steps(x.shape), to, source: placeOf(lowering, x), target: inside });
    return target;
  },
  concat: ({ lowering, program, operator: { axis }, value, inputs }) => {
    const target = program.buffer(sizeOf(value.shape));
    const to = steps(value.shape);
    let offset = 0;
    for (const part of inputs) {
      const inside = { buffer: target.buffer, offset: 4 * offset * to[axis]! };
      move(program, {
        shape: part.shape,
        from: steps(part.shape),
        to,
        source: placeOf(lowering, part),
        target: inside,
      });
      offset += part.shape[axis]!;
    }
    return target;
  },
  gather: ({ lowering, program, value, inputs: [table, indices] }) => {
    const [rows, width] = table!.shape as [number, number];
    const target = program.buffer(sizeOf(value.shape));
    const operands = [
      placeOf(lowering, table!),
      placeOf(lowering, indices!),
      target,
      sizeOf(indices!.shape),
      rows,
      width,
    ];
    program.emit(CODE.gather, operands);
    return target;
  },
  scatter: ({ lowering, program, value }) => {
    const target = program.buffer(sizeOf(value.shape));
    program.emit(CODE.fill, [target, { real: 0 }, sizeOf(value.shape)]);
    emitScatter(lowering, value, target, program.constant(1));
    return target;
  },
  'one-hot': ({ lowering, program, value, inputs: [classes] }) => {
    const target = program.buffer(sizeOf(value.shape));
    program.emit(CODE.oneHot, [placeOf(lowering, classes!), target, sizeOf(classes!.shape), value.shape.at(-1)!]);
    return target;
  },
  softmax: ({ lowering, program, value, inputs: [x] }) => {
    const [target, width] = [program.buffer(sizeOf(value.shape)), value.shape.at(-1)!];
    program.emit(CODE.softmax, [placeOf(lowering, x!), target, sizeOf(value.shape) / width, width]);
    return target;
  },
  'softmax-crossentropy': ({ lowering, program, value, inputs: [, p, t] }) => {
    const [target, rows] = [program.buffer(sizeOf(value.shape)), sizeOf(value.shape)];
    program.emit(CODE.crossEntropy, [placeOf(lowering, p!), placeOf(lowering, t!), target, rows, p!.shape.at(-1)!]);
    return target;
  },
  'softmax-crossentropy-input': ({ lowering, program, value, inputs: [p, t] }) => {
    const [target, width] = [program.buffer(sizeOf(value.shape)), value.shape.at(-1)!];
    const operands = [placeOf(lowering, p!), placeOf(lowering, t!), target, sizeOf(value.shape) / width, width];
    program.emit(CODE.crossEntropyInput, operands);
    return target;
  },
  'sigmoid-crossentropy': ({ lowering, program, value, inputs: [, p, t] }) => {
    const target = program.buffer(sizeOf(value.shape));
    program.emit(CODE.binaryCrossEntropy, [placeOf(lowering, p!), placeOf(lowering, t!), target, sizeOf(value.shape)]);
    return target;
  },
};

/** Into `target`, or with `alpha` (a number in memory) added to what is there. */
export function emitMatmul(
  lowering: Lowering,
  { operator, inputs, shape }: Value,
  target: Place,
  alpha: Place | null,
): void {
  if (operator.kind !== 'matmul') throw new TypeError('a product is a matmul');
  const { program } = lowering;
  const [a, b] = inputs as [Value, Value];
  const flags = (operator.transposeA ? 1 : 0) | (operator.transposeB ? 2 : 0) | (alpha === null ? 0 : 4);
  const sizes = [shape.at(-2)!, shape.at(-1)!, a.shape.at(operator.transposeA ? -2 : -1)!];
  const places = [placeOf(lowering, a), placeOf(lowering, b), target];
  program.emit(CODE.matmul, [flags, ...sizes, ...places, sizeOf(shape.slice(0, -2)), alpha ?? program.constant(1)]);
}

/** Rows added where their indices say, times a number in memory. */
export function emitScatter(lowering: Lowering, { inputs, shape }: Value, target: Place, alpha: Place): void {
  const [indices, rows] = inputs as [Value, Value];
  const [length, width] = shape as [number, number];
  const operands = [target, placeOf(lowering, indices), placeOf(lowering, rows), sizeOf(indices.shape), length, width];
  lowering.program.emit(CODE.scatter, [...operands, alpha]);
}

function fail(why: string): never {
  throw new RangeError(why);
}
