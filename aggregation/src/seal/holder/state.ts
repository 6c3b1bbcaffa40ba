/**
 * What a key holder keeps of a round, step after step. Each state is to be durable before a word of it is sent; once the sum was opened, or
 * is opened no more, a few bytes are left that say no more than that there was a key for this session.
 */
import { equalBytes, Reader, utf8, Writer } from '@carapace/crypto';
import { invalid, total } from '../../secagg/wire/frame.ts';
import { decodeSealSession, encodeSealSession, readTime, sealContextOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { readNumbers, writeNumbers } from '../wire/numbers.ts';

interface Held {
  readonly session: SealSession;
  /** From 1: its place in the session's list. */
  readonly number: number;
  /** What the coordinator gets, as often as it asks. */
  readonly outbox: Uint8Array;
}

/** It has drawn its key and committed to it. */
export interface CommittedHolder extends Held {
  readonly kind: 'committed';
  /** X25519. */
  readonly secret: Uint8Array;
  readonly publicShare: Uint8Array;
  /** Of its key, one for every holder of the session. */
  readonly shares: readonly Uint8Array[];
}

/** It has dealt; of its own key it keeps what was dealt to itself alone, sealed in the outbox. */
export interface DealtHolder extends Held {
  readonly kind: 'dealt';
  readonly secret: Uint8Array;
  /** Who deals; all must have had the same. */
  readonly list: Uint8Array;
  readonly publicShare: Uint8Array;
}

/** It has a share of the joint key. */
export interface KeyedHolder extends Held {
  readonly kind: 'keyed';
  readonly keyShare: Uint8Array;
  readonly keyDigest: Uint8Array;
  /** Who has a share: a quorum is of these. */
  readonly dealers: readonly number[];
  readonly opened: OpenedOnce | null;
}

/** It has the key whole, and nobody else a part of it. */
export interface SoleHolder extends Held {
  readonly kind: 'sole';
  readonly secretKey: Uint8Array;
  readonly keyDigest: Uint8Array;
  readonly opened: OpenedOnce | null;
}

/** The one set of inputs that it helps to open, and how often it was asked with another quorum. */
export interface OpenedOnce {
  readonly contributors: Uint8Array;
  /** SHA-256 of the requests that are answered. */
  readonly requests: readonly Uint8Array[];
}

export interface ForgottenHolder {
  readonly kind: 'forgotten';
  readonly context: Uint8Array;
  /** Of the session: a day after it this too may be dropped. */
  readonly deadline: number;
}

/** It can help to open. */
export type OpeningHolder = KeyedHolder | SoleHolder;
export type LiveHolder = CommittedHolder | DealtHolder | OpeningHolder;
export type KeptHolder = LiveHolder | ForgottenHolder;

const MAGIC = utf8('CRSK');
const FORMAT = 1;
const KINDS = ['forgotten', 'committed', 'dealt', 'keyed', 'sole'] as const;

/** Nothing is left with which anything could be opened. */
export function forgetHolder({ session }: LiveHolder): ForgottenHolder {
  return { kind: 'forgotten', context: sealContextOf(session), deadline: session.deadline };
}

export function encodeHolder(kept: KeptHolder): Uint8Array<ArrayBuffer> {
  const writer = new Writer().bytes(MAGIC).u8(FORMAT).u8(KINDS.indexOf(kept.kind));
  if (kept.kind === 'forgotten') return writer.bytes(kept.context).u64(BigInt(kept.deadline)).finish();
  writer.blob(encodeSealSession(kept.session)).u8(kept.number).blob(kept.outbox);
  return writeOwn(writer, kept).finish();
}

/** @throws AggregationError `MESSAGE_INVALID` or `SECAGG_PARAMETERS` */
export function decodeHolder(bytes: Uint8Array): KeptHolder {
  return total('the state of a key holder', () => {
    const reader = new Reader(bytes);
    if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== FORMAT) throw invalid('no CRSK of this format');
    const kept = readKept(reader, KINDS[reader.u8()]);
    reader.end();
    return kept;
  });
}

function writeOwn(writer: Writer, holder: LiveHolder): Writer {
  switch (holder.kind) {
    case 'committed':
      writer.bytes(holder.secret).blob(holder.publicShare).u8(holder.shares.length);
      for (const share of holder.shares) writer.blob(share);
      return writer;
    case 'dealt':
      return writer.bytes(holder.secret).blob(holder.list).blob(holder.publicShare);
    case 'keyed':
      writeNumbers(writer.blob(holder.keyShare).bytes(holder.keyDigest), holder.dealers);
      return writeOpened(writer, holder.opened);
    case 'sole':
      return writeOpened(writer.blob(holder.secretKey).bytes(holder.keyDigest), holder.opened);
  }
}

function writeOpened(writer: Writer, opened: OpenedOnce | null): Writer {
  if (opened === null) return writer.u8(0);
  writer.u8(opened.requests.length).bytes(opened.contributors);
  for (const request of opened.requests) writer.bytes(request);
  return writer;
}

function readKept(reader: Reader, kind: KeptHolder['kind'] | undefined): KeptHolder {
  if (kind === undefined) throw invalid('a state of an unknown kind');
  if (kind === 'forgotten') return { kind, context: reader.bytes(32), deadline: readTime(reader.u64()) };
  const session = decodeSealSession(reader.blob(reader.remaining));
  const held = { session, number: reader.u8(), outbox: reader.blob(reader.remaining) };
  switch (kind) {
    case 'committed':
      return { kind, ...held, secret: reader.bytes(32), publicShare: blob(reader), shares: readBlobs(reader) };
    case 'dealt':
      return { kind, ...held, secret: reader.bytes(32), list: blob(reader), publicShare: blob(reader) };
    case 'keyed': {
      const key = { keyShare: blob(reader), keyDigest: reader.bytes(32), dealers: readNumbers(reader) };
      return { kind, ...held, ...key, opened: readOpened(reader) };
    }
    case 'sole': {
      const key = { secretKey: blob(reader), keyDigest: reader.bytes(32) };
      return { kind, ...held, ...key, opened: readOpened(reader) };
    }
  }
}

function readOpened(reader: Reader): OpenedOnce | null {
  const count = reader.u8();
  if (count === 0) return null;
  const contributors = reader.bytes(32);
  return { contributors, requests: Array.from({ length: count }, () => reader.bytes(32)) };
}

function readBlobs(reader: Reader): Uint8Array[] {
  return Array.from({ length: reader.u8() }, () => blob(reader));
}

function blob(reader: Reader): Uint8Array {
  return reader.blob(reader.remaining);
}
