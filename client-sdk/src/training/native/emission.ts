/** What the rules that turn operators into ONNX nodes work on. Images are [b, c, h, w] there: a value is known in either order, or both. */
import { unsupported } from '../plan/config.ts';
import { constantOf } from '../plan/graph.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Operator, OperatorKind, Shape, Value } from '../plan/operators.ts';
import type { OnnxGraph } from './onnx.ts';

export interface Emission {
  readonly onnx: OnnxGraph;
  /** By value: its name in the plan's order. */
  readonly rows: Map<Value, string>;
  /** By value of rank 4: its name with the channels before the pixels. */
  readonly planes: Map<Value, string>;
  /** Where the largest numbers of a pooled value were; null when nothing asks. */
  readonly indices: Map<Value, string> | null;
  /**
   * Null for a batch of the plan's own size. Otherwise the size that stands for whatever batch the graph will be given: sizes that
   * it divides grow with the batch, no other size of the plan is as large.
   */
  readonly batch: number | null;
}

export function openEmission(
  onnx: OnnxGraph,
  indices: 'indices' | 'no indices',
  batch: number | null = null,
): Emission {
  return { onnx, rows: new Map(), planes: new Map(), indices: indices === 'indices' ? new Map() : null, batch };
}

/** Sizes as a reshape takes them: one may be what is left over. */
export function sizes(emission: Emission, shape: Shape): readonly number[] {
  const open = shape.filter((length) => growsWithBatch(emission, length)).length;
  if (open > 1) throw unsupported('a shape with the batch in two sizes is not written for any batch');
  return shape.map((length) => (growsWithBatch(emission, length) ? -1 : length));
}

/** Sizes to which one of shape `from` is repeated: 1 leaves a size as it is. */
export function repeats(emission: Emission, from: Shape, shape: Shape): readonly number[] {
  return shape.map((length, axis) => {
    if (!growsWithBatch(emission, length)) return length;
    if (from[axis] !== length) throw unsupported('what is the same for each example of any batch is not written out');
    return 1;
  });
}

export function growsWithBatch({ batch }: Emission, length: number): boolean {
  return batch !== null && length % batch === 0;
}

export interface Context {
  readonly emission: Emission;
  readonly onnx: OnnxGraph;
  readonly value: Value;
  readonly inputs: readonly Value[];
}

export interface Site<K extends OperatorKind> extends Context {
  readonly operator: Extract<Operator, { kind: K }>;
}

/** Emits the value and records its name. */
export type EmissionRule<K extends OperatorKind> = (site: Site<K>) => void;

export const TO_PLANES: readonly number[] = [0, 3, 1, 2];
export const TO_ROWS: readonly number[] = [0, 2, 3, 1];

/** A value in the plan's order. */
export function rowsOf(emission: Emission, value: Value): string {
  const known = emission.rows.get(value);
  if (known !== undefined) return known;
  const name = made(emission, value);
  emission.rows.set(value, name);
  return name;
}

function made(emission: Emission, value: Value): string {
  const { onnx, planes } = emission;
  const number = constantOf(value);
  if (number !== null)
    return sizeOf(value.shape) === 1 ? onnx.float([number], value.shape) : filled(emission, number, value.shape);
  const plane = planes.get(value);
  if (plane === undefined) throw new RangeError(`${value.operator.kind} is used before it is computed`);
  if (isFlat(value.shape)) return onnx.node('Reshape', [plane, onnx.ints(sizes(emission, value.shape))]);
  return onnx.node('Transpose', [plane], { perm: TO_ROWS });
}

function filled(emission: Emission, value: number, shape: Shape): string {
  const { onnx } = emission;
  return onnx.node('Expand', [onnx.float([value], []), onnx.ints(repeats(emission, [], shape))]);
}

/** A value of rank 4 with its channels before its pixels. */
export function planesOf(emission: Emission, value: Value): string {
  const known = emission.planes.get(value);
  if (known !== undefined) return known;
  const { onnx } = emission;
  const rows = rowsOf(emission, value);
  const name = isFlat(value.shape)
    ? onnx.node('Reshape', [rows, onnx.ints(sizes(emission, planeShape(value.shape)))])
    : onnx.node('Transpose', [rows], { perm: TO_PLANES });
  emission.planes.set(value, name);
  return name;
}

export function planeShape(shape: Shape): number[] {
  return TO_PLANES.map((axis) => shape[axis]!);
}

/** One channel, or one pixel: both orders are the same numbers. */
function isFlat(shape: Shape): boolean {
  return shape[3] === 1 || shape[1]! * shape[2]! === 1;
}

/** Whether work on this value goes on in planes: it comes from a convolution or pooling. */
export function inPlanes({ planes, rows }: Emission, value: Value): boolean {
  return planes.has(value) && !rows.has(value);
}
