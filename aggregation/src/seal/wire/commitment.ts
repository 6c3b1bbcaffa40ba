/**
 * Step 1 of the key set-up on the wire: a holder's commitment to its share of the public key, and the key that the others seal what they
 * deal to it for. The coordinator's list of them fixes who deals; its hash is in all that follows.
 */
import type { Reader, Writer } from '@carapace/crypto';
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';
import { readByNumber } from './numbers.ts';

export interface Commitment {
  /** Of the share of the public key (`commitToShare`). */
  readonly commitment: Uint8Array;
  /** X25519, of this round alone. */
  readonly sealingKey: Uint8Array;
  /** Of the holder's long-term identity, over both. */
  readonly signature: Uint8Array;
}

export interface ListedCommitment extends Commitment {
  readonly number: number;
}

export function encodeCommitment(context: Uint8Array, commitment: Commitment): Uint8Array<ArrayBuffer> {
  return write(frame(KIND.sealCommitment, context), commitment).finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeCommitment(context: Uint8Array, bytes: Uint8Array): Commitment {
  return unframe(KIND.sealCommitment, context, bytes, read);
}

export function encodeHolderList(context: Uint8Array, list: readonly ListedCommitment[]): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.sealHolderList, context).u8(list.length);
  for (const listed of list) write(writer.u8(listed.number), listed);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeHolderList(context: Uint8Array, bytes: Uint8Array): ListedCommitment[] {
  return unframe(KIND.sealHolderList, context, bytes, (reader) =>
    readByNumber(reader, (number) => ({ number, ...read(reader) })),
  );
}

function write(writer: Writer, { commitment, sealingKey, signature }: Commitment): Writer {
  return writer.bytes(commitment).bytes(sealingKey).bytes(signature);
}

function read(reader: Reader): Commitment {
  return { commitment: reader.bytes(32), sealingKey: reader.bytes(32), signature: reader.bytes(64) };
}
