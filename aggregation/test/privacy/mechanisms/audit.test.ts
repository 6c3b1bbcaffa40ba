import { addNoiseShare, openNoisySum, planDistributed, rotationSeed } from '@carapace/aggregation';
import type { DistributedPlan } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { expect, test } from 'vitest';

/**
 * An attacker who knows everything but one client's update, and whether that is zero or as long as it may be. Noise of multiplier z
 * lets it be right with probability F(F^-1(a) + 1/z) when it may be wrong with probability a (Dong, Roth and Su 2022): F is the normal
 * distribution. It sees sums at the floor, where there is least noise.
 */
const RUNS = 6000;
const ROUND = { clip: 1, seed: rotationSeed(new Uint8Array(32)) };
const ATTACKED = Float32Array.of(0.5, -0.5, 0.5, 0.5);
const OTHER = Float32Array.of(-0.9, 0.1, 0, 0.3);
/** F^-1(0.05), and what a false alarm in 10^9 adds to a share of the runs. */
const QUANTILE = -1.6448536;
const SLACK = 6 * Math.sqrt(0.25 / RUNS);

const plan = planDistributed({
  noise: 'skellam',
  dimension: 4,
  clients: 3,
  floor: 2,
  noiseMultiplier: parseRational('1'),
  bits: 20,
});

function scores(of: DistributedPlan, update: Float32Array, random: RandomSource): Float64Array {
  return Float64Array.from({ length: RUNS }, () => {
    const [a, b] = [addNoiseShare(of, ROUND, update, random), addNoiseShare(of, ROUND, OTHER, random)];
    const lanes = a.map((lane, i) => (lane + b[i]!) >>> 0);
    const { sum } = openNoisySum(of, ROUND, lanes, 2);
    return sum.reduce((score, value, i) => score + value * ATTACKED[i]!, 0);
  }).sort();
}

function powerOfAttack(of: DistributedPlan): number {
  const random = seededRandom('audit');
  const without = scores(of, new Float32Array(4), random);
  const threshold = without[Math.ceil(0.95 * RUNS)]!;
  return scores(of, ATTACKED, random).filter((score) => score > threshold).length / RUNS;
}

/** Abramowitz and Stegun 26.2.17, to 10^-7. */
function normal(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const tail = series.reduce((sum, c, i) => sum + c * t ** (i + 1), 0) * Math.exp(-(x * x) / 2) * 0.3989422804;
  return x > 0 ? 1 - tail : tail;
}

test('an attack on the sum at the floor does no better than the noise multiplier lets it', () => {
  const power = powerOfAttack(plan);
  const allowed = normal(QUANTILE + 1);
  expect(power).toBeLessThan(allowed + SLACK);
  // And the attack is one: it gets nearly all of what it may.
  expect(power).toBeGreaterThan(allowed - SLACK - 0.03);
});

test('the audit objects to half of the noise', () => {
  const { numerator, denominator } = plan.localVariance;
  const power = powerOfAttack({ ...plan, localVariance: { numerator, denominator: 4n * denominator } });
  expect(power).toBeGreaterThan(normal(QUANTILE + 1) + SLACK);
});
