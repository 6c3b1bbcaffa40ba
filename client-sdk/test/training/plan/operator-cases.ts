/** One case or more for each operator: shapes of its inputs and where their numbers lie, far from the edges where derivatives jump. */
import { uniformInteger } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { Graph } from '../../../src/training/plan/graph.ts';
import { sizeOf } from '../../../src/training/plan/operators.ts';
import type { Shape, Value, Window } from '../../../src/training/plan/operators.ts';

export interface OperatorCase {
  readonly name: string;
  readonly shapes: readonly Shape[];
  readonly build: (graph: Graph, ...inputs: Value[]) => Value;
  /** Numbers of an input, from ones in [-1, 1); as they are where nothing is said. */
  readonly domain?: (value: number, input: number, place: number) => number;
  /** Inputs by which nothing is differentiated: indices, targets. */
  readonly fixed?: readonly number[];
}

const positive = (value: number): number => 1.2 + value;
/** Away from zero. */
const apart = (value: number): number => (Math.abs(value) < 0.1 ? value + 0.3 : value);
const window = (
  size: readonly [number, number],
  strides: readonly [number, number] = [1, 1],
  dilations: readonly [number, number] = [1, 1],
  padding: Window['padding'] = [0, 0, 0, 0],
): Window => ({ size, strides, dilations, padding });

const WINDOWS: readonly (readonly [string, Window])[] = [
  ['3x3', window([3, 3])],
  ['3x2 with zeros around', window([3, 2], [1, 1], [1, 1], [1, 0, 1, 1])],
  ['2x3 by 2 and 1', window([2, 3], [2, 1], [1, 1], [0, 1, 1, 1])],
  ['3x3 by 3 and 2', window([3, 3], [3, 2], [1, 1], [1, 1, 0, 1])],
  ['2x3 spread by 2 and 1', window([2, 3], [1, 1], [2, 1], [1, 1, 1, 1])],
  ['2x2 spread by 2 and 2', window([2, 2], [1, 1], [2, 2], [1, 1, 1, 1])],
];

const unary = (of: 'negate' | 'exp' | 'tanh' | 'sigmoid' | 'softplus', shape: Shape = [3, 5]): OperatorCase => ({
  name: of,
  shapes: [shape],
  build: (graph, x) => graph.unary(of, x),
});

function binaries(of: 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'minimum' | 'gate'): OperatorCase[] {
  const pairs: [Shape, Shape][] = [
    [
      [4, 6],
      [4, 6],
    ],
    [[4, 6], [6]],
    [
      [3, 4, 2],
      [3, 1, 1],
    ],
    [
      [2, 1, 3],
      [2, 4, 3],
    ],
    [
      [3, 5],
      [1, 1],
    ],
    [[1], [4, 3]],
    [[7], [3, 1]],
    [
      [2, 3, 4, 5],
      [1, 3, 4, 1],
    ],
  ];
  return pairs.map((shapes) => ({
    name: `${of} of [${shapes.join('] and [')}]`,
    shapes,
    build: (graph, a, b) => graph.binary(of, a, b),
    domain: (value, input) => apart(input === 1 && of === 'divide' ? positive(value) : value),
  }));
}

function convolutions(): OperatorCase[] {
  return WINDOWS.flatMap(([name, over]) =>
    [1, 4, 5].flatMap((channels) => {
      const image = [2, 7, 6, channels] as const;
      const filter = [...over.size, channels, 3] as const;
      const depth = [...over.size, channels, 2] as const;
      const single = [...over.size, channels, 1] as const;
      const slid = (graph: Graph): Shape =>
        graph.convolution(graph.feature(9, image), graph.feature(9, filter), over).shape;
      const rows = slid(new Graph());
      return [
        {
          name: `convolution ${name} of ${channels} channels`,
          shapes: [image, filter],
          build: (graph, x, w) => graph.convolution(x, w, over),
        },
        {
          name: `transposed convolution ${name} of ${channels} channels`,
          shapes: [rows, filter],
          build: (graph, dy, w) => graph.push({ kind: 'convolution-input', window: over }, [dy, w], image),
        },
        {
          name: `filter gradient ${name} of ${channels} channels`,
          shapes: [image, rows],
          build: (graph, x, dy) => graph.push({ kind: 'convolution-filter', window: over }, [x, dy], filter),
        },
        {
          name: `depthwise ${name} of ${channels} channels`,
          shapes: [image, depth],
          build: (graph, x, w) => graph.depthwise(x, w, over),
        },
        {
          name: `depthwise ${name} of ${channels} channels, one filter each`,
          shapes: [image, single],
          build: (graph, x, w) => graph.depthwise(x, w, over),
        },
        {
          name: `depthwise input ${name} of ${channels} channels`,
          shapes: [[2, rows[1]!, rows[2]!, 2 * channels], depth],
          build: (graph, dy, w) => graph.push({ kind: 'depthwise-input', window: over }, [dy, w], image),
        },
        {
          name: `depthwise filter ${name} of ${channels} channels`,
          shapes: [image, [2, rows[1]!, rows[2]!, 2 * channels]],
          build: (graph, x, dy) => graph.push({ kind: 'depthwise-filter', window: over }, [x, dy], depth),
        },
        ...(['max-pool', 'average-pool'] as const).map((kind) => ({
          name: `${kind} ${name} of ${channels} channels`,
          shapes: [image],
          build: (graph: Graph, x: Value) => graph.pool(kind, x, { ...over, dilations: [1, 1] }),
          // No two alike: the largest stays the largest when one of them moves a little.
          domain: (_value: number, _input: number, place: number) => ((place * 7919) % 1013) / 506 - 1,
        })),
        {
          name: `average-pool gradient ${name} of ${channels} channels`,
          shapes: [
            new Graph().pool('average-pool', new Graph().feature(0, image), { ...over, dilations: [1, 1] }).shape,
          ],
          build: (graph: Graph, dy: Value) =>
            graph.push({ kind: 'average-pool-input', window: { ...over, dilations: [1, 1] } }, [dy], image),
        },
      ] satisfies OperatorCase[];
    }),
  );
}

function products(): OperatorCase[] {
  return [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) =>
      [
        [[], 5, 7, 3],
        [[], 10, 9, 17],
        [[], 1, 4, 8],
        [[3], 4, 2, 9],
        [[2, 2], 3, 5, 2],
      ].map(([batch, m, k, n]) => {
        const [a, b] = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]] as number[][];
        const lead = batch as number[];
        return {
          name: `product [${lead.join()}] ${m as number}x${k as number}x${n as number} ${transposeA}${transposeB}`,
          shapes: [
            [...lead, ...a!],
            [...lead, ...b!],
          ],
          build: (graph: Graph, left: Value, right: Value) => graph.matmul(left, right, { transposeA, transposeB }),
        };
      }),
    ),
  );
}

const indices =
  (count: number) =>
  (value: number, input: number): number =>
    input === 0 ? Math.floor(((value + 1) / 2) * count) : value;

export const OPERATOR_CASES: readonly OperatorCase[] = [
  unary('negate'),
  unary('exp', [11]),
  unary('tanh'),
  unary('sigmoid'),
  unary('softplus'),
  ...(['log', 'sqrt', 'reciprocal'] as const).map((of) => ({
    name: of,
    shapes: [[13]],
    build: (graph: Graph, x: Value) => graph.unary(of, x),
    domain: positive,
  })),
  ...(['relu', 'abs', 'sign', 'step'] as const).map((of) => ({
    name: of,
    shapes: [[3, 7]],
    build: (graph: Graph, x: Value) => graph.unary(of, x),
    domain: apart,
  })),
  ...(['add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum', 'gate'] as const).flatMap(binaries),
  { name: 'one minus', shapes: [[9]], build: (graph, x) => graph.subtract(graph.constant(1), x) },
  { name: 'repeated one minus', shapes: [[1, 3]], build: (graph, x) => graph.subtract(graph.constant(1, [4, 3]), x) },
  {
    name: 'clip',
    shapes: [[21]],
    build: (graph, x) => graph.clip(x, -0.5, 0.5),
    domain: (v) => (Math.abs(Math.abs(v) - 0.5) < 0.01 ? 0 : v),
  },
  {
    name: 'within',
    shapes: [[21]],
    build: (graph, x) => graph.within(x, -0.5, 0.5),
    domain: (v) => (Math.abs(Math.abs(v) - 0.5) < 0.01 ? 0 : v),
  },
  ...products(),
  ...[[0], [1], [2], [3], [0, 1], [1, 2], [0, 2], [1, 3], [0, 1, 2, 3]].flatMap((axes) => [
    { name: `sum over ${axes.join()}`, shapes: [[3, 2, 4, 5]], build: (graph: Graph, x: Value) => graph.sum(x, axes) },
    {
      name: `max over ${axes.join()}`,
      shapes: [[3, 2, 4, 5]],
      build: (graph: Graph, x: Value) => graph.max(x, axes),
      domain: (_value: number, _input: number, place: number) => ((place * 7919) % 1013) / 506 - 1,
    },
  ]),
  { name: 'broadcast', shapes: [[3, 1, 2]], build: (graph, x) => graph.broadcast(x, [2, 3, 4, 2]) },
  { name: 'reshape', shapes: [[3, 4]], build: (graph, x) => graph.reshape(x, [2, 6]) },
  { name: 'transpose', shapes: [[2, 3, 4, 2]], build: (graph, x) => graph.transpose(x, [2, 0, 3, 1]) },
  { name: 'transpose of a matrix', shapes: [[5, 3]], build: (graph, x) => graph.transpose(x, [1, 0]) },
  { name: 'slice', shapes: [[4, 5, 3]], build: (graph, x) => graph.slice(x, [1, 2, 0], [2, 3, 3]) },
  { name: 'slice in one piece', shapes: [[4, 5]], build: (graph, x) => graph.slice(x, [1, 0], [2, 5]) },
  { name: 'one of an axis', shapes: [[3, 4, 5]], build: (graph, x) => graph.at(x, 1, 2) },
  { name: 'pad', shapes: [[2, 3]], build: (graph, x) => graph.pad(x, [1, 2], [4, 7]) },
  {
    name: 'concat',
    shapes: [
      [2, 3],
      [2, 1],
      [2, 5],
    ],
    build: (graph, ...parts) => graph.concat(parts, 1),
  },
  {
    name: 'concat of rows',
    shapes: [
      [2, 3],
      [4, 3],
    ],
    build: (graph, ...parts) => graph.concat(parts, 0),
  },
  ...convolutions(),
  {
    name: 'gather',
    shapes: [
      [2, 3],
      [6, 5],
    ],
    fixed: [0],
    build: (graph, at, table) => graph.push({ kind: 'gather' }, [table, at], [2, 3, 5]),
    domain: indices(6),
  },
  {
    name: 'scatter',
    shapes: [[7], [7, 3]],
    fixed: [0],
    build: (graph, at, rows) => graph.push({ kind: 'scatter' }, [at, rows], [4, 3]),
    domain: indices(4),
  },
  {
    name: 'one-hot',
    shapes: [[2, 3]],
    fixed: [0],
    build: (graph, classes) => graph.push({ kind: 'one-hot' }, [classes], [2, 3, 5]),
    domain: indices(5),
  },
  { name: 'softmax', shapes: [[4, 7]], build: (graph, x) => graph.softmax(graph.scale(x, 4)) },
  {
    name: 'softmax-crossentropy',
    shapes: [
      [4, 7],
      [4, 7],
    ],
    fixed: [1],
    build: (graph, x, t) => graph.push({ kind: 'softmax-crossentropy' }, [x, graph.softmax(x), t], [4, 1]),
    domain: (value, input) => (input === 1 ? Math.abs(value) : 3 * value),
  },
  {
    name: 'softmax-crossentropy-input',
    shapes: [
      [4, 7],
      [4, 7],
    ],
    fixed: [0, 1],
    build: (graph, x, t) => graph.push({ kind: 'softmax-crossentropy-input' }, [graph.softmax(x), t], [4, 7]),
    domain: (value, input) => (input === 1 ? Math.abs(value) : 3 * value),
  },
  {
    name: 'sigmoid-crossentropy',
    shapes: [
      [4, 3],
      [4, 3],
    ],
    fixed: [1],
    build: (graph, x, t) => graph.push({ kind: 'sigmoid-crossentropy' }, [x, graph.unary('sigmoid', x), t], [4, 3]),
    domain: (value, input) => (input === 1 ? Math.abs(value) : 3 * value),
  },
];

/** Numbers of the case's inputs, the same every time. */
export function inputsOf({ name, shapes, domain = (value) => value }: OperatorCase): Float64Array[] {
  const random = seededRandom(name);
  return shapes.map((shape, input) =>
    Float64Array.from({ length: sizeOf(shape) }, (_value, place) =>
      Math.fround(domain(uniformInteger(random, 2 ** 20) / 2 ** 19 - 1, input, place)),
    ),
  );
}
