/** Windows of convolution and pooling layers, from their configuration. */
import { unsupported } from '../config.ts';
import type { LayerConfig } from '../config.ts';
import type { Graph } from '../graph.ts';
import type { Value, Window } from '../operators.ts';

type Pair = readonly [number, number];

/** Padding 'same' as in TensorFlow: output = ceil(input / stride), the odd zero at the bottom and right. */
export function windowOf(
  config: LayerConfig,
  image: readonly [height: number, width: number],
  { size, strides, dilations }: { readonly size: Pair; readonly strides: Pair; readonly dilations: Pair },
): Window {
  const padding = config.text('padding', 'valid');
  if (padding !== 'same' && padding !== 'valid') throw unsupported(`${config.label} has the padding ${padding}`);
  const around = ([0, 1] as const).map((axis) => {
    if (padding === 'valid') return [0, 0] as const;
    const span = (size[axis] - 1) * dilations[axis] + 1;
    const needed = (Math.ceil(image[axis] / strides[axis]) - 1) * strides[axis] + span - image[axis];
    const before = Math.floor(Math.max(needed, 0) / 2);
    return [before, Math.max(needed, 0) - before] as const;
  });
  const [[top, bottom], [left, right]] = around as [Pair, Pair];
  return { size, strides, dilations, padding: [top, left, bottom, right] };
}

/** [batch, length, channels] as an image of one row, and back. */
export function asImage(graph: Graph, x: Value): Value {
  const [batch, length, channels] = x.shape as [number, number, number];
  return graph.reshape(x, [batch, 1, length, channels]);
}

export function fromImage(graph: Graph, x: Value): Value {
  const [batch, , length, channels] = x.shape as [number, number, number, number];
  return graph.reshape(x, [batch, length, channels]);
}
