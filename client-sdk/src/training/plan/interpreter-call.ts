/** What the interpreter gives an operator. */
import type { Operator, OperatorKind, Shape } from './operators.ts';

export type Numbers = Float32Array | Float64Array;

export interface Operands {
  readonly inputs: readonly Numbers[];
  readonly shapes: readonly Shape[];
  readonly shape: Shape;
  readonly output: Numbers;
}

export interface Call<K extends OperatorKind> extends Operands {
  readonly operator: Extract<Operator, { kind: K }>;
}
