/** What the rules that turn operators into instructions work on, and how they move numbers about. */
import { constantOf } from '../plan/graph.ts';
import { sizeOf } from '../plan/operators.ts';
import type { Operator, OperatorKind, Shape, Value } from '../plan/operators.ts';
import { CODE } from './program.ts';
import type { Place, ProgramBuilder } from './program.ts';

export interface Lowering {
  readonly program: ProgramBuilder;
  readonly places: Map<Value, Place>;
  /** Images with their zeros around them, for every convolution that reads them. */
  readonly padded: Map<string, Place>;
  /** Seed and step, two words. */
  readonly noise: Place;
}

export interface Context {
  readonly lowering: Lowering;
  readonly program: ProgramBuilder;
  readonly value: Value;
  readonly inputs: readonly Value[];
}

export interface Site<K extends OperatorKind> extends Context {
  readonly operator: Extract<Operator, { kind: K }>;
}

/** Emits the value; where it is. */
export type LoweringRule<K extends OperatorKind> = (site: Site<K>) => Place;

/** Where a value is; a constant is written out the first time it is asked for. */
export function placeOf({ places, program }: Lowering, value: Value): Place {
  const known = places.get(value);
  if (known !== undefined) return known;
  const number = constantOf(value);
  if (number === null) throw new RangeError(`${value.operator.kind} is used before it is computed`);
  const place = program.buffer(sizeOf(value.shape));
  program.emit(CODE.fill, [place, { real: number }, sizeOf(value.shape)]);
  places.set(value, place);
  return place;
}

/** Numbers apart along each axis, row-major. */
export function steps(shape: Shape): number[] {
  const result = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) result[axis] = result[axis + 1]! * shape[axis + 1]!;
  return result;
}

/** Copies `shape` numbers, `from` and `to` apart along its axes, in numbers. */
export function move(
  program: ProgramBuilder,
  {
    shape,
    from,
    to,
    source,
    target,
  }: {
    readonly shape: Shape;
    readonly from: readonly number[];
    readonly to: readonly number[];
    readonly source: Place;
    readonly target: Place;
  },
): void {
  const merged = mergedAxes(shape, from, to);
  if (merged.length > 6) throw new RangeError('a move has six axes at most');
  while (merged.length < 6) merged.unshift({ length: 1, from: 0, to: 0 });
  merged.reverse();
  const table = program.table([
    ...merged.map(({ length }) => length),
    ...merged.map((axis) => 4 * axis.from),
    ...merged.map((axis) => 4 * axis.to),
  ]);
  program.emit(CODE.move, [table, source, target]);
}

interface Axis {
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

/** Neighbouring axes that lie one within the other on both sides are one. */
function mergedAxes(shape: Shape, from: readonly number[], to: readonly number[]): Axis[] {
  const axes = shape.map((length, at) => ({ length, from: from[at]!, to: to[at]! })).filter(({ length }) => length > 1);
  return axes.reduce<Axis[]>((merged, axis) => {
    const last = merged.at(-1);
    if (last === undefined || last.from !== axis.from * axis.length || last.to !== axis.to * axis.length)
      return [...merged, axis];
    return [...merged.slice(0, -1), { ...axis, length: last.length * axis.length }];
  }, []);
}
