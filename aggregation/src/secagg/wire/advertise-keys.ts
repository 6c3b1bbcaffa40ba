/** Step 0 on the wire: a client's two keys of the round, and the list of everybody's. */
import type { Reader, Writer } from '@carapace/crypto';
import { frame, KIND, readByMember, unframe } from './frame.ts';

export interface AdvertisedKeys {
  readonly member: number;
  /** X25519: shares addressed to this client are sealed under it. */
  readonly sealingKey: Uint8Array;
  /** X25519: pairwise masks come out of it; its secret is shared. */
  readonly maskKey: Uint8Array;
  /** Ed25519 under the identity key, over context, member and both keys. */
  readonly signature: Uint8Array;
}

export function encodeAdvertisedKeys(context: Uint8Array, keys: AdvertisedKeys): Uint8Array<ArrayBuffer> {
  return write(frame(KIND.advertiseKeys, context), keys).finish();
}

export function decodeAdvertisedKeys(context: Uint8Array, bytes: Uint8Array): AdvertisedKeys {
  return unframe(KIND.advertiseKeys, context, bytes, (reader) => read(reader.u16(), reader));
}

export function encodeKeyList(context: Uint8Array, list: readonly AdvertisedKeys[]): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.keyList, context).u16(list.length);
  for (const keys of list) write(writer, keys);
  return writer.finish();
}

export function decodeKeyList(context: Uint8Array, bytes: Uint8Array): AdvertisedKeys[] {
  return unframe(KIND.keyList, context, bytes, (reader) => readByMember(reader, read));
}

function write(writer: Writer, keys: AdvertisedKeys): Writer {
  return writer.u16(keys.member).bytes(keys.sealingKey).bytes(keys.maskKey).bytes(keys.signature);
}

function read(member: number, reader: Reader): AdvertisedKeys {
  return { member, sealingKey: reader.bytes(32), maskKey: reader.bytes(32), signature: reader.bytes(64) };
}
