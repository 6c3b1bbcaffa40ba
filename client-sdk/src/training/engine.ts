/**
 * The one interface between a participant and whatever trains: compiled plans, or TensorFlow.js itself. Weights go in and out as one
 * flat float32 vector in `tf.LayersModel.getWeights()` order, so that the federated payload is one memory copy.
 */
import type { TensorSpec } from '@carapace/aggregation';
import type { LossName, TrainingSettings } from './settings.ts';

export interface TrainingEngine {
  /** For logs and `carapace doctor`: which engine and which backend, such as `wasm` or `tfjs-wasm`. */
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
  readonly loss: LossName;
}

/** Features and labels of `count` examples, flat. */
export interface Examples {
  readonly count: number;
  /** count x the model's input size, row-major; of a model with several inputs all of them, one after the other in each example. */
  readonly features: Float32Array;
  /** With a sparse loss: count class indices. Otherwise count x output size; of several outputs as of several inputs. */
  readonly labels: Int32Array | Float32Array;
}

export interface Trainer {
  /** Of the engine that trains: one that chooses may have chosen another for this model. */
  readonly engine: string;
  readonly parameters: number;
  /** The optimiser starts anew: no momentum reaches from one round into the next. */
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
    training: TrainingSettings,
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
