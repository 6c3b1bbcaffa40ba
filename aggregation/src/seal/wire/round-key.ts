/** Step 3 of the key set-up on the wire: holders sign the joint key that they have shares of, and clients get it with those signatures. */
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';
import { readByNumber, readNumbers, writeNumbers } from './numbers.ts';

export interface Confirmation {
  /** Whose shares are in the key. */
  readonly dealers: readonly number[];
  readonly keyDigest: Uint8Array;
  /** Of the holder's identity. */
  readonly signature: Uint8Array;
}

export interface RoundKey {
  /** Hash of the list that the dealers had. */
  readonly list: Uint8Array;
  readonly dealers: readonly number[];
  /** b: the other half of the public key is the common reference. */
  readonly half: Uint8Array;
  readonly confirmed: readonly { readonly number: number; readonly signature: Uint8Array }[];
}

export function encodeConfirmation(context: Uint8Array, confirmation: Confirmation): Uint8Array<ArrayBuffer> {
  const writer = writeNumbers(frame(KIND.sealConfirmation, context), confirmation.dealers);
  return writer.bytes(confirmation.keyDigest).bytes(confirmation.signature).finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeConfirmation(context: Uint8Array, bytes: Uint8Array): Confirmation {
  return unframe(KIND.sealConfirmation, context, bytes, (reader) => ({
    dealers: readNumbers(reader),
    keyDigest: reader.bytes(32),
    signature: reader.bytes(64),
  }));
}

export function encodeRoundKey(context: Uint8Array, key: RoundKey): Uint8Array<ArrayBuffer> {
  const writer = writeNumbers(frame(KIND.sealRoundKey, context).bytes(key.list), key.dealers).blob(key.half);
  writer.u8(key.confirmed.length);
  for (const { number, signature } of key.confirmed) writer.u8(number).bytes(signature);
  return writer.finish();
}

/** The half is a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeRoundKey(context: Uint8Array, bytes: Uint8Array): RoundKey {
  return unframe(KIND.sealRoundKey, context, bytes, (reader) => ({
    list: reader.bytes(32),
    dealers: readNumbers(reader),
    half: reader.blob(reader.remaining),
    confirmed: readByNumber(reader, (number) => ({ number, signature: reader.bytes(64) })),
  }));
}
