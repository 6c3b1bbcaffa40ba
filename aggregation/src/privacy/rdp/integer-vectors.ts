/** Renyi curves of vectors of integers with noise on each: bounds of the papers, by L1 and L2 norms. */
import type { DistributedDiscreteGaussian, SkellamVector } from '../events/event.ts';
import type { RenyiCurve } from './convert.ts';

/** Agarwal, Kairouz and Liu 2021, the bound for vectors with the scale made explicit. */
export function skellamRenyi({ scale, deviation, l1, l2 }: SkellamVector): RenyiCurve {
  const variance = deviation ** 2;
  return (order) => {
    const gaussian = (order * l2 ** 2) / (2 * variance);
    const fine = ((2 * order - 1) * scale * l2 ** 2 + 6 * l1) / (4 * scale ** 3 * variance ** 2);
    const coarse = (3 * l1) / (2 * scale * variance);
    return gaussian + Math.min(fine, coarse);
  };
}

/** 10 sum_{k=1}^{n-1} e^{-2 pi^2 sigma^2 k / (k + 1)}: how far a sum of discrete Gaussians is from one (Kairouz, Liu and Steinke 2021, theorem 1). */
export function summationGap(clients: number, localDeviation: number): number {
  let sum = 0;
  for (let k = 1; k < clients; k++) sum += Math.exp(-2 * (Math.PI * localDeviation) ** 2 * (k / (k + 1)));
  return 10 * sum;
}

/** Kairouz, Liu and Steinke 2021, proposition 14. */
export function distributedGaussianRenyi(event: DistributedDiscreteGaussian): RenyiCurve {
  const { clients, localDeviation, dimension } = event;
  const deviation = Math.sqrt(clients) * localDeviation;
  const [l1, l2] = [event.l1 / deviation, event.l2 / deviation];
  const gap = summationGap(clients, localDeviation);
  const byDimension = gap * dimension;
  const byL1 = l2 ** 2 + 2 * l1 * gap + gap ** 2 * dimension;
  const byL2 = (l2 + Math.sqrt(dimension) * gap) ** 2;
  return (order) => Math.min((order / 2) * l2 ** 2 + byDimension, (order / 2) * byL1, (order / 2) * byL2);
}

/** L2 norm of a vector after it was rounded to whole numbers, at random but only so often that the norm keeps this bound (Kairouz, Liu and Steinke 2021, theorem 1). */
export function roundedL2(l2: number, beta: number, dimension: number): number {
  const always = l2 + Math.sqrt(dimension);
  if (beta === 0) return always;
  const spread = Math.sqrt(2 * Math.log(1 / beta)) * (l2 + 0.5 * Math.sqrt(dimension));
  return Math.min(always, Math.sqrt(l2 ** 2 + dimension / 4 + spread));
}

/** L1 norm of a vector of whole numbers: |k| <= k^2. */
export function roundedL1(l2: number, dimension: number): number {
  return l2 * Math.min(Math.sqrt(dimension), l2);
}
