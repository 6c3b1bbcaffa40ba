/** Step 3 on the wire: who is in the sum, a client's signature on it, and the signatures of the others. */
import type { Reader } from '@carapace/crypto';
import { frame, KIND, readByMember, readMembers, unframe, writeMembers } from './frame.ts';

export interface SurvivorSignature {
  readonly member: number;
  /** Ed25519 under the identity key, over the key list, who dealt shares and who is in the sum. */
  readonly signature: Uint8Array;
}

export function encodeSurvivors(context: Uint8Array, survivors: readonly number[]): Uint8Array<ArrayBuffer> {
  return writeMembers(frame(KIND.survivors, context), survivors).finish();
}

export function decodeSurvivors(context: Uint8Array, bytes: Uint8Array): number[] {
  return unframe(KIND.survivors, context, bytes, readMembers);
}

export function encodeSurvivorSignature(context: Uint8Array, signed: SurvivorSignature): Uint8Array<ArrayBuffer> {
  return frame(KIND.consistency, context).u16(signed.member).bytes(signed.signature).finish();
}

export function decodeSurvivorSignature(context: Uint8Array, bytes: Uint8Array): SurvivorSignature {
  return unframe(KIND.consistency, context, bytes, (reader) => read(reader.u16(), reader));
}

export function encodeSignatures(context: Uint8Array, list: readonly SurvivorSignature[]): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.signatures, context).u16(list.length);
  for (const { member, signature } of list) writer.u16(member).bytes(signature);
  return writer.finish();
}

export function decodeSignatures(context: Uint8Array, bytes: Uint8Array): SurvivorSignature[] {
  return unframe(KIND.signatures, context, bytes, (reader) => readByMember(reader, read));
}

function read(member: number, reader: Reader): SurvivorSignature {
  return { member, signature: reader.bytes(64) };
}
