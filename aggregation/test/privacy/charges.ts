/** Events for the tests. */
import type { Charge, PrivacyEvent } from '@carapace/aggregation';
import fc from 'fast-check';

export function sampledGaussian(probability: number, noiseMultiplier: number, count: number): Charge {
  const gaussian = { kind: 'gaussian', noiseMultiplier } as const;
  return { event: probability === 1 ? gaussian : { kind: 'poisson', probability, event: gaussian }, count };
}

function logUniform(low: number, high: number): fc.Arbitrary<number> {
  return fc
    .double({ min: Math.log(low), max: Math.log(high), noNaN: true })
    .map((x) => Number(Math.exp(x).toPrecision(6)));
}

export const delta: fc.Arbitrary<number> = logUniform(1e-12, 1e-4);
export const noise: fc.Arbitrary<number> = logUniform(0.5, 20);
export const probability: fc.Arbitrary<number> = logUniform(1e-4, 1);
export const steps: fc.Arbitrary<number> = logUniform(1, 20_000).map(Math.round);

const integerNoise: fc.Arbitrary<PrivacyEvent> = fc.oneof(
  logUniform(0.2, 300).map((variance) => ({ kind: 'discrete-gaussian', variance, sensitivity: 1 }) as const),
  logUniform(1, 300).map((variance) => ({ kind: 'skellam', variance, sensitivity: 2 }) as const),
  logUniform(0.5, 30).map((scale) => ({ kind: 'discrete-laplace', scale, sensitivity: 1 }) as const),
);

/** Everything with a dominating pair under every relation. */
export const event: fc.Arbitrary<PrivacyEvent> = fc.oneof(
  { arbitrary: fc.tuple(probability, noise).map(([q, z]) => sampledGaussian(q, z, 1).event), weight: 4 },
  fc
    .tuple(probability, logUniform(0.5, 30))
    .map(([q, scale]) => ({ kind: 'poisson', probability: q, event: { kind: 'laplace', scale } }) as const),
  integerNoise,
  fc.tuple(logUniform(10, 1e5), fc.double({ min: 0, max: 1, noNaN: true }), noise).map(([n, share, z]) => {
    const population = Math.round(n);
    return {
      kind: 'truncated-poisson',
      population,
      probability: 0.1,
      cap: 1 + Math.floor(share * population),
      noiseMultiplier: 2 * z,
    } as const;
  }),
  logUniform(0.01, 1).map((epsilon) => ({ kind: 'epsilon-delta', epsilon, delta: 0 }) as const),
);

export const charges: fc.Arbitrary<readonly Charge[]> = fc.array(
  fc.tuple(event, steps).map(([one, count]) => ({ event: one, count })),
  { minLength: 1, maxLength: 3 },
);
