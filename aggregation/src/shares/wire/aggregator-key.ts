/** The aggregator's key for one round on the wire: clients seal their seeds for it, and it is destroyed with the round. */
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';

export interface AggregatorKey {
  /** X25519. */
  readonly sealingKey: Uint8Array;
  /** Of the aggregator's long-term identity. */
  readonly signature: Uint8Array;
}

export function encodeAggregatorKey(context: Uint8Array, key: AggregatorKey): Uint8Array<ArrayBuffer> {
  return frame(KIND.aggregatorKey, context).bytes(key.sealingKey).bytes(key.signature).finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeAggregatorKey(context: Uint8Array, bytes: Uint8Array): AggregatorKey {
  return unframe(KIND.aggregatorKey, context, bytes, (reader) => ({
    sealingKey: reader.bytes(32),
    signature: reader.bytes(64),
  }));
}
