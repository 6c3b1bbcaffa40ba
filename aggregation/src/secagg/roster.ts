/**
 * Who may be in a cohort: client identities under the signature of an enrolment authority, whose key the operator keeps
 * away from the coordinator. Without one a malicious coordinator invents all clients but one, and no protocol helps.
 */
import {
  concatBytes,
  DOMAINS,
  equalBytes,
  parsePublicKey,
  Reader,
  sha256Hex,
  utf8,
  verify,
  Writer,
} from '@carapace/crypto';
import type { PublicKey, SigningKey } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { parseClientId, parseDigest } from '../ids.ts';
import type { ClientId, Digest } from '../ids.ts';
import { total } from './wire/frame.ts';

const MAGIC = utf8('CRRO');
const FORMAT = 1;
const SIGNATURE_BYTES = 64;

export interface Member {
  readonly client: ClientId;
  /** Long-term Ed25519 key. */
  readonly identity: PublicKey;
}

export interface Roster {
  /** Counts up with every edition: a client that has seen one takes no older one. */
  readonly serial: number;
  /** In order of their ids; no id and no key twice. */
  readonly members: readonly Member[];
  /** SHA-256 over the signed bytes without the signature. */
  readonly digest: Digest;
}

/** Whose word a client has that the others exist. */
export type RosterTrust =
  /** An authority apart from the coordinator: secure aggregation holds against a malicious coordinator. */
  | 'authority'
  /** The coordinator itself: it could have invented the other clients, and is trusted not to. */
  | 'coordinator';

/** Keys that a client has pinned. With an authority's key, the coordinator's signature on a roster is worth nothing. */
export interface RosterKeys {
  readonly authority?: PublicKey;
  readonly coordinator: PublicKey;
}

/** @throws AggregationError `SECAGG_PARAMETERS` when an id or a key stands twice */
export function signRoster(key: SigningKey, serial: number, members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const sorted = [...members].sort((a, b) => (a.client < b.client ? -1 : 1));
  if (hasTwins(sorted)) throw new AggregationError('SECAGG_PARAMETERS', 'a client or a key stands twice in the roster');
  const body = writeMembers(new Writer().bytes(MAGIC).u8(FORMAT).u32(serial), sorted).finish();
  return concatBytes(body, key.sign(DOMAINS.roster, body));
}

/** The roster, and on whose word. @throws AggregationError `MESSAGE_INVALID` or `SIGNATURE_INVALID` */
export function openRoster(bytes: Uint8Array, keys: RosterKeys): { roster: Roster; trust: RosterTrust } {
  const body = bytes.subarray(0, Math.max(0, bytes.length - SIGNATURE_BYTES));
  const trust: RosterTrust = keys.authority === undefined ? 'coordinator' : 'authority';
  if (!verify(keys.authority ?? keys.coordinator, DOMAINS.roster, body, bytes.subarray(body.length))) {
    throw new AggregationError('SIGNATURE_INVALID', `the roster is not signed by the pinned key of the ${trust}`);
  }
  return { roster: readRoster(bytes), trust };
}

/** What a roster says, whoever signed it: for those who only pass it on. @throws AggregationError `MESSAGE_INVALID` */
export function readRoster(bytes: Uint8Array): Roster {
  return total('a roster', () => readBody(bytes.subarray(0, Math.max(0, bytes.length - SIGNATURE_BYTES))));
}

function readBody(body: Uint8Array): Roster {
  const reader = new Reader(body);
  if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== FORMAT) throw invalid('it does not start with CRRO 1');
  const serial = reader.u32();
  const members = readMembers(reader);
  reader.end();
  return { serial, members, digest: parseDigest(sha256Hex(body)) };
}

export function writeMembers(writer: Writer, members: readonly Member[]): Writer {
  writer.u32(members.length);
  for (const { client, identity } of members) writer.text(client).bytes(identity);
  return writer;
}

/** @throws AggregationError `MESSAGE_INVALID` unless ids rise and no key stands twice */
export function readMembers(reader: Reader): Member[] {
  const members: Member[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    members.push({ client: parseClientId(reader.text(29)), identity: parsePublicKey(reader.bytes(32)) });
  }
  if (members.some((member, i) => i > 0 && member.client <= members[i - 1]!.client)) {
    throw invalid('its clients are not in rising order');
  }
  if (hasTwins(members)) throw invalid('a key stands twice');
  return members;
}

function hasTwins(members: readonly Member[]): boolean {
  const keys = new Set(members.map((member) => member.identity.join()));
  return keys.size < members.length || new Set(members.map((member) => member.client)).size < members.length;
}

function invalid(why: string): AggregationError {
  return new AggregationError('MESSAGE_INVALID', `not a roster: ${why}`);
}
