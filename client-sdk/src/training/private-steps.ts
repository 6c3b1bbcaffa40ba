/**
 * DP-SGD on the device (Abadi et al. 2016, algorithm 1): examples are who is protected, against everybody who sees the update. Each example is in a batch by a coin of its
 * own; its gradient is clipped and put on a lattice of integers, the sum is of integers and gets discrete Gaussian noise, and what follows (the division by the expected size
 * of a batch, momentum, the step) is computed from that alone.
 *
 * A gradient is the step of a batch of one, so whatever an example does to it is within its own clip: no sum of floats is trusted with a sensitivity. It costs one call of
 * the engine an example.
 */
import { allFinite, CentralSum, planCentral, stepsCharge } from '@carapace/aggregation';
import type { ExamplePrivacy, LatticePlan } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import type { LocalWork } from '../local-trainer.ts';
import type { Examples, Trainer } from './engine.ts';
import { refusePerExample } from './plan/per-example.ts';
import { parseTopology } from './plan/topology.ts';

/** One step that takes the gradient off the weights, whole. */
const GRADIENT = { batchSize: 1, optimizer: { kind: 'sgd', learningRate: 1, momentum: 0 } } as const;

/**
 * The weights after all local steps.
 * @throws ClientError `MODEL_UNSUPPORTED` for a model in which the examples of a batch meet, or of which nobody can tell; and what `work.charge` does
 */
export async function privateSteps(
  trainer: Trainer,
  examples: Examples,
  work: LocalWork,
  privacy: ExamplePrivacy,
  random: RandomSource,
): Promise<Float32Array> {
  refusePerExample(parseTopology(work.topology));
  const { epochs, batchSize, optimizer } = work.assignment.training;
  const size = Math.min(batchSize, examples.count);
  const [rate, steps] = [size / examples.count, Math.ceil(examples.count / size)];
  const plan = planCentral({
    dimension: work.weights.length,
    noiseMultiplier: parseRational(privacy.noiseMultiplier),
  });
  await work.charge(stepsCharge(plan, rate, epochs * steps));
  const weights = new Float32Array(work.weights);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const velocity = new Float64Array(weights.length);
    for (let step = 0; step < steps; step++) {
      const batch = drawn(examples.count, rate, random);
      const sum = await noisySum(trainer, examples, { weights, batch, plan, clip: privacy.clip }, work.signal, random);
      for (let i = 0; i < weights.length; i++) {
        velocity[i] = optimizer.momentum * velocity[i]! + sum[i]! / size;
        weights[i]! -= optimizer.learningRate * velocity[i]!;
      }
    }
  }
  return weights;
}

interface Step {
  readonly weights: Float32Array;
  readonly batch: readonly number[];
  readonly plan: LatticePlan;
  readonly clip: number;
}

async function noisySum(
  trainer: Trainer,
  examples: Examples,
  { weights, batch, plan, clip }: Step,
  signal: AbortSignal,
  random: RandomSource,
): Promise<Float64Array> {
  const sum = new CentralSum(plan, clip);
  for (const example of batch) {
    trainer.setWeights(weights);
    await trainer.trainEpoch(examples, Uint32Array.of(example), GRADIENT, signal);
    const gradient = trainer.weights();
    for (let i = 0; i < gradient.length; i++) gradient[i] = weights[i]! - gradient[i]!;
    // One that has no gradient counts as nothing: that training failed would tell of it.
    if (allFinite(gradient)) sum.add(gradient);
  }
  signal.throwIfAborted();
  return sum.release(random);
}

/** Each example by a coin that comes up with the rate, or up to 2^-53 less. */
function drawn(count: number, rate: number, random: RandomSource): number[] {
  // A double times 2^53 keeps its digits; what is below a whole number then is cut off.
  const bound = BigInt(Math.floor(rate * 2 ** 53)) << 11n;
  const words = new BigUint64Array(random.bytes(8 * count).slice().buffer);
  return Array.from(words.keys()).filter((i) => words[i]! < bound);
}
