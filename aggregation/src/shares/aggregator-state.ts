/**
 * What the aggregator keeps of a round. While the secret is there the round's shares can be opened; afterwards a few bytes are left that say
 * no more than that there was a key for this session, so that there is never another.
 */
import { equalBytes, Reader, utf8, Writer } from '@carapace/crypto';
import { invalid, total } from '../secagg/wire/frame.ts';
import { decodeSharesSession, encodeSharesSession, sharesContextOf } from './session.ts';
import type { SharesSession } from './session.ts';

/** To be durable before a word of it is sent; it holds the secret of the round. */
export interface AggregatorState {
  readonly kind: 'keyed';
  readonly session: SharesSession;
  /** X25519. */
  readonly secret: Uint8Array;
  /** The key's message to the coordinator. */
  readonly outbox: Uint8Array;
  /** SHA-256 of the one request that is answered; null as long as none came. */
  readonly answered: Uint8Array | null;
}

/** What was sealed for this session's key is sealed for ever. */
export interface ForgottenAggregation {
  readonly kind: 'forgotten';
  readonly context: Uint8Array;
  /** Of the session: a day after it this too may be dropped. */
  readonly deadline: number;
}

export type KeptAggregation = AggregatorState | ForgottenAggregation;

const MAGIC = utf8('CRSG');
const FORMAT = 2;
const KEYED = 1;
const FORGOTTEN = 2;
const NONE = new Uint8Array(0);

/** Nothing is left with which a share could be opened. */
export function forgetSecret({ session }: AggregatorState): ForgottenAggregation {
  return { kind: 'forgotten', context: sharesContextOf(session), deadline: session.deadline };
}

export function deadlineOfKept(kept: KeptAggregation): number {
  return kept.kind === 'keyed' ? kept.session.deadline : kept.deadline;
}

export function contextOfKept(kept: KeptAggregation): Uint8Array {
  return kept.kind === 'keyed' ? sharesContextOf(kept.session) : kept.context;
}

export function encodeAggregation(kept: KeptAggregation): Uint8Array<ArrayBuffer> {
  const writer = new Writer().bytes(MAGIC).u8(FORMAT);
  if (kept.kind === 'forgotten') return writer.u8(FORGOTTEN).bytes(kept.context).u64(BigInt(kept.deadline)).finish();
  const { session, secret, outbox, answered } = kept;
  writer.u8(KEYED).blob(encodeSharesSession(session)).bytes(secret);
  return writer
    .blob(outbox)
    .blob(answered ?? NONE)
    .finish();
}

/** @throws AggregationError `MESSAGE_INVALID` or `SECAGG_PARAMETERS` */
export function decodeAggregation(bytes: Uint8Array): KeptAggregation {
  return total('the state of an aggregator', () => {
    const reader = new Reader(bytes);
    if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== FORMAT) throw invalid('no CRSG of this format');
    const kept = readKept(reader);
    reader.end();
    return kept;
  });
}

function readKept(reader: Reader): KeptAggregation {
  const kind = reader.u8();
  if (kind === FORGOTTEN) return { kind: 'forgotten', context: reader.bytes(32), deadline: readTime(reader.u64()) };
  if (kind !== KEYED) throw invalid(`a state of kind ${kind}`);
  return {
    kind: 'keyed',
    session: decodeSharesSession(reader.blob(reader.remaining)),
    secret: reader.bytes(32),
    outbox: reader.blob(reader.remaining),
    answered: readDigest(reader),
  };
}

function readDigest(reader: Reader): Uint8Array | null {
  const bytes = reader.blob(32);
  if (bytes.length === 0) return null;
  if (bytes.length !== 32) throw invalid('a digest has 32 bytes');
  return bytes;
}

function readTime(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a time after the end of time');
  return Number(value);
}
