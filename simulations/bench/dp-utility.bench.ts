/** What differential privacy costs in accuracy: distributed 16-bit noise beside central noise of the same multiplier, and beside none. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { layoutOf } from '@carapace/aggregation';
import { buildShippedModel } from '@carapace/client-sdk';
import { mnistExamples, NOISES, planUtility, runNoiseTrial, seededRandom } from '@carapace/simulations';
import type { Noise, NoiseTrial, UtilityPlan } from '@carapace/simulations';
import { machine, readable } from '../../scripts/bench-kit.ts';
import type { Bench, Figure } from '../../scripts/bench-kit.ts';

/** The first is what the figure is about; with the second the noise is as large as it may be while something is learned. */
const COHORTS = [1000, 100];
const EXAMPLES_EACH = 60;
const TARGET = { rounds: 15, clip: 0.5, epsilon: 8, delta: 1e-5 };
const TRIAL = {
  model: 'mnist-2nn',
  training: {
    epochs: 1,
    batchSize: 20,
    optimizer: { kind: 'sgd', learningRate: 0.3, momentum: 0 },
    loss: 'sparse-categorical-crossentropy',
    maxExamples: 60,
  },
  serverLearningRate: 2,
} as const;
const SEEDS = ['1', '2', '3'];

interface Trial {
  readonly noise: Noise;
  readonly seed: string;
  /** After each round, on the 10,000 test images. */
  readonly accuracies: readonly number[];
  /** Of the noise on the mean, as measured in each round. */
  readonly multipliers: readonly number[];
  readonly cpuSeconds: number;
}

interface Cohort {
  readonly clients: number;
  readonly plan: UtilityPlan;
  readonly trials: Trial[];
}

interface Results {
  readonly machine: string;
  /** Of the quarter of an hour before it began. */
  readonly load: number;
  readonly target: typeof TARGET;
  readonly trial: typeof TRIAL;
  readonly cohorts: Cohort[];
}

export const bench: Bench = {
  description: 'accuracy of the MNIST 2NN under user-level epsilon 8: distributed noise beside central noise and none',
  method:
    `${COHORTS.join(' and ')} virtual clients with ${EXAMPLES_EACH} images each (even shares), all in every one of ${TARGET.rounds} rounds; FedAvg with the training engine, clip and both halves of the mechanisms of production, ` +
    'masks left out, lanes summed modulo 2^32; nothing is gained by sampling, so epsilon holds with every cohort public, relation zero-out; the certified engine prices the distributed noise, the central one has the same multiplier; ' +
    `seeds ${SEEDS.join(', ')}: shares, first weights and orders are the same for the three; accuracy of the last round on the 10,000 test images. ` +
    'Half an hour of one core; DP_UTILITY_RESULTS=FILE keeps each trial there and goes on from it',
  run: async () => {
    const { cohorts } = await trials(process.env['DP_UTILITY_RESULTS'] ?? null);
    return cohorts.flatMap(figures);
  },
};

async function trials(file: string | null): Promise<Results> {
  const results = begun(file);
  const test = await mnistExamples('test');
  for (const clients of COHORTS) {
    const train = await mnistExamples('train', upTo(clients * EXAMPLES_EACH));
    const cohort = await cohortOf(results, clients);
    for (const seed of SEEDS) {
      for (const noise of NOISES) {
        if (cohort.trials.some((trial) => trial.noise === noise && trial.seed === seed)) continue;
        const trial = { ...TARGET, ...TRIAL, clients, noise, seed, noiseMultiplier: cohort.plan.noiseMultiplier };
        cohort.trials.push(await timed(trial, { train, test }));
        if (file !== null) writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
      }
    }
  }
  return results;
}

function begun(file: string | null): Results {
  const fresh: Results = { machine: machine(), load: loadavg()[2] ?? 0, target: TARGET, trial: TRIAL, cohorts: [] };
  if (file === null || !existsSync(file)) return fresh;
  const kept = JSON.parse(readFileSync(file, 'utf8')) as Results;
  const settings = ({ target, trial }: Results): string => JSON.stringify([target, trial]);
  if (settings(kept) !== settings(fresh)) throw new Error(`${file} holds the results of other settings`);
  return kept;
}

async function cohortOf({ cohorts }: Results, clients: number): Promise<Cohort> {
  const kept = cohorts.find((cohort) => cohort.clients === clients);
  if (kept !== undefined) return kept;
  const { tensors } = await buildShippedModel(TRIAL.model, seededRandom('shape'));
  const plan = planUtility({ ...TARGET, clients, dimension: layoutOf(tensors).size });
  const cohort: Cohort = { clients, plan, trials: [] };
  cohorts.push(cohort);
  return cohort;
}

function upTo(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_value, index) => index);
}

async function timed(trial: NoiseTrial, data: Parameters<typeof runNoiseTrial>[1]): Promise<Trial> {
  const started = process.cpuUsage();
  const rounds = await runNoiseTrial(trial, data);
  const { user, system } = process.cpuUsage(started);
  return {
    noise: trial.noise,
    seed: trial.seed,
    accuracies: rounds.map(({ accuracy }) => accuracy),
    multipliers: rounds.map(({ measuredMultiplier }) => measuredMultiplier),
    cpuSeconds: Math.round((user + system) / 1e6),
  };
}

function figures({ clients, plan, trials: all }: Cohort): Figure[] {
  const of = (noise: Noise): number[] =>
    SEEDS.map((seed) => 100 * all.find((trial) => trial.noise === noise && trial.seed === seed)!.accuracies.at(-1)!);
  const told = (what: string, values: readonly number[], more: Pick<Figure, 'goal' | 'anchor'>): Figure => ({
    what: `${clients} clients, ${what}, mean of ${values.length} seeds, deviation ${readable(deviation(values))}`,
    value: mean(values),
    unit: '%',
    spread: [Math.min(...values), Math.max(...values)],
    ...more,
  });
  const [none, central, distributed] = [of('none'), of('central'), of('distributed')];
  const gap = distributed.map((value, i) => value - central[i]!);
  const seedNoise = Math.hypot(deviation(central), deviation(distributed));
  const multiplier = `multiplier ${plan.noiseMultiplier}`;
  return [
    told('accuracy without noise', none, { goal: null, anchor: 'the same clip, rounds and rates' }),
    told('accuracy with central noise', central, {
      goal: null,
      anchor: `${multiplier}: epsilon ${plan.centralEpsilon.toFixed(3)}`,
    }),
    told('accuracy with distributed noise', distributed, {
      goal: null,
      anchor: `${multiplier}: epsilon ${plan.distributedEpsilon.toFixed(3)} by the certified engine`,
    }),
    {
      what: `${clients} clients, distributed less central noise, absolute mean over seeds`,
      value: Math.abs(mean(gap)),
      unit: 'points',
      spread: [Math.min(...gap), Math.max(...gap)],
      goal: seedNoise,
      atMost: true,
      anchor: 'seed noise: deviation of the difference of two runs of different seeds',
    },
    {
      what: `${clients} clients, measured noise of the distributed over that of the central update`,
      value: mean(ratios(all)),
      unit: 'x',
      spread: [Math.min(...ratios(all)), Math.max(...ratios(all))],
      goal: 1.02,
      atMost: true,
      anchor: '1 and what rounding to 16 bits adds to the sensitivity',
    },
  ];
}

/** Deviation over deviation, round by round. */
function ratios(all: readonly Trial[]): number[] {
  return SEEDS.flatMap((seed) => {
    const of = (noise: Noise): readonly number[] =>
      all.find((trial) => trial.noise === noise && trial.seed === seed)!.multipliers;
    return of('distributed').map((value, round) => value / of('central')[round]!);
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample. */
function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
