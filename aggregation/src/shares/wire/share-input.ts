/**
 * A client's one message on the wire: the coordinator's share of its vector, and the deposit, which the coordinator hands on:
 * the seed of the other share, sealed for the aggregator. What stands between the two stays with the coordinator: with the nonce the
 * aggregator, who knows the seed, could try out whose vector fits the digest.
 */
import { SEAL_OVERHEAD_BYTES } from '@carapace/crypto';
import type { Reader, Writer } from '@carapace/crypto';
import { CONTEXT_BYTES, frame, KIND, PREFIX_BYTES, unframe } from '../../secagg/wire/frame.ts';

export const SEED_BYTES = 32;
export const NONCE_BYTES = 32;
const SEALED_BYTES = SEED_BYTES + SEAL_OVERHEAD_BYTES;
const DEPOSIT_BYTES = 2 + 32 + 32 + SEALED_BYTES + 64;

export interface Deposit {
  readonly member: number;
  /** Of the coordinator's share under the nonce: the two belong together, and without the nonce it tells nothing. */
  readonly payloadDigest: Uint8Array;
  /** X25519, of this message alone. */
  readonly ephemeralKey: Uint8Array;
  readonly sealedSeed: Uint8Array;
  /** Of the client's long-term identity, over all of the above. */
  readonly signature: Uint8Array;
}

export interface ShareInput {
  readonly deposit: Deposit;
  /** Opens the digest; never a part of the deposit. */
  readonly nonce: Uint8Array;
  readonly payload: Uint8Array;
}

export function encodeShareInput(
  context: Uint8Array,
  { deposit, nonce, payload }: ShareInput,
): Uint8Array<ArrayBuffer> {
  return writeDeposit(frame(KIND.shareInput, context), deposit).bytes(nonce).blob(payload).finish();
}

/** Bytes of the whole message. */
export function shareInputLength(payloadBytes: number): number {
  return PREFIX_BYTES + CONTEXT_BYTES + DEPOSIT_BYTES + NONCE_BYTES + 4 + payloadBytes;
}

/** The payload is a view on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeShareInput(context: Uint8Array, bytes: Uint8Array): ShareInput {
  return unframe(KIND.shareInput, context, bytes, (reader) => ({
    deposit: readDeposit(reader),
    nonce: reader.bytes(NONCE_BYTES),
    payload: reader.blob(reader.remaining),
  }));
}

export function writeDeposit(writer: Writer, deposit: Deposit): Writer {
  return writeUnsigned(writer, deposit).bytes(deposit.signature);
}

/** What the signature is over, after the context. */
export function writeUnsigned(writer: Writer, deposit: Omit<Deposit, 'signature'>): Writer {
  const { member, payloadDigest, ephemeralKey, sealedSeed } = deposit;
  return writer.u16(member).bytes(payloadDigest).bytes(ephemeralKey).bytes(sealedSeed);
}

export function readDeposit(reader: Reader): Deposit {
  return {
    member: reader.u16(),
    payloadDigest: reader.bytes(32),
    ephemeralKey: reader.bytes(32),
    sealedSeed: reader.bytes(SEALED_BYTES),
    signature: reader.bytes(64),
  };
}
