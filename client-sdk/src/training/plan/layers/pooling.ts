import type { Value } from '../operators.ts';
import { only } from './layer.ts';
import type { LayerCall, LayerRule } from './layer.ts';
import { asImage, fromImage, windowOf } from './windows.ts';

type Kind = 'max-pool' | 'average-pool';

function pooling(kind: Kind, rank: 1 | 2): LayerRule {
  return (call) => {
    const { graph, config } = call;
    config.refuseChannelsFirst();
    const x = rank === 1 ? asImage(graph, only(call)) : only(call);
    const size = config.numbers('pool_size', rank, 2);
    const strides = config.has('strides') ? config.numbers('strides', rank) : size;
    const pair = (of: readonly number[]): readonly [number, number] => (rank === 1 ? [1, of[0]!] : [of[0]!, of[1]!]);
    const window = windowOf(config, [x.shape[1]!, x.shape[2]!], {
      size: pair(size),
      strides: pair(strides),
      dilations: [1, 1],
    });
    const y = graph.pool(kind, x, window);
    return [rank === 1 ? fromImage(graph, y) : y];
  };
}

/** Over all between the batch and the channels. */
function global(pool: (call: LayerCall, x: Value, axes: readonly number[]) => Value): LayerRule {
  return (call) => {
    call.config.refuseChannelsFirst();
    const x = only(call);
    const axes = x.shape.map((_length, axis) => axis).slice(1, -1);
    return [call.graph.reshape(pool(call, x, axes), [x.shape[0]!, x.shape.at(-1)!])];
  };
}

const mean = global(({ graph }, x, axes) => graph.mean(x, axes));
const largest = global(({ graph }, x, axes) => graph.max(x, axes));

export const poolingLayers: Readonly<Record<string, LayerRule>> = {
  MaxPooling1D: pooling('max-pool', 1),
  MaxPooling2D: pooling('max-pool', 2),
  AveragePooling1D: pooling('average-pool', 1),
  AveragePooling2D: pooling('average-pool', 2),
  GlobalMaxPooling1D: largest,
  GlobalMaxPooling2D: largest,
  GlobalAveragePooling1D: mean,
  GlobalAveragePooling2D: mean,
};
