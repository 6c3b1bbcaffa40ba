/** The shortened form of `npm run bench -- dp-utility`: a tenth of its clients, three rounds, and an epsilon at which so few still learn. */
import { mnistExamples, NOISES, planUtility, runNoiseTrial } from '@carapace/simulations';
import type { Noise, NoiseTrialRound } from '@carapace/simulations';
import { beforeAll, describe, expect, test } from 'vitest';

const PARAMETERS = 199_210;
const TARGET = { clients: 100, dimension: PARAMETERS, rounds: 3, clip: 0.5, epsilon: 60, delta: 1e-5 };
const TRAINING = {
  epochs: 1,
  batchSize: 20,
  optimizer: { kind: 'sgd', learningRate: 0.3, momentum: 0 },
  loss: 'sparse-categorical-crossentropy',
  maxExamples: 60,
} as const;
/** Rounding to 16 bits lengthens what noise is scaled to by less than this, and so the noise. */
const ROUNDING = 1.01;
/** Of the deviation of one noise vector, relative: 5 of its own deviations, 1 / sqrt(2 values) each. Six are measured: false alarm 4e-6. */
const BAND = 5 / Math.sqrt(2 * PARAMETERS);
/** Accuracy of a model trained by so few moves by a few points with the noise that is drawn. */
const POINTS = 0.05;

const upTo = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_value, index) => index);

describe('distributed 16-bit noise beside central noise of the same multiplier', () => {
  const plan = planUtility(TARGET);
  const multiplier = Number(plan.noiseMultiplier);
  const outcomes = new Map<Noise, readonly NoiseTrialRound[]>();
  const lastOf = (noise: Noise): number => outcomes.get(noise)!.at(-1)!.accuracy;
  const measuredOf = (noise: Noise): number[] => outcomes.get(noise)!.map((round) => round.measuredMultiplier);

  beforeAll(async () => {
    const data = { train: await mnistExamples('train', upTo(6000)), test: await mnistExamples('test', upTo(2000)) };
    const trial = { ...TARGET, ...plan, model: 'mnist-2nn', training: TRAINING, seed: 'short', serverLearningRate: 2 };
    for (const noise of NOISES) outcomes.set(noise, await runNoiseTrial({ ...trial, noise }, data));
  }, 240_000);

  test('the certified engine confirms the target; Gaussian noise of that multiplier costs a little less', () => {
    expect(plan.distributedEpsilon).toBeLessThanOrEqual(TARGET.epsilon);
    expect(plan.centralEpsilon).toBeLessThan(plan.distributedEpsilon);
    expect(plan.centralEpsilon).toBeGreaterThan(0.8 * plan.distributedEpsilon);
  });

  test('the update without noise is the mean of the clipped updates', () => {
    expect(measuredOf('none')).toEqual([0, 0, 0]);
  });

  test.each(NOISES.filter((noise) => noise !== 'none'))('%s noise on the update is as wide as was planned', (noise) => {
    for (const measured of measuredOf(noise)) {
      expect(measured / multiplier).toBeGreaterThan(1 - BAND);
      expect(measured / multiplier).toBeLessThan(ROUNDING * (1 + BAND));
    }
  });

  test('both learn, alike, and less than without noise', () => {
    console.log(`accuracies: ${NOISES.map((noise) => `${noise} ${lastOf(noise)}`).join(', ')}`);
    expect(Math.abs(lastOf('distributed') - lastOf('central'))).toBeLessThan(POINTS);
    for (const noise of NOISES) expect(lastOf(noise)).toBeGreaterThan(0.4);
    expect(lastOf('none')).toBeGreaterThan(Math.max(lastOf('central'), lastOf('distributed')) - 0.02);
  });
});
