/**
 * Step 4 on the wire: what a client hands back so that the masks can be taken off the sum. A client in the sum and a
 * client that dropped out have different kinds of entry, and each member has one entry: "both for one client" has no spelling.
 */
import type { Reader } from '@carapace/crypto';
import { frame, invalid, KIND, readByMember, unframe } from './frame.ts';
import { SHARE_BYTES } from './share-keys.ts';

export type Disclosure =
  /** About a client in the sum. */
  | { readonly kind: 'survivor'; readonly member: number; readonly selfShare: Uint8Array }
  /** About a client that dealt shares and then dropped out. */
  | {
      readonly kind: 'dropped';
      readonly member: number;
      /** Seed of the mask that the two shared. */
      readonly pairSeed: Uint8Array;
      /** Absent where the dealer dealt no good one. */
      readonly keyShare?: Uint8Array;
    };

export interface UnmaskReply {
  readonly member: number;
  readonly disclosures: readonly Disclosure[];
}

const SURVIVOR = 1;
const DROPPED = 2;
const DROPPED_WITHOUT_SHARE = 3;

export function encodeUnmaskReply(context: Uint8Array, reply: UnmaskReply): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.unmask, context).u16(reply.member).u16(reply.disclosures.length);
  for (const disclosure of reply.disclosures) {
    writer.u16(disclosure.member);
    if (disclosure.kind === 'survivor') writer.u8(SURVIVOR).bytes(disclosure.selfShare);
    else if (disclosure.keyShare === undefined) writer.u8(DROPPED_WITHOUT_SHARE).bytes(disclosure.pairSeed);
    else writer.u8(DROPPED).bytes(disclosure.pairSeed).bytes(disclosure.keyShare);
  }
  return writer.finish();
}

export function decodeUnmaskReply(context: Uint8Array, bytes: Uint8Array): UnmaskReply {
  return unframe(KIND.unmask, context, bytes, (reader) => ({
    member: reader.u16(),
    disclosures: readByMember(reader, readDisclosure),
  }));
}

function readDisclosure(member: number, reader: Reader): Disclosure {
  switch (reader.u8()) {
    case SURVIVOR:
      return { kind: 'survivor', member, selfShare: reader.bytes(SHARE_BYTES) };
    case DROPPED:
      return { kind: 'dropped', member, pairSeed: reader.bytes(32), keyShare: reader.bytes(SHARE_BYTES) };
    case DROPPED_WITHOUT_SHARE:
      return { kind: 'dropped', member, pairSeed: reader.bytes(32) };
    default:
      throw invalid('it discloses something of an unknown kind');
  }
}
