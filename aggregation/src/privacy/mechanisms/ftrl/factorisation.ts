/**
 * Factorisations A = B C of the prefix-sum matrix by Toeplitz matrices: what is released is B (C x + z). The square root C = B = A^(1/2)
 * has coefficients c_0 = 1, c_k = c_(k-1) (2k - 1) / (2k) (Fichtenberger, Henzinger and Upadhyay 2023); cut off after a band it needs
 * memory for the band alone (Kalinin and Lampert, "Banded Square Root Matrix Factorization", 2024).
 *
 * Coefficients are integers over 2^12, so that C x of integer sums is an integer vector, exactly, and so is its sensitivity.
 */
import { checkParticipation } from './participation.ts';
import type { Participation } from './participation.ts';

export const FRACTION_BITS = 12;

/** c_0 to c_(count-1). */
export function toeplitzSquareRoot(count: number): Float64Array {
  const coefficients = new Float64Array(count).fill(1, 0, 1);
  for (let k = 1; k < count; k++) coefficients[k] = (coefficients[k - 1]! * (2 * k - 1)) / (2 * k);
  return coefficients;
}

/** The first `band` coefficients times 2^12, rounded; they fall, and none is negative. */
export function bandedSquareRoot(band: number): Int32Array {
  return Int32Array.from(toeplitzSquareRoot(band), (value) => Math.round(value * 2 ** FRACTION_BITS));
}

/**
 * Largest squared norm of the sum of the columns that one person's contributions fall on, times 2^24. For coefficients that are not
 * negative and fall it is reached by the earliest ones, as close together as they may be, all in the same direction (Kalinin and
 * Lampert 2024; a test goes through all patterns). With a band of at most the distance no two columns meet: then it is their number times one column.
 * @throws AggregationError `MECHANISM_PARAMETERS`
 */
export function toeplitzSensitivitySquared(
  coefficients: Int32Array,
  steps: number,
  participation: Participation,
): bigint {
  checkParticipation(steps, participation);
  const { most, apart } = participation;
  const rows = new Float64Array(steps);
  for (let i = 0; i < most && i * apart < steps; i++) {
    for (let k = 0; k < coefficients.length && i * apart + k < steps; k++) rows[i * apart + k]! += coefficients[k]!;
  }
  return rows.reduce((sum, entry) => sum + BigInt(entry) ** 2n, 0n);
}
