/** FederatedAveraging: McMahan et al., AISTATS 2017, algorithm 1, as the server's step on the mean of the clients' deltas. */
import { applyDelta } from '../delta.ts';
import { AggregationError } from '../errors.ts';
import { allFinite } from '../finite.ts';
import type { Layout } from '../layout.ts';
import type { Strategy } from '../task.ts';

/**
 * The next weights: base + server learning rate x weighted mean delta. With a rate of 1 this is the paper's average of the
 * clients' weights. @throws AggregationError `AGGREGATE_NONFINITE` when a result leaves float32
 */
export function serverStep(
  strategy: Strategy,
  layout: Layout,
  base: Float32Array,
  meanDelta: Float64Array,
): Float32Array {
  const next = applyDelta(layout, base, meanDelta, strategy.serverLearningRate);
  if (!allFinite(next)) throw new AggregationError('AGGREGATE_NONFINITE', 'the new weights overflow float32');
  return next;
}
