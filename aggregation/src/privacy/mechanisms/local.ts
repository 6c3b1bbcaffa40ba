/**
 * Local noise: the client adds all of it, and trusts nobody. Against everybody who sees its release the sensitivity is that of replacing
 * the whole contribution, twice the norm that the plan allows; n clients together have noise of 1/sqrt(n) on their mean.
 */
import type { RandomSource } from '@carapace/crypto';
import { clipping } from './clip.ts';
import { DEFAULT_BETA } from './distributed.ts';
import { roundConditionally, roundedNormSquared } from './conditional-rounding.ts';
import type { MechanismDescription } from './description.ts';
import { checkContribution, checkDimension, describeLattice, latticeNoise, latticePlan } from './lattice-plan.ts';
import type { LatticePlan, LatticeSettings } from './lattice-plan.ts';
import { withWorkspace } from './lattice/kernel.ts';

/** Units with which rounding adds a thousandth to the norm. @throws AggregationError `MECHANISM_PARAMETERS` */
export function planLocal(settings: LatticeSettings): LatticePlan {
  checkDimension(settings.dimension);
  const units = 16 * Math.sqrt(settings.dimension) + 1024;
  return latticePlan(settings, units, roundedNormSquared(units, settings.dimension, DEFAULT_BETA));
}

export function describeLocal(plan: LatticePlan): MechanismDescription {
  return describeLattice(plan, 'local');
}

/**
 * The update, clipped, with noise: float32, as updates are sent. Rounding to it comes after the noise and costs nothing.
 * @throws AggregationError `VECTOR_LENGTH`, `MECHANISM_NONFINITE`, `MECHANISM_PARAMETERS` or `MECHANISM_NORM`
 */
export function addLocalNoise(
  plan: LatticePlan,
  clip: number,
  update: Float32Array,
  random: RandomSource,
): Float32Array<ArrayBuffer> {
  checkContribution(plan, clip, update.length);
  const { factor } = clipping(update, clip);
  const scale = (factor / clip) * plan.unitsPerClip;
  const noisy = withWorkspace(plan.dimension, (workspace) => {
    const { numbers } = workspace;
    for (let i = 0; i < numbers.length; i++) numbers[i] = update[i]! * scale;
    roundConditionally(workspace, plan.l2Squared, random);
    return new Float64Array(workspace.integers);
  });
  latticeNoise(plan).addTo(noisy, random);
  const unit = clip / plan.unitsPerClip;
  for (let i = 0; i < noisy.length; i++) noisy[i]! *= unit;
  return new Float32Array(noisy);
}
