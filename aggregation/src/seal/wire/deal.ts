/**
 * Step 2 of the key set-up on the wire: a holder shows its share of the public key and deals its secret out, a sealed share for each of the
 * list, itself too. The coordinator hands every holder what was dealt to it.
 */
import type { Reader, Writer } from '@carapace/crypto';
import { frame, KIND, unframe } from '../../secagg/wire/frame.ts';
import { readByNumber } from './numbers.ts';

/** One dealer's word to one recipient. */
export interface Packet {
  /** The recipient in a deal, the dealer in a delivery. */
  readonly number: number;
  readonly sealedShare: Uint8Array;
  /** Of the dealer's identity, over the share of the public key too. */
  readonly signature: Uint8Array;
}

export interface Deal {
  readonly publicShare: Uint8Array;
  readonly packets: readonly Packet[];
}

export interface Delivered extends Packet {
  readonly publicShare: Uint8Array;
}

export function encodeDeal(context: Uint8Array, { publicShare, packets }: Deal): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.sealDeal, context).blob(publicShare).u8(packets.length);
  for (const packet of packets) writePacket(writer.u8(packet.number), packet);
  return writer.finish();
}

/** Views on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeDeal(context: Uint8Array, bytes: Uint8Array): Deal {
  return unframe(KIND.sealDeal, context, bytes, (reader) => ({
    publicShare: reader.blob(reader.remaining),
    packets: readByNumber(reader, (number) => ({ number, ...readPacket(reader) })),
  }));
}

export function encodeDelivery(context: Uint8Array, delivered: readonly Delivered[]): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.sealDelivery, context).u8(delivered.length);
  for (const each of delivered) writePacket(writer.u8(each.number).blob(each.publicShare), each);
  return writer.finish();
}

/** Views on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeDelivery(context: Uint8Array, bytes: Uint8Array): Delivered[] {
  return unframe(KIND.sealDelivery, context, bytes, (reader) =>
    readByNumber(reader, (number) => ({
      number,
      publicShare: reader.blob(reader.remaining),
      ...readPacket(reader),
    })),
  );
}

function writePacket(writer: Writer, { sealedShare, signature }: Packet): Writer {
  return writer.blob(sealedShare).bytes(signature);
}

function readPacket(reader: Reader): Omit<Packet, 'number'> {
  return { sealedShare: reader.blob(reader.remaining), signature: reader.bytes(64) };
}
