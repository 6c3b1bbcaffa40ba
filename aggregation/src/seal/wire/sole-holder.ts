/** What one holder that has the key whole says: its public key at the beginning of a round, the sum at its end. */
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';

export interface SoleKey {
  readonly publicKey: Uint8Array;
  /** Of the holder's long-term identity. */
  readonly signature: Uint8Array;
}

export interface SoleSum {
  /** SHA-256 of the request. */
  readonly request: Uint8Array;
  /** Lane sums, as little-endian words of 32 bits. */
  readonly sums: Uint8Array;
  /** Of the holder's identity, over both. */
  readonly signature: Uint8Array;
}

export function encodeSoleKey(context: Uint8Array, { publicKey, signature }: SoleKey): Uint8Array<ArrayBuffer> {
  return frame(KIND.sealSoleKey, context).blob(publicKey).bytes(signature).finish();
}

/** The key is a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeSoleKey(context: Uint8Array, bytes: Uint8Array): SoleKey {
  return unframe(KIND.sealSoleKey, context, bytes, (reader) => ({
    publicKey: reader.blob(reader.remaining),
    signature: reader.bytes(64),
  }));
}

export function encodeSoleSum(context: Uint8Array, { request, sums, signature }: SoleSum): Uint8Array<ArrayBuffer> {
  return frame(KIND.sealSoleSum, context).bytes(request).blob(sums).bytes(signature).finish();
}

/** The sums are a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeSoleSum(context: Uint8Array, bytes: Uint8Array): SoleSum {
  return unframe(KIND.sealSoleSum, context, bytes, (reader) => ({
    request: reader.bytes(32),
    sums: reader.blob(reader.remaining),
    signature: reader.bytes(64),
  }));
}
