/**
 * What every message of the protocol begins with: `CRSA`, the format, the kind, and the context it belongs to. A message
 * of another session is told apart before anything else is read of it.
 */
import { CryptoError, equalBytes, Reader, utf8, Writer } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { Stop } from '../stop.ts';

const MAGIC = utf8('CRSA');
const FORMAT = 1;

/** Magic, format and kind. */
export const PREFIX_BYTES = 6;
export const CONTEXT_BYTES = 32;

/** Client to coordinator below 16, coordinator to client from 16; with a second aggregator (`../../shares/`) from 32; with key holders (`../../seal/`) from 48. */
export const KIND = {
  advertiseKeys: 1,
  shareKeys: 2,
  maskedInput: 3,
  consistency: 4,
  unmask: 5,
  keyList: 16,
  shareDelivery: 17,
  survivors: 18,
  signatures: 19,
  sparseDelivery: 20,
  aggregatorKey: 32,
  shareInput: 33,
  sumRequest: 34,
  shareSum: 35,
  sealCommitment: 48,
  sealHolderList: 49,
  sealDeal: 50,
  sealDelivery: 51,
  sealConfirmation: 52,
  sealRoundKey: 53,
  sealInput: 54,
  sealOpeningRequest: 55,
  sealOpeningShare: 56,
  sealSoleKey: 57,
  sealSoleSum: 58,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export function frame(kind: Kind, context: Uint8Array): Writer {
  return new Writer().bytes(MAGIC).u8(FORMAT).u8(kind).bytes(context);
}

/**
 * Reads a whole message. Total: every input is a message, or one of two errors.
 * @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT`
 */
export function unframe<T>(kind: Kind, context: Uint8Array, bytes: Uint8Array, read: (reader: Reader) => T): T {
  return total('a message of secure aggregation', () => {
    const reader = new Reader(bytes);
    if (!equalBytes(reader.bytes(4), MAGIC)) throw invalid('it does not start with CRSA');
    if (reader.u8() !== FORMAT) throw invalid('its format is not 1');
    if (reader.u8() !== kind) throw invalid(`it is not of kind ${kind}`);
    if (!equalBytes(reader.bytes(CONTEXT_BYTES), context))
      throw new Stop('SECAGG_CONTEXT', 'the message was made for another session');
    const message = read(reader);
    reader.end();
    return message;
  });
}

/** Runs a reader; what it may throw becomes one error. @throws AggregationError `MESSAGE_INVALID` */
export function total<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof CryptoError || (cause instanceof AggregationError && cause.code === 'ID_MALFORMED')) {
      throw new AggregationError('MESSAGE_INVALID', `not ${what}: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

/** Members of the cohort, each named once, in rising order: one set has one spelling. */
export function writeMembers(writer: Writer, members: readonly number[]): Writer {
  writer.u16(members.length);
  for (const member of members) writer.u16(member);
  return writer;
}

/** `count`, then that many items, each led by a member number above the one before. */
export function readByMember<T>(reader: Reader, read: (member: number, reader: Reader) => T): T[] {
  let last = -1;
  return Array.from({ length: reader.u16() }, () => {
    const member = reader.u16();
    if (member <= last) throw invalid('its members are not in rising order');
    last = member;
    return read(member, reader);
  });
}

export function readMembers(reader: Reader): number[] {
  return readByMember(reader, (member) => member);
}

export function invalid(why: string): AggregationError {
  return new AggregationError('MESSAGE_INVALID', `not a message of secure aggregation: ${why}`);
}
