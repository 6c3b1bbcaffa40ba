/**
 * DP-SGD with examples as the ones to protect (Abadi et al. 2016): every example's gradient is clipped, and their sum gets noise. The
 * engine gives one gradient a row; here is what becomes of them.
 */
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { CentralSum } from './central.ts';
import type { LatticePlan } from './lattice-plan.ts';

/**
 * Noisy sum of the clipped gradients of a batch, one of `planCentral`. To be divided by the expected size of a batch, not by the one that
 * was drawn, which would tell. An empty batch, as Poisson sampling draws them, is noise alone.
 * @param gradients `examples` rows of the plan's dimension
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE`, `MECHANISM_PARAMETERS` or `MECHANISM_NORM`
 */
export function noisyGradientSum(
  plan: LatticePlan,
  clip: number,
  gradients: Float32Array,
  random: RandomSource,
): Float64Array<ArrayBuffer> {
  const { dimension } = plan;
  if (gradients.length % dimension !== 0) {
    throw new AggregationError('VECTOR_LENGTH', `${gradients.length} values are no rows of ${dimension}`);
  }
  const sum = new CentralSum(plan, clip);
  for (let at = 0; at < gradients.length; at += dimension) sum.add(gradients.subarray(at, at + dimension));
  return sum.release(random);
}
