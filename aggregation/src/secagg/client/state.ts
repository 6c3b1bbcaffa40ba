/**
 * A client's part of one aggregation as a value. Secrets leave the state as soon as no later step needs them; a finished or
 * aborted client has none. `outbox` is the last message sent: after a crash the same bytes are sent again.
 */
import { Reader, Writer } from '@carapace/crypto';
import type { SecaggRefusal } from '../../errors.ts';
import { SECAGG_REFUSALS } from '../../errors.ts';
import { contextOf, decodeSession, encodeSession } from '../session.ts';
import type { Session } from '../session.ts';
import { decodeKeyList, encodeKeyList } from '../wire/advertise-keys.ts';
import type { AdvertisedKeys } from '../wire/advertise-keys.ts';
import { decodeSurvivors, encodeSurvivors } from '../wire/consistency.ts';
import { invalid, readByMember, readMembers, total, writeMembers } from '../wire/frame.ts';
import { SHARE_BYTES } from '../wire/share-keys.ts';

export interface ClientSecrets {
  /** X25519: opens the shares that are addressed to this client. */
  readonly sealing: Uint8Array;
  /** X25519: half of every pairwise mask. */
  readonly mask: Uint8Array;
  /** Seed of the mask of its own. */
  readonly self: Uint8Array;
}

/** One dealer's shares that this client holds. */
export interface HeldShares {
  readonly selfShare: Uint8Array;
  readonly keyShare: Uint8Array;
}

interface Joined {
  readonly session: Session;
  readonly member: number;
  readonly secrets: ClientSecrets;
}

export type Advertised = Joined & { readonly phase: 'advertised'; readonly outbox: Uint8Array };
export type Shared = Joined & {
  readonly phase: 'shared';
  readonly keys: readonly AdvertisedKeys[];
  readonly outbox: Uint8Array;
};
interface Dealt extends Omit<Joined, 'secrets'> {
  readonly keys: readonly AdvertisedKeys[];
  /** Who dealt shares to everybody. */
  readonly dealers: readonly number[];
  /** Their shares, by dealer; without those that were bad. */
  readonly held: ReadonlyMap<number, HeldShares>;
}
/** Shares are in; waits for the trained update. */
export type Keyed = Dealt & { readonly phase: 'keyed'; readonly secrets: Pick<ClientSecrets, 'mask' | 'self'> };
export type Masked = Dealt & {
  readonly phase: 'masked';
  readonly secrets: Pick<ClientSecrets, 'mask'>;
  readonly outbox: Uint8Array;
};
export type Consistent = Dealt & {
  readonly phase: 'consistent';
  readonly secrets: Pick<ClientSecrets, 'mask'>;
  readonly survivors: readonly number[];
  readonly outbox: Uint8Array;
};
export interface Finished {
  readonly phase: 'finished';
  readonly outbox: Uint8Array;
}
export interface Aborted {
  readonly phase: 'aborted';
  readonly code: SecaggRefusal | 'ABANDONED';
  readonly why: string;
}

export type ClientState = Advertised | Shared | Keyed | Masked | Consistent | Finished | Aborted;

const PHASES = ['advertised', 'shared', 'keyed', 'masked', 'consistent', 'finished', 'aborted'] as const;
const LIMIT = 2 ** 32 - 1;

/** Holds the secrets of the round: for a file that its owner alone reads. */
export function encodeClientState(state: ClientState): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u8(PHASES.indexOf(state.phase));
  if (state.phase === 'finished') return writer.blob(state.outbox).finish();
  if (state.phase === 'aborted') return writer.text(state.code).text(state.why).finish();
  const context = contextOf(state.session);
  writer.blob(encodeSession(state.session)).u16(state.member);
  writer.bytes(state.secrets.mask);
  if ('self' in state.secrets) writer.bytes(state.secrets.self);
  if ('sealing' in state.secrets) writer.bytes(state.secrets.sealing);
  if ('keys' in state) writer.blob(encodeKeyList(context, state.keys));
  if ('held' in state) writeHeld(writeMembers(writer, state.dealers), state.held);
  if ('survivors' in state) writer.blob(encodeSurvivors(context, state.survivors));
  if ('outbox' in state) writer.blob(state.outbox);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID` */
export function decodeClientState(bytes: Uint8Array): ClientState {
  return total('the state of a client', () => {
    const reader = new Reader(bytes);
    const state = read(reader);
    reader.end();
    return state;
  });
}

function read(reader: Reader): ClientState {
  const phase = PHASES[reader.u8()];
  if (phase === undefined) throw invalid('a state of no known phase');
  if (phase === 'finished') return { phase, outbox: reader.blob(LIMIT) };
  if (phase === 'aborted') return { phase, code: readCode(reader.text(64)), why: reader.text(LIMIT) };
  const session = decodeSession(reader.blob(LIMIT));
  const context = contextOf(session);
  const member = reader.u16();
  const mask = reader.bytes(32);
  if (phase === 'masked' || phase === 'consistent') {
    const dealt = { session, member, secrets: { mask }, ...readDealt(reader, context) };
    if (phase === 'masked') return { phase, ...dealt, outbox: reader.blob(LIMIT) };
    return { phase, ...dealt, survivors: decodeSurvivors(context, reader.blob(LIMIT)), outbox: reader.blob(LIMIT) };
  }
  const self = reader.bytes(32);
  if (phase === 'keyed') return { phase, session, member, secrets: { mask, self }, ...readDealt(reader, context) };
  const joined = { session, member, secrets: { mask, self, sealing: reader.bytes(32) } };
  if (phase === 'advertised') return { phase, ...joined, outbox: reader.blob(LIMIT) };
  return { phase, ...joined, keys: decodeKeyList(context, reader.blob(LIMIT)), outbox: reader.blob(LIMIT) };
}

function readDealt(reader: Reader, context: Uint8Array): Pick<Keyed, 'keys' | 'dealers' | 'held'> {
  return { keys: decodeKeyList(context, reader.blob(LIMIT)), dealers: readMembers(reader), held: readHeld(reader) };
}

function writeHeld(writer: Writer, held: ReadonlyMap<number, HeldShares>): void {
  writer.u16(held.size);
  for (const [dealer, { selfShare, keyShare }] of held) writer.u16(dealer).bytes(selfShare).bytes(keyShare);
}

function readHeld(reader: Reader): ReadonlyMap<number, HeldShares> {
  return new Map(
    readByMember(reader, (dealer) => [
      dealer,
      { selfShare: reader.bytes(SHARE_BYTES), keyShare: reader.bytes(SHARE_BYTES) },
    ]),
  );
}

function readCode(text: string): Aborted['code'] {
  if (text === 'ABANDONED' || Object.hasOwn(SECAGG_REFUSALS, text)) return text as Aborted['code'];
  throw invalid('a state aborted for no known reason');
}
