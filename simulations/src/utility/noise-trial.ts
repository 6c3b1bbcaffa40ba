/**
 * What noise costs a model: federated averaging over virtual clients, all of whom take part in every round. Trials of one seed have the same
 * shares of the data, the same first weights and the same orders of examples; only the noise differs.
 */
import { serverStep } from '@carapace/aggregation';
import type { LocalTraining } from '@carapace/aggregation';
import { buildShippedModel, openTrainingEngine } from '@carapace/client-sdk';
import type { Examples } from '@carapace/client-sdk';
import { iid } from '../partition/partition.ts';
import { seededRandom } from '../seeded-random.ts';
import { clippedMean, openCohortMean } from './cohort-mean.ts';
import type { CohortSettings, Noise } from './cohort-mean.ts';
import { virtualClients } from './virtual-clients.ts';

export interface NoiseTrial {
  readonly noise: Noise;
  readonly seed: string;
  /** A shipped model. */
  readonly model: string;
  readonly clients: number;
  readonly rounds: number;
  readonly training: LocalTraining;
  readonly clip: number;
  readonly noiseMultiplier: string;
  readonly serverLearningRate: number;
}

export interface NoiseTrialData {
  readonly train: Examples;
  readonly test: Examples;
}

export interface NoiseTrialRound {
  /** On the test examples, after the round. */
  readonly accuracy: number;
  /** Measured deviation of what the mean has beside the mean of the clipped updates, times the clients, over the clip. */
  readonly measuredMultiplier: number;
}

export async function runNoiseTrial(
  trial: NoiseTrial,
  { train, test }: NoiseTrialData,
  onRound: (round: NoiseTrialRound) => void = () => undefined,
): Promise<readonly NoiseTrialRound[]> {
  const { seed, clients, noise, serverLearningRate } = trial;
  const world = seededRandom(`utility/${seed}`);
  const model = await buildShippedModel(trial.model, world.fork('weights'));
  const engine = await openTrainingEngine();
  const trainer = await engine.load({ ...model, loss: trial.training.loss });
  const { layout, updates } = virtualClients({
    model,
    trainer,
    examples: train,
    partition: iid(train.count, clients, world.fork('partition')),
    training: trial.training,
    random: world.fork('orders'),
  });
  const random = world.fork(noise);
  const settings: CohortSettings = { ...trial, dimension: layout.size };
  let weights: Float32Array = model.weights;
  const rounds: NoiseTrialRound[] = [];
  for (let number = 1; number <= trial.rounds; number++) {
    const [cohort, plain] = [openCohortMean(noise, settings, random), clippedMean(settings)];
    for await (const update of updates(number, weights)) {
      cohort.add(update);
      plain.add(update);
    }
    const mean = cohort.mean();
    weights = serverStep({ kind: 'fedavg', serverLearningRate }, layout, weights, mean);
    trainer.setWeights(weights);
    const { accuracy } = await trainer.evaluate(test);
    const round = {
      accuracy: accuracy ?? Number.NaN,
      measuredMultiplier: (distance(mean, plain.mean()) * clients) / trial.clip,
    };
    rounds.push(round);
    onRound(round);
  }
  trainer.dispose();
  engine.dispose();
  return rounds;
}

/** Root of the mean square. */
function distance(one: Float64Array, other: Float64Array): number {
  let squares = 0;
  for (let i = 0; i < one.length; i++) squares += (one[i]! - other[i]!) ** 2;
  return Math.sqrt(squares / one.length);
}
