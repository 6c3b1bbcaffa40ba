/** Squared L2 sensitivity of C x, where x has one row a round and a person is in up to k of them, `separation` rounds or more apart. */

/**
 * C is the square root of the prefix sum: Toeplitz with c_0 = 1, c_j = c_{j-1} (2j - 1) / (2j) (Fichtenberger, Henzinger and Upadhyay 2023). Its
 * entries are positive and fall, so that inner products of columns are the larger the earlier and the closer they are: the worst
 * is to take part in the rounds 0, b, 2b, ..., always in the same direction.
 */
export function squareRootSensitivitySquared(rounds: number, participations: number, separation: number): number {
  const coefficients = new Float64Array(rounds);
  coefficients[0] = 1;
  for (let j = 1; j < rounds; j++) coefficients[j] = (coefficients[j - 1]! * (2 * j - 1)) / (2 * j);
  const gap = separation + 1;
  const count = Math.min(participations, Math.ceil(rounds / gap));
  let sum = 0;
  for (let row = 0; row < rounds; row++) {
    let value = 0;
    for (let i = 0; i < count && i * gap <= row; i++) value += coefficients[row - i * gap]!;
    sum += value * value;
  }
  return sum;
}

/** C has a band no wider than the separation: columns of one person do not overlap (Choquette-Choo et al. 2023). */
export function bandedSensitivitySquared(
  rounds: number,
  participations: number,
  separation: number,
  columnNorm: number,
): number {
  return Math.min(participations, Math.ceil(rounds / (separation + 1))) * columnNorm ** 2;
}
