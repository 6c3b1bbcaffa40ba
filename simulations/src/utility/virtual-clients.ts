/** Clients that share one process: each trains with the production trainer on examples of its own, all with one compiled model. */
import {
  deltaOf,
  layoutOf,
  newClientId,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  PROTOCOL_VERSION,
} from '@carapace/aggregation';
import type { Assignment, Layout, LocalTraining } from '@carapace/aggregation';
import { engineTrainer, fromExamples } from '@carapace/client-sdk';
import type { Examples, InitialModel, LocalTrainer, Trainer, TrainingEngine } from '@carapace/client-sdk';
import type { RandomSource } from '@carapace/crypto';
import type { Partition } from '../partition/partition.ts';

export interface VirtualClients {
  readonly layout: Layout;
  /** What each client has learned from the global weights, one after the other; nothing of it is kept. */
  readonly updates: (round: number, weights: Float32Array) => AsyncGenerator<Float32Array>;
}

export interface VirtualClientsOptions {
  readonly model: InitialModel;
  readonly trainer: Trainer;
  readonly examples: Examples;
  readonly partition: Partition;
  readonly training: LocalTraining;
  /** Orders of examples. */
  readonly random: RandomSource;
}

export function virtualClients(options: VirtualClientsOptions): VirtualClients {
  const { model, trainer, examples, partition, random } = options;
  const layout = layoutOf(model.tensors);
  const engine = sharedEngine(trainer);
  const trainers = partition.map((indices) =>
    engineTrainer({
      data: fromExamples(chosen(examples, indices)),
      engine: () => Promise.resolve(engine),
      random,
    }),
  );
  return {
    layout,
    updates: async function* (round, weights) {
      const assignment = assignmentOf(options, round);
      for (const train of trainers)
        yield await update(train, { assignment, layout, weights, topology: model.topology });
    },
  };
}

async function update(
  train: LocalTrainer,
  work: Pick<Parameters<LocalTrainer>[0], 'assignment' | 'layout' | 'weights' | 'topology'>,
): Promise<Float32Array> {
  const signal = new AbortController().signal;
  const { weights } = await train({ ...work, signal, note: () => undefined, charge: () => Promise.resolve() });
  return deltaOf(work.layout, work.weights, weights);
}

/** A client disposes of a trainer that it has no more use for; this one has others. */
function sharedEngine(trainer: Trainer): TrainingEngine {
  const kept: Trainer = {
    engine: trainer.engine,
    parameters: trainer.parameters,
    setWeights: (flat) => trainer.setWeights(flat),
    weights: () => trainer.weights(),
    trainEpoch: (examples, order, training, signal) => trainer.trainEpoch(examples, order, training, signal),
    evaluate: (examples) => trainer.evaluate(examples),
    dispose: () => undefined,
  };
  return { name: trainer.engine, load: () => Promise.resolve(kept), dispose: () => undefined };
}

function assignmentOf({ model, training, random }: VirtualClientsOptions, round: number): Assignment {
  const nothing = parseDigest('0'.repeat(64));
  return {
    protocol: PROTOCOL_VERSION,
    task: parseTaskId('utility'),
    round: parseRoundId(`utility.${round}`).id,
    client: newClientId(random),
    model: {
      name: parseModelName('utility'),
      version: round,
      weights: nothing,
      topology: nothing,
      tensors: model.tensors,
    },
    training,
    protection: { kind: 'clear' },
    deadline: 0,
    issuedAt: 0,
  };
}

function chosen({ features, labels, count }: Examples, indices: Uint32Array): Examples {
  const width = features.length / count;
  const own = new Float32Array(indices.length * width);
  indices.forEach((index, row) => own.set(features.subarray(index * width, (index + 1) * width), row * width));
  return { count: indices.length, features: own, labels: Int32Array.from(indices, (index) => labels[index]!) };
}
