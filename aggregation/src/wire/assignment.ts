/** What a selected client is told, signed by the coordinator. It travels as JSON text inside a {@link SignedDocument}. */
import type { ClientId, Digest, ModelName, RoundId, TaskId } from '../ids.ts';
import type { TensorSpec } from '../layout.ts';
import type { LocalTraining, Protection } from '../task.ts';

export const PROTOCOL_VERSION = 1;

export interface Assignment {
  readonly protocol: typeof PROTOCOL_VERSION;
  readonly task: TaskId;
  readonly round: RoundId;
  readonly client: ClientId;
  readonly model: {
    readonly name: ModelName;
    readonly version: number;
    /** Blob of the flat float32 weights (little-endian). */
    readonly weights: Digest;
    /** Blob of the topology: the `modelTopology` JSON of a TensorFlow.js layers model. */
    readonly topology: Digest;
    readonly tensors: readonly TensorSpec[];
  };
  readonly training: LocalTraining;
  readonly protection: Protection;
  /** Updates after this moment may be refused; milliseconds since the epoch, by the coordinator's clock. */
  readonly deadline: number;
  /** The coordinator's clock when it signed; with `deadline` it gives a duration that clock skew cannot falsify. */
  readonly issuedAt: number;
}

/** Says that an update was durably admitted: signed, so that a client can prove it later. */
export interface Receipt {
  readonly update: string;
  readonly round: RoundId;
  readonly client: ClientId;
  readonly digest: Digest;
  readonly bytes: number;
  readonly admittedAt: number;
}
