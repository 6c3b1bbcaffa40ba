/** Step 1 on the wire: the shares that a client deals, and those that are delivered to one. */
import { Reader, SEAL_OVERHEAD_BYTES } from '@carapace/crypto';
import type { Writer } from '@carapace/crypto';
import { frame, KIND, readByMember, readMembers, unframe, writeMembers } from './frame.ts';

export const SHARE_BYTES = 32;
export const COMMITMENT_BYTES = 16;
const BOX_BYTES = 2 * SHARE_BYTES + SEAL_OVERHEAD_BYTES;

/** What one dealer hands to one holder. */
export interface DealtShares {
  /** In a dealing the holder, in a delivery the dealer. */
  readonly member: number;
  /** Hash of the share of the self-mask seed, cut to 16 bytes. */
  readonly selfCommitment: Uint8Array;
  /** Hash of the share of the mask key's secret, cut to 16 bytes. */
  readonly keyCommitment: Uint8Array;
  /** Both shares, sealed for the holder. */
  readonly box: Uint8Array;
}

export interface Dealing {
  readonly member: number;
  /** Hash of the self-mask seed: tells whether what was recovered is what was dealt. */
  readonly seedCommitment: Uint8Array;
  readonly shares: readonly DealtShares[];
}

export function encodeDealing(context: Uint8Array, dealing: Dealing): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.shareKeys, context).u16(dealing.member).bytes(dealing.seedCommitment);
  return writeShares(writer, dealing.shares).finish();
}

/** The shares stay as they came until one is asked for: a coordinator holds a hundred thousand of them. */
export function decodeDealing(context: Uint8Array, bytes: Uint8Array): Dealing {
  return unframe(KIND.shareKeys, context, bytes, (reader) => {
    const member = reader.u16();
    const seedCommitment = reader.bytes(32);
    const records = reader.bytes(reader.remaining);
    readList(records, (list) => readByMember(list, skipShares));
    const dealing: Dealing = {
      member,
      seedCommitment,
      get shares() {
        return readList(records, (list) => readByMember(list, readShares));
      },
    };
    packed.set(dealing, records);
    return dealing;
  });
}

/** Behind a count, one record behind the other. */
const packed = new WeakMap<Dealing, Uint8Array>();

const COUNT_BYTES = 2;
const RECORD_BYTES = 2 + 2 * COMMITMENT_BYTES + BOX_BYTES;

/** What a dealer dealt to one holder. */
export function dealtTo(dealing: Dealing, holder: number): DealtShares | undefined {
  const records = packed.get(dealing);
  if (records === undefined) return dealing.shares.find(({ member }) => member === holder);
  const memberAt = (i: number): number => {
    const at = COUNT_BYTES + i * RECORD_BYTES;
    return records[at]! | (records[at + 1]! << 8);
  };
  let from = 0;
  let to = (records.length - COUNT_BYTES) / RECORD_BYTES;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (memberAt(middle) < holder) from = middle + 1;
    else to = middle;
  }
  const at = COUNT_BYTES + from * RECORD_BYTES;
  if (at === records.length || memberAt(from) !== holder) return undefined;
  return readShares(holder, new Reader(records.subarray(at + 2, at + RECORD_BYTES)));
}

function readList<T>(records: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(records);
  const list = read(reader);
  reader.end();
  return list;
}

/** Whether there is a record. @throws CryptoError `DECODE_TRUNCATED` */
function skipShares(_: number, reader: Reader): void {
  reader.bytes(RECORD_BYTES - 2);
}

export function encodeDelivery(context: Uint8Array, shares: readonly DealtShares[]): Uint8Array<ArrayBuffer> {
  return writeShares(frame(KIND.shareDelivery, context), shares).finish();
}

export function decodeDelivery(context: Uint8Array, bytes: Uint8Array): DealtShares[] {
  return unframe(KIND.shareDelivery, context, bytes, (reader) => readByMember(reader, readShares));
}

/** To one client of a sparse graph: who of all dealt shares, and those of its neighbours. */
export interface SparseDelivery {
  readonly dealers: readonly number[];
  readonly shares: readonly DealtShares[];
}

export function encodeSparseDelivery(
  context: Uint8Array,
  { dealers, shares }: SparseDelivery,
): Uint8Array<ArrayBuffer> {
  return writeShares(writeMembers(frame(KIND.sparseDelivery, context), dealers), shares).finish();
}

export function decodeSparseDelivery(context: Uint8Array, bytes: Uint8Array): SparseDelivery {
  return unframe(KIND.sparseDelivery, context, bytes, (reader) => ({
    dealers: readMembers(reader),
    shares: readByMember(reader, readShares),
  }));
}

function writeShares(writer: Writer, shares: readonly DealtShares[]): Writer {
  writer.u16(shares.length);
  for (const { member, selfCommitment, keyCommitment, box } of shares) {
    writer.u16(member).bytes(selfCommitment).bytes(keyCommitment).bytes(box);
  }
  return writer;
}

function readShares(member: number, reader: Reader): DealtShares {
  return {
    member,
    selfCommitment: reader.bytes(COMMITMENT_BYTES),
    keyCommitment: reader.bytes(COMMITMENT_BYTES),
    box: reader.bytes(BOX_BYTES),
  };
}
