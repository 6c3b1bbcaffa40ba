/** Step 2 on the wire: the masked vector of one client, in the form of the session's mask mode. */
import { CONTEXT_BYTES, frame, KIND, PREFIX_BYTES, unframe } from './frame.ts';

export interface MaskedInput {
  readonly member: number;
  readonly payload: Uint8Array;
}

export function encodeMaskedInput(context: Uint8Array, input: MaskedInput): Uint8Array<ArrayBuffer> {
  return frame(KIND.maskedInput, context).u16(input.member).blob(input.payload).finish();
}

/** Bytes of the whole message. */
export function maskedInputLength(payloadBytes: number): number {
  return PREFIX_BYTES + CONTEXT_BYTES + 2 + 4 + payloadBytes;
}

/** The payload is a view on `bytes`. */
export function decodeMaskedInput(context: Uint8Array, bytes: Uint8Array): MaskedInput {
  return unframe(KIND.maskedInput, context, bytes, (reader) => ({
    member: reader.u16(),
    payload: reader.blob(reader.remaining),
  }));
}
