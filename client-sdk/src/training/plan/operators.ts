/**
 * The intermediate form: a graph of operators on float32 tensors of fixed shape, row-major, images as [batch, height, width, channels].
 * Every back end and the interpreter implement exactly these; layers, losses and gradients are written in them.
 */
export type Shape = readonly number[];

/** x -> f(x), element by element. `step` is 1 where x > 0, else 0. */
export type UnaryFunction =
  | 'negate'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'reciprocal'
  | 'tanh'
  | 'sigmoid'
  | 'softplus'
  | 'erf'
  | 'relu'
  | 'abs'
  | 'sign'
  | 'step';

/** (a, b) -> f(a, b), element by element; sizes of 1 repeat. `gate` is a where b > 0, else 0. */
export type BinaryFunction = 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'minimum' | 'gate';

/** How a window slides over [height, width]: its size, and for each of top, left, bottom and right how many zeros surround the image. */
export interface Window {
  readonly size: readonly [height: number, width: number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
}

export type Operator =
  /** The model's weight of this index, in `getWeights()` order. */
  | { readonly kind: 'parameter'; readonly index: number }
  /** Features of the batch for the model's input of this index. */
  | { readonly kind: 'feature'; readonly index: number }
  /** Labels of the batch for the model's output of this index. */
  | { readonly kind: 'label'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number }
  /** Uniform on [0, 1), anew each step; `stream` tells several apart. */
  | { readonly kind: 'uniform'; readonly stream: number }
  | { readonly kind: 'unary'; readonly of: UnaryFunction }
  | { readonly kind: 'binary'; readonly of: BinaryFunction }
  | { readonly kind: 'clip'; readonly low: number; readonly high: number }
  /** 1 where low <= x <= high, else 0. */
  | { readonly kind: 'within'; readonly low: number; readonly high: number }
  /** [..., m, k] x [..., k, n] with the same leading sizes; a transposed operand is given as [..., k, m] or [..., n, k]. */
  | { readonly kind: 'matmul'; readonly transposeA: boolean; readonly transposeB: boolean }
  /** Over `axes`, whose sizes become 1. */
  | { readonly kind: 'sum'; readonly axes: readonly number[] }
  | { readonly kind: 'max'; readonly axes: readonly number[] }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'reshape' }
  | { readonly kind: 'transpose'; readonly order: readonly number[] }
  | { readonly kind: 'slice'; readonly begin: readonly number[] }
  /** With zeros, `before` of them in front of each axis. */
  | { readonly kind: 'pad'; readonly before: readonly number[] }
  | { readonly kind: 'concat'; readonly axis: number }
  /** [b, h, w, c] and [kh, kw, c, o] -> [b, oh, ow, o]. */
  | { readonly kind: 'convolution'; readonly window: Window }
  /** [b, oh, ow, o] and [kh, kw, c, o] -> [b, h, w, c]: also the transposed convolution. */
  | { readonly kind: 'convolution-input'; readonly window: Window }
  /** [b, h, w, c] and [b, oh, ow, o] -> [kh, kw, c, o]. */
  | { readonly kind: 'convolution-filter'; readonly window: Window }
  /** [b, h, w, c] and [kh, kw, c, m] -> [b, oh, ow, c m]: m filters for each channel. */
  | { readonly kind: 'depthwise'; readonly window: Window }
  | { readonly kind: 'depthwise-input'; readonly window: Window }
  | { readonly kind: 'depthwise-filter'; readonly window: Window }
  /** Padding takes no part. */
  | { readonly kind: 'max-pool'; readonly window: Window }
  /** Of x, its pooled y and dy: to the first largest of each window. */
  | { readonly kind: 'max-pool-input'; readonly window: Window }
  | { readonly kind: 'average-pool'; readonly window: Window }
  | { readonly kind: 'average-pool-input'; readonly window: Window }
  /** Table [n, d] and indices [...] -> [..., d]. An index outside of the table gives zeros. */
  | { readonly kind: 'gather' }
  /** Indices [...] and rows [..., d] -> [n, d]: each row added where its index says. */
  | { readonly kind: 'scatter' }
  /** Class numbers [...] -> [..., classes]. */
  | { readonly kind: 'one-hot' }
  /** Over the last axis. */
  | { readonly kind: 'softmax' }
  /** Logits, their softmax and targets [..., n] -> [..., 1]: - sum t log(p), p clipped to [epsilon, 1 - epsilon]. */
  | { readonly kind: 'softmax-crossentropy' }
  /** Softmax and targets -> the gradient by the logits, zero where p was clipped. */
  | { readonly kind: 'softmax-crossentropy-input' }
  /** Logits, their sigmoid and targets -> element by element, p clipped. */
  | { readonly kind: 'sigmoid-crossentropy' };

export type OperatorKind = Operator['kind'];

/** A value: an operator applied to earlier values. */
export interface Value {
  /** Its place in the graph: inputs have lower ones. */
  readonly id: number;
  readonly operator: Operator;
  readonly inputs: readonly Value[];
  readonly shape: Shape;
}

/** Probabilities are clipped to [epsilon, 1 - epsilon] in cross-entropies: `tf.backend().epsilon()` in float32. */
export const EPSILON = 1e-7;

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}
