import { only } from './layer.ts';
import type { LayerRule } from './layer.ts';
import { penalise } from './regularisers.ts';

/** Rows of a table by whole numbers. With plain SGD only the rows that occur are touched. */
export const Embedding: LayerRule = (call) => {
  const { graph, config } = call;
  const x = only(call);
  config.refuse('mask_zero', 'a mask for zeros');
  config.refuse('embeddings_constraint', 'a constraint');
  const [rows, width] = [config.number('input_dim'), config.number('output_dim')];
  const table = call.weight('embeddings', [rows, width]);
  penalise(call, 'embeddings_regularizer', table);
  return [graph.push({ kind: 'gather' }, [table, x], [...x.shape, width])];
};
