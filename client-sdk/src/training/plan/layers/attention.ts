import { unsupported } from '../config.ts';
import type { LayerRule } from './layer.ts';

/**
 * Dot-product attention (Luong et al. 2015), as Keras' `Attention`: query [b, t, d], value [b, s, v] and key [b, s, d], which is the
 * value when it is left out -> softmax(query key^T) value, [b, t, v].
 */
export const Attention: LayerRule = ({ graph, config, inputs, training, weight }) => {
  const [query, value, key = value] = inputs;
  if (query === undefined || value === undefined || key === undefined)
    throw unsupported(`${config.label} needs a query and a value`);
  if (config.text('score_mode', 'dot') !== 'dot') throw unsupported(`${config.label} does not score by products`);
  config.refuse('causal', 'a causal mask');
  if (training) config.refuse('dropout', 'dropout of its scores');
  const scores = graph.matmul(query, key, { transposeB: true });
  const scaled = config.flag('use_scale', false) ? graph.multiply(scores, weight('scale', [])) : scores;
  return [graph.matmul(graph.softmax(scaled), value)];
};
