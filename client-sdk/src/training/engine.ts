/**
 * The one interface between a participant and whatever trains: TensorFlow.js first, compiled engines later. Weights go in and
 * out as one flat float32 vector in `tf.LayersModel.getWeights()` order, so that the federated payload is one memory copy.
 */
import type { LocalTraining, Loss, TensorSpec } from '@carapace/aggregation';

export interface TrainingEngine {
  /** For logs and `carapace doctor`: which engine and which backend, such as `tfjs-wasm`. */
  readonly name: string;
  /** @throws ClientError `MODEL_UNSUPPORTED` when a layer, loss or optimizer is not one this engine can train */
  load(model: ModelSpec): Promise<Trainer>;
  dispose(): void;
}

export interface ModelSpec {
  /** JSON text of a TensorFlow.js layers model: its `modelTopology`. */
  readonly topology: string;
  /** Names and shapes of the weights, in their order. */
  readonly tensors: readonly TensorSpec[];
  readonly loss: Loss;
}

/** Features and labels of `count` examples, flat. */
export interface Examples {
  readonly count: number;
  /** count x the model's input size, row-major. */
  readonly features: Float32Array;
  /** With a sparse loss: count class indices. Otherwise count x output size. */
  readonly labels: Int32Array | Float32Array;
}

export interface Trainer {
  readonly parameters: number;
  setWeights(flat: Float32Array): void;
  /** A copy. */
  weights(): Float32Array;
  /**
   * One pass over the examples in the given order (indices into them), in batches of `batchSize`; a last short batch counts.
   * Aborts between batches.
   */
  trainEpoch(
    examples: Examples,
    order: Uint32Array,
    training: LocalTraining,
    signal: AbortSignal,
  ): Promise<EpochResult>;
  evaluate(examples: Examples): Promise<Evaluation>;
  dispose(): void;
}

export interface EpochResult {
  /** Mean loss over the examples, as seen while training. */
  readonly loss: number;
  readonly steps: number;
}

export interface Evaluation {
  /** Mean loss over the examples. */
  readonly loss: number;
  /** Share of examples whose arg-max is right; `null` when the model is not a classifier. */
  readonly accuracy: number | null;
}
