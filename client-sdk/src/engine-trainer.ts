/** Trains with a {@link TrainingEngine} on a {@link DataSource}: the ordinary way to take part. Both are opened with the first round. */
import { uniformInteger } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import type { DataSource } from './data/source.ts';
import { ClientError } from './errors.ts';
import type { LocalTrainer, LocalWork } from './local-trainer.ts';
import { privateSteps } from './training/private-steps.ts';
import type { EpochResult, Examples, Trainer, TrainingEngine } from './training/engine.ts';

export interface EngineTrainerOptions {
  readonly data: DataSource;
  readonly engine: (note: (message: string) => void) => Promise<TrainingEngine>;
  readonly random: RandomSource;
}

interface Ready {
  readonly engine: TrainingEngine;
  readonly examples: Examples;
}

export function engineTrainer({ data, engine, random }: EngineTrainerOptions): LocalTrainer {
  let opening: Promise<Ready> | null = null;
  const trainers = new Map<string, Trainer>();
  const open = async (work: LocalWork): Promise<Ready> => {
    const [opened, examples] = await Promise.all([engine(work.note), data.load(work.signal)]);
    if (examples.count === 0) throw new ClientError('DATA_INVALID', `${data.description} has no examples`);
    return { engine: opened, examples };
  };
  return async (work) => {
    opening ??= open(work);
    const ready = await opening.catch((error: unknown) => {
      // The next round tries again: a missing file may be there by then.
      opening = null;
      throw error;
    });
    const trainer = await trainerOf(trainers, ready.engine, work);
    return train(trainer, ready.examples, work, random);
  };
}

/** One trainer per architecture: building the model costs more than a small round. */
async function trainerOf(
  trainers: Map<string, Trainer>,
  engine: TrainingEngine,
  { assignment, topology }: LocalWork,
): Promise<Trainer> {
  const key = `${assignment.model.topology} ${assignment.training.loss}`;
  const kept = trainers.get(key);
  if (kept !== undefined) return kept;
  for (const old of trainers.values()) old.dispose();
  trainers.clear();
  const trainer = await engine.load({ topology, tensors: assignment.model.tensors, loss: assignment.training.loss });
  trainers.set(key, trainer);
  return trainer;
}

async function train(
  trainer: Trainer,
  examples: Examples,
  work: LocalWork,
  random: RandomSource,
): ReturnType<LocalTrainer> {
  const { assignment, weights, signal } = work;
  const { training } = assignment;
  const count = Math.min(examples.count, training.maxExamples);
  // A loss as seen while training has no noise: it stays here.
  if (training.privacy)
    return {
      weights: await privateSteps(trainer, examples, work, training.privacy, random),
      examples: count,
      metrics: {},
    };
  trainer.setWeights(weights);
  let last: EpochResult = { loss: 0, steps: 0 };
  for (let epoch = 0; epoch < training.epochs; epoch++) {
    last = await trainer.trainEpoch(examples, shuffled(examples.count, random), training, signal);
  }
  return { weights: trainer.weights(), examples: count, metrics: { trainLoss: last.loss } };
}

function shuffled(count: number, random: RandomSource): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_value, index) => index);
  for (let i = count - 1; i > 0; i--) {
    const j = uniformInteger(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
