/**
 * Clipping to an L2 norm: the client's half of every mechanism here. It serves utility; privacy rests on what is checked again in
 * integers after rounding (`integer-norm.ts`).
 */
import { AggregationError } from '../../errors.ts';
import { allFinite } from '../../finite.ts';

/** Beyond these, products with float32 values may leave binary64. */
export const LEAST_CLIP = 1e-30;
export const MOST_CLIP = 1e30;

export interface Clipping {
  /** L2 norm of the vector as it came. */
  readonly norm: number;
  /** What the vector is multiplied by so that its norm is at most the clip. */
  readonly factor: number;
  /** Whether the vector was within the clip already: the bit of adaptive clipping. */
  readonly isWithin: boolean;
}

export function isClip(clip: number): boolean {
  return clip >= LEAST_CLIP && clip <= MOST_CLIP;
}

/**
 * Refuses what is not finite before anything is computed from it: `Math.min(1, clip / NaN)` would let it through.
 * @throws AggregationError `MECHANISM_NONFINITE`
 */
export function clipping(values: Float32Array | Float64Array, clip: number): Clipping {
  if (!allFinite(values)) throw new AggregationError('MECHANISM_NONFINITE', 'the vector holds NaN or an infinity');
  const { largest, relative } = l2Norm(values);
  const norm = largest * relative;
  const isWithin = norm <= clip;
  // One after the other: their product may be more than binary64 holds.
  return { norm, factor: isWithin ? 1 : clip / largest / relative, isWithin };
}

/** The norm as a product, whose second factor is at most the root of the length where the first is the largest magnitude. */
function l2Norm(values: Float32Array | Float64Array): { readonly largest: number; readonly relative: number } {
  const direct = Math.sqrt(sumOfSquares(values, 1));
  // Squares of float32 are all within binary64; those of binary64 may overflow, or vanish.
  if (direct > 1e-140 && direct < Infinity) return { largest: 1, relative: direct };
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return { largest, relative: largest === 0 ? 0 : Math.sqrt(sumOfSquares(values, largest)) };
}

function sumOfSquares(values: Float32Array | Float64Array, unit: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! / unit) ** 2;
  return sum;
}
