/** What a layer's rule is given and gives. */
import type { LayerConfig } from '../config.ts';
import type { Graph } from '../graph.ts';
import type { Shape, Value } from '../operators.ts';

export interface LayerCall {
  readonly graph: Graph;
  readonly config: LayerConfig;
  /** With the batch in front. */
  readonly inputs: readonly Value[];
  /** Batch statistics and dropout in training, moving statistics otherwise. */
  readonly training: boolean;
  /** Gradients are clipped example by example: where a weight meets several rows of an example they lie side by side. */
  readonly perExample: boolean;
  /** A weight of the layer by its name; asked for in the order of `layer.getWeights()`, trainable ones first. */
  readonly weight: (name: string, shape: Shape, trainable?: boolean) => Value;
  /** A weight takes this value at the end of the step: moving statistics. */
  readonly assign: (weight: Value, value: Value) => void;
  /** Added to the loss. */
  readonly penalise: (penalty: Value) => void;
}

/** The layer's outputs. @throws ClientError `MODEL_UNSUPPORTED` */
export type LayerRule = (call: LayerCall) => readonly Value[];

export function only({ inputs, config }: LayerCall): Value {
  const [x] = inputs;
  if (x === undefined || inputs.length > 1) throw new RangeError(`${config.label} has ${inputs.length} inputs`);
  return x;
}

export function axisOf(axis: number, { shape }: Value): number {
  return axis < 0 ? axis + shape.length : axis;
}
