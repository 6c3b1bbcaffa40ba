/** Reverse-mode differentiation: the graph grows by the gradients of one value by others. One rule for each operator. */
import type { Graph } from './graph.ts';
import { EPSILON } from './operators.ts';
import type { BinaryFunction, Operator, OperatorKind, Shape, UnaryFunction, Value } from './operators.ts';

interface Site<K extends OperatorKind> {
  readonly graph: Graph;
  readonly operator: Extract<Operator, { kind: K }>;
  readonly inputs: readonly Value[];
  readonly value: Value;
  /** The gradient by the value: of its shape. */
  readonly by: Value;
}

/** Gradients by the inputs, in their order; null for one that has none or takes no part. */
type Rule<K extends OperatorKind> = (site: Site<K>) => readonly (Value | null)[];

/**
 * Gradients of `of`, a single number, by each of `by`; zeros for a value that it does not depend on. Only what leads to `by` is
 * differentiated.
 */
export function gradients(graph: Graph, of: Value, by: readonly Value[]): Value[] {
  const parts = new Map<Value, Value[]>();
  propagate(graph, of, by, (value, _total, found) =>
    found.forEach((gradient, at) => {
      if (gradient === null) return;
      const input = value.inputs[at]!;
      parts.set(input, [...(parts.get(input) ?? []), gradient]);
    }),
  );
  return by.map((value) => accumulated(graph, parts.get(value) ?? [graph.constant(0, value.shape)]));
}

/** Gradients by the inputs of a value from the one by itself, by its operator's rule. */
export function inputGradients(graph: Graph, value: Value, by: Value): readonly (Value | null)[] {
  const { operator, inputs } = value;
  const rule = RULES[operator.kind] as Rule<OperatorKind>;
  return rule({ graph, operator, inputs, value, by });
}

/** Visits every value between `by` and `of`, the last first, with the gradient of `of` by it and by its inputs. */
export function propagate(
  graph: Graph,
  of: Value,
  by: readonly Value[],
  visit: (value: Value, total: Value, inputs: readonly (Value | null)[]) => void,
): void {
  const relevant = dependents(graph, by, of.id);
  const parts = new Map<Value, Value[]>([[of, [graph.constant(1, of.shape)]]]);
  for (let id = of.id; id >= 0; id--) {
    const value = graph.values[id]!;
    const received = parts.get(value);
    if (received === undefined || !relevant.has(value) || value.inputs.length === 0) continue;
    const total = accumulated(graph, received);
    const found = inputGradients(graph, value, total);
    visit(value, total, found);
    found.forEach((gradient, at) => {
      const input = value.inputs[at]!;
      if (gradient !== null && relevant.has(input) && input.inputs.length > 0)
        parts.set(input, [...(parts.get(input) ?? []), gradient]);
    });
  }
}

function dependents(graph: Graph, by: readonly Value[], last: number): Set<Value> {
  const relevant = new Set(by);
  for (const value of graph.values.slice(0, last + 1))
    if (value.inputs.some((input) => relevant.has(input))) relevant.add(value);
  return relevant;
}

/**
 * A sum. Products that share their shape, such as those of a recurrent kernel's steps, become one over all their rows; parts that
 * were cut side by side, such as its gates and steps, are joined instead of added with zeros around them.
 */
export function accumulated(graph: Graph, parts: readonly Value[]): Value {
  const tiled = joinedTiles(graph, parts);
  if (tiled !== null) return tiled;
  const products = parts.filter(isRowProduct);
  const rest = parts.filter((part) => !isRowProduct(part));
  const terms = products.length < 2 ? parts : [...rest, joined(graph, products)];
  return terms.reduce((sum, part) => graph.add(sum, part));
}

/** When the parts are padded pieces that fill the whole along one axis: the pieces one after the other. */
function joinedTiles(graph: Graph, parts: readonly Value[]): Value | null {
  const [first] = parts;
  if (first === undefined || parts.length < 2) return null;
  const tiles = parts.flatMap(({ operator, inputs: [piece] }) =>
    operator.kind === 'pad' ? [{ before: operator.before, piece: piece! }] : [],
  );
  const axis = tiles[0]?.piece.shape.findIndex((length, at) => length !== first.shape[at]) ?? -1;
  if (tiles.length < parts.length || axis < 0) return null;
  tiles.sort((a, b) => a.before[axis]! - b.before[axis]!);
  let end = 0;
  for (const { before, piece } of tiles) {
    const whole = piece.shape.every((length, at) => at === axis || length === first.shape[at]);
    if (!whole || before[axis] !== end) return null;
    end += piece.shape[axis]!;
  }
  if (end !== first.shape[axis]) return null;
  return graph.concat(
    tiles.map(({ piece }) => piece),
    axis,
  );
}

function isRowProduct({ operator, shape }: Value): boolean {
  return operator.kind === 'matmul' && operator.transposeA && !operator.transposeB && shape.length === 2;
}

function joined(graph: Graph, products: readonly Value[]): Value {
  const side = (at: 0 | 1): Value =>
    graph.concat(
      products.map(({ inputs }) => inputs[at]!),
      0,
    );
  return graph.matmul(side(0), side(1), { transposeA: true });
}

/** The gradient of a repeated value: summed over what was repeated. */
function unbroadcast(graph: Graph, by: Value, shape: Shape): Value {
  const axes = shape.flatMap((length, axis) => (length === 1 && by.shape[axis] !== 1 ? [axis] : []));
  return graph.sum(by, axes);
}

/** Where a largest number is above zero its place is too: pooled gradients are gated while they are small. */
function gated(graph: Graph, by: Value, _x: Value, y: Value): Value {
  const { operator, inputs } = by;
  if (operator.kind !== 'max-pool-input' || inputs[0] !== y) return graph.binary('gate', by, y);
  const [, pooled, dy] = inputs as [Value, Value, Value];
  return graph.push(operator, [y, pooled, graph.binary('gate', dy, pooled)], by.shape);
}

const UNARY: Readonly<Record<UnaryFunction, (graph: Graph, by: Value, x: Value, y: Value) => Value | null>> = {
  negate: (graph, by) => graph.unary('negate', by),
  exp: (graph, by, _x, y) => graph.multiply(by, y),
  log: (graph, by, x) => graph.divide(by, x),
  sqrt: (graph, by, _x, y) => graph.divide(graph.scale(by, 0.5), y),
  reciprocal: (graph, by, _x, y) => graph.unary('negate', graph.multiply(by, graph.multiply(y, y))),
  tanh: (graph, by, _x, y) => graph.multiply(by, graph.subtract(graph.constant(1), graph.multiply(y, y))),
  sigmoid: (graph, by, _x, y) => graph.multiply(by, graph.multiply(y, graph.subtract(graph.constant(1), y))),
  softplus: (graph, by, x) => graph.multiply(by, graph.unary('sigmoid', x)),
  erf: (graph, by, x) => {
    const bell = graph.unary('exp', graph.unary('negate', graph.multiply(x, x)));
    return graph.multiply(by, graph.scale(bell, 2 / Math.sqrt(Math.PI)));
  },
  relu: gated,
  abs: (graph, by, x) => graph.multiply(by, graph.unary('sign', x)),
  sign: () => null,
  step: () => null,
};

type BinaryRule = (graph: Graph, by: Value, a: Value, b: Value) => readonly [Value | null, Value | null];

const BINARY: Readonly<Record<BinaryFunction, BinaryRule>> = {
  add: (_graph, by) => [by, by],
  subtract: (graph, by) => [by, graph.unary('negate', by)],
  multiply: (graph, by, a, b) => [graph.multiply(by, b), graph.multiply(by, a)],
  divide: (graph, by, a, b) => {
    const quotient = graph.divide(by, b);
    return [quotient, graph.unary('negate', graph.divide(graph.multiply(quotient, a), b))];
  },
  // At a tie all of it goes to a, as in tfjs.
  maximum: (graph, by, a, b) => chosen(graph, by, graph.subtract(b, a)),
  minimum: (graph, by, a, b) => chosen(graph, by, graph.subtract(a, b)),
  gate: (graph, by, _a, b) => [graph.binary('gate', by, b), null],
};

/** `by` for the second where `lead` > 0, for the first elsewhere. */
function chosen(graph: Graph, by: Value, lead: Value): readonly [Value, Value] {
  const second = graph.binary('gate', graph.broadcast(by, lead.shape), lead);
  return [graph.subtract(by, second), second];
}

const none = (): readonly null[] => [];

const RULES: { readonly [K in OperatorKind]: Rule<K> } = {
  parameter: none,
  feature: none,
  label: none,
  constant: none,
  uniform: none,
  unary: ({ graph, operator, inputs, value, by }) => [UNARY[operator.of](graph, by, inputs[0]!, value)],
  binary: ({ graph, operator, inputs, by }) => {
    const [a, b] = inputs as [Value, Value];
    const [left, right] = BINARY[operator.of](graph, by, a, b);
    return [left && unbroadcast(graph, left, a.shape), right && unbroadcast(graph, right, b.shape)];
  },
  clip: ({ graph, operator: { low, high }, inputs, by }) => [graph.multiply(by, graph.within(inputs[0]!, low, high))],
  within: () => [null],
  matmul: ({ graph, operator: { transposeA, transposeB }, inputs, by }) => {
    const [a, b] = inputs as [Value, Value];
    const left = transposeA
      ? graph.matmul(b, by, { transposeA: transposeB, transposeB: true })
      : graph.matmul(by, b, { transposeB: !transposeB });
    const right = transposeB
      ? graph.matmul(by, a, { transposeA: true, transposeB: transposeA })
      : graph.matmul(a, by, { transposeA: !transposeA });
    return [left, right];
  },
  sum: ({ graph, inputs, by }) => [graph.broadcast(by, inputs[0]!.shape)],
  max: ({ graph, inputs, value, by }) => {
    const [x] = inputs as [Value];
    const below = graph.unary('step', graph.subtract(value, x));
    return [graph.multiply(by, graph.subtract(graph.constant(1), below))];
  },
  broadcast: ({ graph, inputs, by }) => [unbroadcast(graph, by, inputs[0]!.shape)],
  reshape: ({ graph, inputs, by }) => [graph.reshape(by, inputs[0]!.shape)],
  transpose: ({ graph, operator: { order }, by }) => [
    graph.transpose(
      by,
      order.map((_axis, at) => order.indexOf(at)),
    ),
  ],
  slice: ({ graph, operator: { begin }, inputs, by }) => [graph.pad(by, begin, inputs[0]!.shape)],
  pad: ({ graph, operator: { before }, inputs, by }) => [graph.slice(by, before, inputs[0]!.shape)],
  concat: ({ graph, operator: { axis }, inputs, by }) => {
    let offset = 0;
    return inputs.map(({ shape }) => {
      const begin = shape.map((_length, at) => (at === axis ? offset : 0));
      offset += shape[axis]!;
      return graph.slice(by, begin, shape);
    });
  },
  convolution: ({ graph, operator: { window }, inputs: [x, filter], by }) => [
    graph.push({ kind: 'convolution-input', window }, [by, filter!], x!.shape),
    graph.push({ kind: 'convolution-filter', window }, [x!, by], filter!.shape),
  ],
  'convolution-input': ({ graph, operator: { window }, inputs: [dy, filter], by }) => [
    graph.push({ kind: 'convolution', window }, [by, filter!], dy!.shape),
    graph.push({ kind: 'convolution-filter', window }, [by, dy!], filter!.shape),
  ],
  'convolution-filter': ({ graph, operator: { window }, inputs: [x, dy], by }) => [
    graph.push({ kind: 'convolution-input', window }, [dy!, by], x!.shape),
    graph.push({ kind: 'convolution', window }, [x!, by], dy!.shape),
  ],
  depthwise: ({ graph, operator: { window }, inputs: [x, filter], by }) => [
    graph.push({ kind: 'depthwise-input', window }, [by, filter!], x!.shape),
    graph.push({ kind: 'depthwise-filter', window }, [x!, by], filter!.shape),
  ],
  'depthwise-input': ({ graph, operator: { window }, inputs: [dy, filter], by }) => [
    graph.push({ kind: 'depthwise', window }, [by, filter!], dy!.shape),
    graph.push({ kind: 'depthwise-filter', window }, [by, dy!], filter!.shape),
  ],
  'depthwise-filter': ({ graph, operator: { window }, inputs: [x, dy], by }) => [
    graph.push({ kind: 'depthwise-input', window }, [dy!, by], x!.shape),
    graph.push({ kind: 'depthwise', window }, [x!, by], dy!.shape),
  ],
  'max-pool': ({ graph, operator: { window }, inputs: [x], value, by }) => [
    graph.push({ kind: 'max-pool-input', window }, [x!, value, by], x!.shape),
  ],
  'max-pool-input': () => [null, null, null],
  'average-pool': ({ graph, operator: { window }, inputs: [x], by }) => [
    graph.push({ kind: 'average-pool-input', window }, [by], x!.shape),
  ],
  'average-pool-input': ({ graph, operator: { window }, inputs: [dy], by }) => [
    graph.push({ kind: 'average-pool', window }, [by], dy!.shape),
  ],
  gather: ({ graph, inputs: [table, indices], by }) => [
    graph.push({ kind: 'scatter' }, [indices!, by], table!.shape),
    null,
  ],
  scatter: ({ graph, inputs: [indices, rows], by }) => [
    null,
    graph.push({ kind: 'gather' }, [by, indices!], rows!.shape),
  ],
  'one-hot': () => [null],
  softmax: ({ graph, value, by }) => {
    const weighted = graph.multiply(by, value);
    const total = graph.sum(weighted, [value.shape.length - 1]);
    return [graph.subtract(weighted, graph.multiply(value, total))];
  },
  'softmax-crossentropy': ({ graph, inputs: [logits, p, target], by }) => {
    const local = graph.push({ kind: 'softmax-crossentropy-input' }, [p!, target!], logits!.shape);
    return [graph.multiply(local, by), null, null];
  },
  'softmax-crossentropy-input': () => [null, null],
  'sigmoid-crossentropy': ({ graph, inputs: [, p, target], by }) => {
    const inside = graph.within(p!, EPSILON, 1 - EPSILON);
    return [graph.multiply(by, graph.multiply(inside, graph.subtract(p!, target!))), null, null];
  },
};
