import {
  addNoiseShare,
  describeDistributed,
  openNoisySum,
  planDistributed,
  rotationSeed,
  treeSensitivitySquared,
} from '@carapace/aggregation';
import type { DistributedPlan, NoiseKind } from '@carapace/aggregation';
import { discreteGaussian, discreteLaplace, parseRational, skellam, systemRandom } from '@carapace/crypto';
import type { IntegerNoise, Rational } from '@carapace/crypto';
import { figure, measure, perSecond } from '../../scripts/bench-kit.ts';
import type { Bench, Figure, Measured } from '../../scripts/bench-kit.ts';

const DRAWS = 1 << 20;
const VALUES = 1_000_000;
const REPEATS = { warmUps: 3, repeats: 15 };
const ROUND = { clip: 0.03, seed: rotationSeed(new Uint8Array(32)) };

export const bench: Bench = {
  description: 'exact noise: draws of each sampler, and what distributed noise costs a client of 1,000,000 values',
  method:
    '2^20 draws added to 32-bit integers with the randomness of the operating system, one thread; then the whole half of a client: refuse, clip, rotate, scale, round until the exact norm fits, noise, wrap, at 100 clients with a floor of 70 and 16 bits; ' +
    'tables are made before, and their time is told; 3 warm-ups, 15 repeats, medians',
  run: async () => [...(await samplers()), ...(await tables()), ...(await client()), await tree()],
};

async function samplers(): Promise<Figure[]> {
  const square = (deviation: number): Rational => parseRational(String(deviation ** 2));
  const figures: Figure[] = [];
  const add = async (what: string, noise: IntegerNoise, anchor: string, goal: number | null = null): Promise<void> => {
    // Rejection is slow enough to be measured on fewer.
    const values = new Int32Array(what.includes('rejection') ? DRAWS / 32 : DRAWS);
    const measured = await measure(
      () => perSecond(values.length, () => noise.addTo(values, systemRandom)).then((rate) => rate / 1e6),
      REPEATS,
    );
    figures.push(figure(what, 'M/s', measured, { goal, anchor }));
  };
  const small =
    'Box-Muller on Math.random, not secure, 37; exact rejection on small integers 3 to 6 (Node 20); interval refining 0.03 (Haney et al. 2022)';
  for (const deviation of [3, 30, 300]) {
    await add(`discrete Gaussian, deviation ${deviation}`, discreteGaussian(square(deviation)), small, 20);
    await add(`Skellam, deviation ${deviation}`, skellam(square(deviation)), small, 20);
  }
  await add('discrete Laplace, scale 30', discreteLaplace(parseRational('30')), small, 20);
  await add(
    'discrete Gaussian, deviation 10^6',
    discreteGaussian(parseRational('1e12')),
    'three tables in place of one',
  );
  await add(
    'discrete Gaussian by rejection, deviation 300',
    discreteGaussian(square(300), 'rejection'),
    'the reference',
  );
  return figures;
}

async function tables(): Promise<Figure[]> {
  const make = (kind: NoiseKind, deviation: number): (() => number) => {
    const variance = parseRational(String(deviation ** 2));
    return () => milliseconds(() => (kind === 'skellam' ? skellam(variance) : discreteGaussian(variance)));
  };
  const anchor = 'once for each plan';
  return [
    figure('table of a discrete Gaussian, deviation 300', 'ms', await measure(make('discrete-gaussian', 300)), {
      anchor,
    }),
    figure('table of Skellam noise, deviation 300', 'ms', await measure(make('skellam', 300)), { anchor }),
    figure('table of Skellam noise, deviation 2000', 'ms', await measure(make('skellam', 2000)), { anchor }),
  ];
}

async function client(): Promise<Figure[]> {
  const update = Float32Array.from({ length: VALUES }, (_, i) => Math.sin(i) / 1000);
  const planOf = (noise: NoiseKind): DistributedPlan => {
    const plan = planDistributed({
      noise,
      dimension: VALUES,
      clients: 100,
      floor: 70,
      noiseMultiplier: parseRational('0.9'),
      bits: 16,
    });
    // Makes the tables.
    describeDistributed(plan);
    return plan;
  };
  const figures: Figure[] = [];
  for (const noise of ['skellam', 'discrete-gaussian'] as const) {
    const plan = planOf(noise);
    const measured = await measure(() => milliseconds(() => addNoiseShare(plan, ROUND, update, systemRandom)), REPEATS);
    figures.push(
      figure(`client, 1,000,000 values, ${noise}`, 'ms', measured, {
        goal: 60,
        atMost: true,
        anchor: 'a Hadamard transform of 2^20 in plain JavaScript alone 18 to 20 (Node 20)',
      }),
    );
  }
  const plan = planOf('skellam');
  const lanes = addNoiseShare(plan, ROUND, update, systemRandom);
  const opening = await measure(() => milliseconds(() => openNoisySum(plan, ROUND, lanes, 100)), REPEATS);
  return [...figures, figure('server, the sum of them back to numbers', 'ms', opening, { anchor: 'once a round' })];
}

async function tree(): Promise<Figure> {
  const measured: Measured = await measure(() =>
    milliseconds(() => {
      if (treeSensitivitySquared(2000, { most: 6, apart: 314 }) !== 79) throw new Error('the sensitivity is wrong');
    }),
  );
  return figure('sensitivity of a tree of 2000 steps, 6 participations, 314 apart', 'ms', measured, {
    goal: 1000,
    atMost: true,
    anchor:
      'TensorFlow Privacy 222,000 on such a host; 348,000 as published for Gboard (google-research/federated, dp_ftrl)',
  });
}

function milliseconds(body: () => unknown): number {
  const started = performance.now();
  body();
  return performance.now() - started;
}
