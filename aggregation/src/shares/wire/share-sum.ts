/** The aggregator's answer on the wire: the sum of the shares it holds, and whose they are. */
import {
  CONTEXT_BYTES,
  frame,
  KIND,
  PREFIX_BYTES,
  readMembers,
  unframe,
  writeMembers,
} from '../../secagg/wire/frame.ts';

export interface ShareSum {
  /** Those whose shares are in the sum; whoever was asked for and is missing has no share that opens. */
  readonly members: readonly number[];
  /** Words of Z_2^64, little-endian. */
  readonly sum: Uint8Array;
}

export function encodeShareSum(context: Uint8Array, { members, sum }: ShareSum): Uint8Array<ArrayBuffer> {
  return writeMembers(frame(KIND.shareSum, context), members).blob(sum).finish();
}

/** At most: with all members in it. */
export function shareSumLimit(shareBytes: number, members: number): number {
  return PREFIX_BYTES + CONTEXT_BYTES + 2 + 2 * members + 4 + shareBytes;
}

/** The sum is a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeShareSum(context: Uint8Array, bytes: Uint8Array): ShareSum {
  return unframe(KIND.shareSum, context, bytes, (reader) => ({
    members: readMembers(reader),
    sum: reader.blob(reader.remaining),
  }));
}
