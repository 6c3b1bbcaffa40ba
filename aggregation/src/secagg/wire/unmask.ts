/**
 * Step 4 on the wire: what a client hands back so that the masks can be taken off the sum. A client in the sum and a
 * client that dropped out have different kinds of entry, and each member has one entry: "both for one client" has no spelling.
 */
import { Writer } from '@carapace/crypto';
import { frame, invalid, KIND, unframe } from './frame.ts';
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

/** As long as a share, so that the first field of every kind is. */
const SEED_BYTES = 32;

export function encodeUnmaskReply(context: Uint8Array, reply: UnmaskReply): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.unmask, context).u16(reply.member);
  return writeDisclosures(writer, reply.disclosures).finish();
}

function writeDisclosures(writer: Writer, disclosures: readonly Disclosure[]): Writer {
  writer.u16(disclosures.length);
  for (const disclosure of disclosures) {
    writer.u16(disclosure.member);
    if (disclosure.kind === 'survivor') writer.u8(SURVIVOR).bytes(disclosure.selfShare);
    else if (disclosure.keyShare === undefined) writer.u8(DROPPED_WITHOUT_SHARE).bytes(disclosure.pairSeed);
    else writer.u8(DROPPED).bytes(disclosure.pairSeed).bytes(disclosure.keyShare);
  }
  return writer;
}

/** The disclosures stay as they came until one is asked for: a coordinator holds a hundred thousand of them. */
export function decodeUnmaskReply(context: Uint8Array, bytes: Uint8Array): UnmaskReply {
  return unframe(KIND.unmask, context, bytes, (reader) => {
    const member = reader.u16();
    const list = reader.bytes(reader.remaining);
    const index = new DisclosureIndex(list);
    const reply: UnmaskReply = {
      member,
      get disclosures() {
        return index.all();
      },
    };
    indices.set(reply, index);
    return reply;
  });
}

/** What a reply says, entry by entry in rising order of the members; nothing is taken apart before it is asked for. */
export function disclosuresIn(reply: UnmaskReply): DisclosureIndex {
  return indices.get(reply) ?? new DisclosureIndex(writeDisclosures(new Writer(), reply.disclosures).finish());
}

const indices = new WeakMap<UnmaskReply, DisclosureIndex>();

/** A list of disclosures as it is on the wire. */
export class DisclosureIndex {
  readonly bytes: Uint8Array;
  readonly members: Uint16Array;
  /** Where what stands behind the code of the kind begins. */
  readonly #offsets: Uint32Array;

  /** @throws AggregationError `MESSAGE_INVALID` */
  constructor(bytes: Uint8Array) {
    const count = u16(bytes, 0);
    this.bytes = bytes;
    this.members = new Uint16Array(count);
    this.#offsets = new Uint32Array(count);
    let end = 2;
    for (let i = 0, last = -1; i < count; i++) {
      const member = u16(bytes, end);
      if (member <= last) throw invalid('its members are not in rising order');
      this.members[i] = last = member;
      this.#offsets[i] = end + 3;
      end += 3 + lengthOf(bytes[end + 2]);
    }
    if (end !== bytes.length) throw invalid(`${end} bytes of disclosures announced, ${bytes.length} there`);
  }

  all(): Disclosure[] {
    return Array.from(this.members, (member, i) => this.#at(member, i));
  }

  kindAt(i: number): Disclosure['kind'] {
    return this.#codeAt(i) === SURVIVOR ? 'survivor' : 'dropped';
  }

  /** Where the share of the i-th entry begins, or -1 when it has none. */
  shareAt(i: number): number {
    const code = this.#codeAt(i);
    if (code === DROPPED_WITHOUT_SHARE) return -1;
    return this.#offsets[i]! + (code === DROPPED ? SEED_BYTES : 0);
  }

  /** The seed in an entry about a dropped client. */
  pairSeedAt(i: number): Uint8Array {
    return this.bytes.subarray(this.#offsets[i], this.#offsets[i]! + SEED_BYTES);
  }

  #codeAt(i: number): number {
    return this.bytes[this.#offsets[i]! - 1]!;
  }

  #at(member: number, i: number): Disclosure {
    const at = this.shareAt(i);
    const share = this.bytes.subarray(at, at + SHARE_BYTES);
    if (this.kindAt(i) === 'survivor') return { kind: 'survivor', member, selfShare: share };
    return { kind: 'dropped', member, pairSeed: this.pairSeedAt(i), ...(at >= 0 && { keyShare: share }) };
  }
}

function u16(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw invalid('its disclosures are cut');
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** What stands behind the code of a kind. @throws AggregationError `MESSAGE_INVALID` */
function lengthOf(code: number | undefined): number {
  switch (code) {
    case SURVIVOR:
      return SHARE_BYTES;
    case DROPPED:
      return SEED_BYTES + SHARE_BYTES;
    case DROPPED_WITHOUT_SHARE:
      return SEED_BYTES;
    default:
      throw invalid('it discloses something of an unknown kind');
  }
}
