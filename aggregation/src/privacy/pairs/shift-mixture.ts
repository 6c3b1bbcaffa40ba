/**
 * What one person can do to an additive noise, at worst: P and Q are mixtures of the same noise at different centres. Centres of P are
 * not below those of Q, so that the privacy loss log(dP/dQ) rises with x for every noise with a log-concave density.
 */
export interface Shift {
  readonly centre: number;
  readonly weight: number;
}

export interface ShiftMixture {
  readonly p: readonly Shift[];
  readonly q: readonly Shift[];
}

const ORIGIN: readonly Shift[] = [{ centre: 0, weight: 1 }];

/** No sampling: the two outputs lie `distance` apart. */
export function plainShift(distance: number): ShiftMixture {
  return { p: [{ centre: distance, weight: 1 }], q: ORIGIN };
}

/** The person's part has one of several sizes, by secret coins, and is absent from Q. */
export function removal(sizes: readonly Shift[]): ShiftMixture {
  return { p: merge(sizes), q: ORIGIN };
}

/** {@link removal} the other way round, mirrored so that the loss rises. */
export function addition(sizes: readonly Shift[]): ShiftMixture {
  return { p: ORIGIN, q: merge(sizes.map(({ centre, weight }) => ({ centre: centre === 0 ? 0 : -centre, weight }))) };
}

/** With one coin the person's part is `up` in P and `-down` in Q; without, 0 in both. */
export function exchange(probability: number, up: number, down: number): ShiftMixture {
  return { p: coin(probability, up), q: coin(probability, -down) };
}

/** 0, or with the probability `distance`. */
export function coin(probability: number, distance: number): readonly Shift[] {
  return merge([
    { centre: 0, weight: 1 - probability },
    { centre: distance, weight: probability },
  ]);
}

function merge(shifts: readonly Shift[]): readonly Shift[] {
  const weights = new Map<number, number>();
  for (const { centre, weight } of shifts) {
    if (weight > 0) weights.set(centre, (weights.get(centre) ?? 0) + weight);
  }
  return [...weights].map(([centre, weight]) => ({ centre, weight })).sort((a, b) => a.centre - b.centre);
}

/**
 * log(sum of weight * e^{exponent}) where the weights sum to 1: to a relative accuracy also where it is near 0, as it is for a small
 * sampling probability.
 */
export function logMean(weights: readonly number[], exponents: readonly number[]): number {
  if (weights.length === 1) return exponents[0]!;
  let highest = -Infinity;
  for (const exponent of exponents) if (exponent > highest) highest = exponent;
  if (highest < 500) {
    let excess = 0;
    for (let i = 0; i < weights.length; i++) excess += weights[i]! * Math.expm1(exponents[i]!);
    if (excess > -0.5) return Math.log1p(excess);
  }
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i]! * Math.exp(exponents[i]! - highest);
  return highest + Math.log(sum);
}
