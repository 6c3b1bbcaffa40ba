/** What a round asks of the device: from the model's weights and local data to an update. */
import type { Assignment, Layout, Metrics, StepsCharge } from '@carapace/aggregation';

export interface LocalWork {
  readonly assignment: Assignment;
  readonly layout: Layout;
  /** The global model: flat, `layout.size` numbers. Not to be changed in place. */
  readonly weights: Float32Array;
  /** JSON of a TensorFlow.js layers model. */
  readonly topology: string;
  /** Fires at the round's deadline and when the client stops. */
  readonly signal: AbortSignal;
  readonly note: (message: string) => void;
  /**
   * With `training.privacy`: to be called before the first step, with what all of them release. Without it nothing of the result is sent.
   * @throws ClientError `PROTECTION_REFUSED` when the owner's limit does not allow that
   */
  readonly charge: (steps: StepsCharge) => Promise<void>;
}

export interface LocalResult {
  /** After training: flat, `layout.size` numbers. */
  readonly weights: Float32Array;
  /** How many examples it was trained on: the weight in the mean. */
  readonly examples: number;
  /** Finite numbers by camel-case name. */
  readonly metrics: Metrics;
}

/** Rejects with an error whose message says why this device takes no part: the round is declined with it. */
export type LocalTrainer = (work: LocalWork) => Promise<LocalResult>;
