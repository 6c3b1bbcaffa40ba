/**
 * The coordinator's part of one aggregation as a value. Masked inputs are not in it: the shell keeps them as blobs, the
 * state knows their digests. Nothing in it is secret from the coordinator.
 */
import { fromHex, Reader, toHex, Writer } from '@carapace/crypto';
import type { SecaggRefusal } from '../../errors.ts';
import { SECAGG_REFUSALS } from '../../errors.ts';
import { parseDigest } from '../../ids.ts';
import type { Digest } from '../../ids.ts';
import { contextOf, decodeSession, encodeSession } from '../session.ts';
import type { Session } from '../session.ts';
import { decodeAdvertisedKeys, decodeKeyList, encodeAdvertisedKeys, encodeKeyList } from '../wire/advertise-keys.ts';
import type { AdvertisedKeys } from '../wire/advertise-keys.ts';
import {
  decodeSignatures,
  decodeSurvivors,
  decodeSurvivorSignature,
  encodeSignatures,
  encodeSurvivors,
  encodeSurvivorSignature,
} from '../wire/consistency.ts';
import type { SurvivorSignature } from '../wire/consistency.ts';
import { invalid, readByMember, readMembers, total, writeMembers } from '../wire/frame.ts';
import { decodeDealing, encodeDealing } from '../wire/share-keys.ts';
import type { Dealing } from '../wire/share-keys.ts';
import { decodeUnmaskReply, encodeUnmaskReply } from '../wire/unmask.ts';
import type { UnmaskReply } from '../wire/unmask.ts';

export type ByMember<T> = ReadonlyMap<number, T>;

export interface Advertising {
  readonly phase: 'advertising';
  readonly session: Session;
  readonly advertised: ByMember<AdvertisedKeys>;
}
export interface Sharing {
  readonly phase: 'sharing';
  readonly session: Session;
  readonly keys: readonly AdvertisedKeys[];
  readonly dealings: ByMember<Dealing>;
}
export interface Collecting extends Omit<Sharing, 'phase'> {
  readonly phase: 'collecting';
  /** Digests of the masked payloads. */
  readonly inputs: ByMember<Digest>;
}
export interface Confirming extends Omit<Collecting, 'phase'> {
  readonly phase: 'consistency';
  readonly survivors: readonly number[];
  readonly signatures: ByMember<SurvivorSignature>;
}
export interface Unmasking extends Omit<Confirming, 'phase' | 'signatures'> {
  readonly phase: 'unmasking';
  readonly signatures: readonly SurvivorSignature[];
  readonly replies: ByMember<UnmaskReply>;
}
/** All masks that are left are known; the shell adds up the inputs and takes them off. */
export interface Opening extends Omit<Unmasking, 'phase'> {
  readonly phase: 'opening';
  /** Whether the pair seeds were derived from recovered keys instead of taken on their senders' word. */
  readonly derived: boolean;
}
export interface Completed {
  readonly phase: 'completed';
  readonly survivors: readonly number[];
}
export interface Abandoned {
  readonly phase: 'abandoned';
  readonly code: SecaggRefusal | 'ABANDONED';
  readonly why: string;
}

export type ServerState = Advertising | Sharing | Collecting | Confirming | Unmasking | Opening | Completed | Abandoned;

const PHASES = [
  'advertising',
  'sharing',
  'collecting',
  'consistency',
  'unmasking',
  'opening',
  'completed',
  'abandoned',
] as const;
const LIMIT = 2 ** 32 - 1;

export function encodeServerState(state: ServerState): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u8(PHASES.indexOf(state.phase));
  if (state.phase === 'completed') return writeMembers(writer, state.survivors).finish();
  if (state.phase === 'abandoned') return writer.text(state.code).text(state.why).finish();
  const context = contextOf(state.session);
  writer.blob(encodeSession(state.session));
  if (state.phase === 'advertising') {
    return writeMap(writer, state.advertised, (keys) => encodeAdvertisedKeys(context, keys)).finish();
  }
  writer.blob(encodeKeyList(context, state.keys));
  writeMap(writer, state.dealings, (dealing) => encodeDealing(context, dealing));
  if (state.phase === 'sharing') return writer.finish();
  writeMap(writer, state.inputs, fromHex);
  if (state.phase === 'collecting') return writer.finish();
  writer.blob(encodeSurvivors(context, state.survivors));
  if (state.phase === 'consistency') {
    return writeMap(writer, state.signatures, (signed) => encodeSurvivorSignature(context, signed)).finish();
  }
  writer.blob(encodeSignatures(context, state.signatures));
  writeMap(writer, state.replies, (reply) => encodeUnmaskReply(context, reply));
  if (state.phase === 'opening') writer.u8(state.derived ? 1 : 0);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID` */
export function decodeServerState(bytes: Uint8Array): ServerState {
  return total('the state of a server', () => {
    const reader = new Reader(bytes);
    const state = read(reader);
    reader.end();
    return state;
  });
}

function read(reader: Reader): ServerState {
  const phase = PHASES[reader.u8()];
  if (phase === undefined) throw invalid('a state of no known phase');
  if (phase === 'completed') return { phase, survivors: readMembers(reader) };
  if (phase === 'abandoned') return { phase, code: readCode(reader.text(64)), why: reader.text(LIMIT) };
  const session = decodeSession(reader.blob(LIMIT));
  const context = contextOf(session);
  if (phase === 'advertising') {
    return { phase, session, advertised: readMap(reader, (bytes) => decodeAdvertisedKeys(context, bytes)) };
  }
  const keys = decodeKeyList(context, reader.blob(LIMIT));
  const dealings = readMap(reader, (bytes) => decodeDealing(context, bytes));
  if (phase === 'sharing') return { phase, session, keys, dealings };
  const inputs = readMap(reader, (bytes) => parseDigest(toHex(bytes)));
  if (phase === 'collecting') return { phase, session, keys, dealings, inputs };
  const collected = { session, keys, dealings, inputs, survivors: decodeSurvivors(context, reader.blob(LIMIT)) };
  if (phase === 'consistency') {
    return { phase, ...collected, signatures: readMap(reader, (bytes) => decodeSurvivorSignature(context, bytes)) };
  }
  const signatures = decodeSignatures(context, reader.blob(LIMIT));
  const replies = readMap(reader, (bytes) => decodeUnmaskReply(context, bytes));
  if (phase === 'unmasking') return { phase, ...collected, signatures, replies };
  return { phase, ...collected, signatures, replies, derived: readFlag(reader.u8()) };
}

function writeMap<T>(writer: Writer, map: ByMember<T>, encode: (value: T) => Uint8Array): Writer {
  writer.u16(map.size);
  for (const [member, value] of [...map].sort(([a], [b]) => a - b)) writer.u16(member).blob(encode(value));
  return writer;
}

function readMap<T>(reader: Reader, decode: (bytes: Uint8Array) => T): ByMember<T> {
  return new Map(readByMember(reader, (member): [number, T] => [member, decode(reader.blob(LIMIT))]));
}

function readFlag(value: number): boolean {
  if (value > 1) throw invalid('a flag that is neither 0 nor 1');
  return value === 1;
}

function readCode(text: string): Abandoned['code'] {
  if (text === 'ABANDONED' || Object.hasOwn(SECAGG_REFUSALS, text)) return text as Abandoned['code'];
  throw invalid('a state abandoned for no known reason');
}
