/** The slow twin of the rounding kernel: what it computes, one value at a time. */
import type { Rounding } from './rounding.ts';

/** The coin, 32 random bits, rounds up with the probability of the fraction, to 2^-32. */
export function roundReference(value: number, coin: number, { share, clip, laneMax }: Rounding): number {
  const clipped = Math.min(clip, Math.max(-clip, value));
  // Rounding of the product may lie a hair above the top.
  const exact = Math.min(laneMax, (clipped * share + clip) * (laneMax / (2 * clip)));
  const floor = Math.floor(exact);
  return floor + (coin * 2 ** -32 < exact - floor ? 1 : 0);
}
