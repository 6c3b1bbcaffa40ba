/** ONNX graphs, built node by node and written as the bytes of a model (`onnx.proto`, IR version 8, operator set 17). */
import { join, message, varint } from './protobuf.ts';
import type { Field } from './protobuf.ts';

const IR_VERSION = 8;
const OPERATOR_SET = 17;
const PRODUCER = 'carapace';

export const TYPE = { float: 1, int64: 7, boolean: 9 } as const;
type ElementType = (typeof TYPE)[keyof typeof TYPE];

/** Numbers of attribute types in `onnx.proto`. */
const ATTRIBUTE = { float: 1, int: 2, text: 3, graph: 5, ints: 7 } as const;

/** Integers are `int`, `{ float }` is a float, a list is `ints`, bytes are a graph. */
export type Attributes = Readonly<
  Record<string, number | string | { readonly float: number } | readonly number[] | Uint8Array>
>;

/** A size that is known when it runs has a name. */
export type Dimensions = readonly (number | string)[];

export interface GraphValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Dimensions;
}

interface Node {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly bytes: Uint8Array;
}

export class OnnxGraph {
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Uint8Array>();
  readonly #prefix: string;
  #next = 0;

  /** @param prefix of every name: those of a graph within a graph must be others */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** A node with one output; its name. An empty input is one that is left out. */
  node(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.nodes(operator, inputs, 1, attributes)[0]!;
  }

  /** @param outputs how many, or their names */
  nodes(
    operator: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Attributes = {},
  ): string[] {
    const names =
      typeof outputs === 'number'
        ? Array.from({ length: outputs }, () => `${this.#prefix}${this.#next++}`)
        : [...outputs];
    const bytes = message([
      ...inputs.map((name): Field => [1, name]),
      ...names.map((name): Field => [2, name]),
      [4, operator],
      ...Object.entries(attributes).map(([name, value]): Field => [5, attribute(name, value)]),
    ]);
    this.#nodes.push({ inputs, outputs: names, bytes });
    return names;
  }

  float(values: readonly number[], shape: readonly number[]): string {
    return this.#constant(TYPE.float, shape, new Uint8Array(Float32Array.from(values).buffer), values.join());
  }

  /** One number. */
  scalar(value: number): string {
    return this.float([value], []);
  }

  /** A list of integers. */
  ints(values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    return this.#constant(TYPE.int64, [values.length], bytes, values.join());
  }

  #constant(type: ElementType, shape: readonly number[], bytes: Uint8Array, key: string): string {
    const name = `${this.#prefix}c${type}[${shape.join()}]${key.length > 60 ? `#${this.#constants.size}` : key}`;
    if (!this.#constants.has(name))
      this.#constants.set(
        name,
        message([...shape.map((length): Field => [1, length]), [2, type], [8, name], [9, bytes]]),
      );
    return name;
  }

  /** The bytes of the graph: ONNX Runtime would compute what nothing asks for, so only what leads to the outputs is in them. */
  graph(inputs: readonly GraphValue[], outputs: readonly GraphValue[]): Uint8Array {
    const asked = new Set(outputs.map(({ name }) => name));
    const live = this.#nodes.toReversed().filter((node) => {
      if (!node.outputs.some((output) => asked.has(output))) return false;
      for (const input of node.inputs) asked.add(input);
      return true;
    });
    return message([
      ...live.toReversed().map(({ bytes }): Field => [1, bytes]),
      [2, `${this.#prefix}graph`],
      ...[...this.#constants].filter(([name]) => asked.has(name)).map(([, constant]): Field => [5, constant]),
      ...inputs.map((value): Field => [11, valueInfo(value)]),
      ...outputs.map((value): Field => [12, valueInfo(value)]),
    ]);
  }
}

export function modelBytes(graph: Uint8Array): Uint8Array {
  return message([...modelFields(), [7, graph]]);
}

/**
 * A model with its weights in it, in pieces between which the weights' bytes (little-endian float32) belong: piece i comes before
 * weight i, the last one after all of them. The weights need not be in memory, and a large model is sent as it is read.
 */
export function modelPieces(
  graph: Uint8Array,
  weights: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Uint8Array[] {
  const heads = weights.map(({ name, shape }) => {
    const bytes = 4 * shape.reduce((size, length) => size * length, 1);
    const fields = message([...shape.map((length): Field => [1, length]), [2, TYPE.float], [8, name]]);
    const data = join([tag(9), varint(bytes)]);
    return { head: join([tag(5), varint(fields.length + data.length + bytes), fields, data]), bytes };
  });
  const length = heads.reduce((sum, { head, bytes }) => sum + head.length + bytes, graph.length);
  const front = join([message([...modelFields(), [2, PRODUCER]]), tag(7), varint(length), graph]);
  const [first = new Uint8Array(), ...rest] = heads.map(({ head }) => head);
  return weights.length === 0 ? [front] : [join([front, first]), ...rest, new Uint8Array()];
}

function modelFields(): Field[] {
  const set = message([
    [1, ''],
    [2, OPERATOR_SET],
  ]);
  return [
    [1, IR_VERSION],
    [8, set],
  ];
}

/** Of a field with a length. */
function tag(field: number): Uint8Array {
  return varint((field << 3) | 2);
}

function attribute(name: string, value: Attributes[string]): Uint8Array {
  const field = (type: number, ...fields: Field[]): Uint8Array => message([[1, name], ...fields, [20, type]]);
  if (typeof value === 'number') return field(ATTRIBUTE.int, [3, value]);
  if (typeof value === 'string') return field(ATTRIBUTE.text, [4, value]);
  if (value instanceof Uint8Array) return field(ATTRIBUTE.graph, [6, value]);
  if (typeof value === 'object' && 'float' in value) return field(ATTRIBUTE.float, [2, { float: value.float }]);
  return field(ATTRIBUTE.ints, ...value.map((item): Field => [8, item]));
}

function valueInfo({ name, type, shape }: GraphValue): Uint8Array {
  const dimension = (size: number | string): Uint8Array => message([typeof size === 'number' ? [1, size] : [2, size]]);
  const sizes = message(shape.map((size): Field => [1, dimension(size)]));
  const tensor = message([
    [1, type],
    [2, sizes],
  ]);
  return message([
    [1, name],
    [2, message([[1, tensor]])],
  ]);
}
