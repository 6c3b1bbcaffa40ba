/** One pass over the numbers: a single NaN poisons a mean for ever (frameworks that skip this are named in `docs/`). */
export function allFinite(values: Float32Array | Float64Array): boolean {
  // x - x is 0 for every finite x and NaN otherwise; a sum of zeros stays 0, so one comparison at the end is enough.
  let residue = 0;
  for (let i = 0; i < values.length; i++) residue += values[i]! - values[i]!;
  return residue === 0;
}
