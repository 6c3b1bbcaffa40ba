/** A holder's answer on the wire: its share of the opening, with the request and the sum of masks that it is for. */
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';

export interface OpeningShare {
  /** SHA-256 of the request. */
  readonly request: Uint8Array;
  /** SHA-256 of the sum of masks, which the holder added up. */
  readonly maskDigest: Uint8Array;
  readonly share: Uint8Array;
  /** Of the holder's identity, over all of the above. */
  readonly signature: Uint8Array;
}

export function encodeOpeningShare(context: Uint8Array, answer: OpeningShare): Uint8Array<ArrayBuffer> {
  const { request, maskDigest, share, signature } = answer;
  return frame(KIND.sealOpeningShare, context).bytes(request).bytes(maskDigest).blob(share).bytes(signature).finish();
}

/** The share is a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeOpeningShare(context: Uint8Array, bytes: Uint8Array): OpeningShare {
  return unframe(KIND.sealOpeningShare, context, bytes, (reader) => ({
    request: reader.bytes(32),
    maskDigest: reader.bytes(32),
    share: reader.blob(reader.remaining),
    signature: reader.bytes(64),
  }));
}
