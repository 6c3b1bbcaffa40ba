/** The optimiser's step as ONNX nodes: from a weight, its gradient and state to the new ones. */
import type { Value } from '../plan/operators.ts';
import type { StepForm } from '../settings.ts';
import { scattered } from './emit.ts';
import { rowsOf } from './emission.ts';
import type { Emission } from './emission.ts';

/** Names of a step's numbers, in the order of `scalarRow`. */
export const SCALARS = [
  'momentum',
  'decay',
  'proximal',
  'beta1',
  'beta2',
  'epsilon',
  'c1',
  'c2',
  'shrink',
  'r1',
  'r2',
] as const;
export type Scalars = Readonly<Record<(typeof SCALARS)[number] | 'minusRate', string>>;

/** Names of what belongs to one weight. */
export interface Trained {
  readonly weight: string;
  readonly gradient: Value;
  readonly first: string;
  readonly second: string;
  readonly anchor: string;
  readonly correction: string;
}

export interface Updated {
  readonly weight: string;
  readonly states: readonly string[];
}

/** Whether the gradient is a product or a scatter that may be added to its weight as it is computed. */
export function isFused(form: StepForm, gradient: Value, uses: ReadonlySet<Value>): boolean {
  const { rule, decays, clips, proximal, corrected } = form;
  const plain = rule === 'sgd' && !decays && !clips && !proximal && !corrected;
  const { kind } = gradient.operator;
  return plain && !uses.has(gradient) && ((kind === 'matmul' && gradient.shape.length === 2) || kind === 'scatter');
}

/** w - lr a^T b as one node: the smaller factor takes the rate. */
export function fusedUpdate(emission: Emission, { weight, gradient }: Trained, { minusRate }: Scalars): string {
  const { onnx } = emission;
  if (gradient.operator.kind === 'scatter') return scattered(emission, gradient, weight, minusRate);
  const { operator, inputs } = gradient;
  if (operator.kind !== 'matmul') throw new TypeError('only products and scatters are fused');
  const [a, b] = inputs.map((input) => rowsOf(emission, input));
  const scaled = onnx.node('Mul', [b!, minusRate]);
  const attributes = { transA: operator.transposeA ? 1 : 0, transB: operator.transposeB ? 1 : 0 };
  return onnx.node('Gemm', [a!, scaled, weight], attributes);
}

/** Gradients with what is added to them, scaled down together when their norm is over the limit. */
export function adjustedGradients(
  emission: Emission,
  trained: readonly Trained[],
  form: StepForm,
  scalars: Scalars,
  limit: number,
): string[] {
  const { onnx } = emission;
  const near = trained.map(({ weight, gradient, anchor }) => {
    const raw = rowsOf(emission, gradient);
    if (!form.proximal) return raw;
    return onnx.node('Add', [raw, onnx.node('Mul', [onnx.node('Sub', [weight, anchor]), scalars.proximal])]);
  });
  const scale = form.clips ? clipScale(emission, near, limit) : null;
  return near.map((gradient, at) => {
    const { weight, correction } = trained[at]!;
    let sum = scale === null ? gradient : onnx.node('Mul', [gradient, scale]);
    if (form.corrected) sum = onnx.node('Add', [sum, correction]);
    if (form.decays) sum = onnx.node('Add', [sum, onnx.node('Mul', [weight, scalars.decay])]);
    return sum;
  });
}

/** min(1, limit / norm). */
function clipScale({ onnx }: Emission, gradients: readonly string[], limit: number): string {
  const squares = gradients.map((gradient) => onnx.node('ReduceSumSquare', [gradient], { keepdims: 0 }));
  const norm = onnx.node('Sqrt', [squares.length === 1 ? squares[0]! : onnx.node('Sum', squares)]);
  const share = onnx.node('Div', [onnx.scalar(limit), onnx.node('Max', [norm, onnx.scalar(1e-30)])]);
  return onnx.node('Min', [share, onnx.scalar(1)]);
}

export function update(
  { onnx }: Emission,
  trained: Trained,
  gradient: string,
  form: StepForm,
  scalars: Scalars,
): Updated {
  const { weight, first, second } = trained;
  const times = (a: string, b: string): string => onnx.node('Mul', [a, b]);
  const plus = (a: string, b: string): string => onnx.node('Add', [a, b]);
  if (form.rule === 'sgd') return { weight: plus(weight, times(gradient, scalars.minusRate)), states: [] };
  if (form.rule !== 'adam') {
    const speed = plus(times(first, scalars.momentum), gradient);
    const step = form.rule === 'nesterov' ? plus(gradient, times(speed, scalars.momentum)) : speed;
    return { weight: plus(weight, times(step, scalars.minusRate)), states: [speed] };
  }
  const m = plus(times(first, scalars.beta1), times(gradient, scalars.r1));
  const v = plus(times(second, scalars.beta2), times(times(gradient, gradient), scalars.r2));
  const root = plus(onnx.node('Sqrt', [onnx.node('Div', [v, scalars.c2])]), scalars.epsilon);
  const step = onnx.node('Div', [onnx.node('Div', [m, scalars.c1]), root]);
  return { weight: plus(times(weight, scalars.shrink), times(step, scalars.minusRate)), states: [m, v] };
}
