/**
 * The central-limit approximation of Bu et al. 2019 for a Poisson-sampled Gaussian. It understates epsilon, by up to 99 %: it is here so that
 * published figures can be reproduced, and no engine uses it.
 */
import { gaussianEpsilon } from '../gaussian.ts';

export function centralLimitEpsilon(
  probability: number,
  noiseMultiplier: number,
  steps: number,
  delta: number,
): number {
  const variance = Math.exp(noiseMultiplier ** -2);
  // sqrt(e^{1/z^2} Phi(3/(2z)) + 3 Phi(-1/(2z)) - 2) is Dong's closed form for the product of removal and addition; Opacus takes e^{1/z^2} - 1.
  return gaussianEpsilon(probability * Math.sqrt(steps * (variance - 1)), delta);
}
