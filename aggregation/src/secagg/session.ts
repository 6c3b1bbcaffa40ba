/**
 * What all parties of one aggregation must agree on. Its hash, the context, is in every signature, key and message: two
 * clients that were told different things (another model, another cohort, a lower threshold) share no keys, and what they
 * send does not add up to anything.
 */
import { DOMAINS, equalBytes, fromHex, Reader, sha256, toHex, utf8, Writer } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { parseDigest, parseRoundId } from '../ids.ts';
import type { Digest, RoundId } from '../ids.ts';
import { payloadBytes, vectorMask } from './mask-mode.ts';
import { laneFormat } from './quantiser.ts';
import type { LaneFormat, Quantiser } from './quantiser.ts';
import { readMembers, writeMembers } from './roster.ts';
import type { Member } from './roster.ts';
import { checkThresholds, COMPLETE_GRAPH_LIMIT } from './thresholds.ts';
import type { Thresholds } from './thresholds.ts';
import { MASK_MODES } from './vector-mask.ts';
import type { MaskMode, VectorMask } from './vector-mask.ts';
import { invalid, total } from './wire/frame.ts';
import { maskedInputLength } from './wire/masked-input.ts';

export const SECAGG_VERSION = 1;

const MAGIC = utf8('CRSS');

/** Every message of a session asks for it. */
const contexts = new WeakMap<Session, Uint8Array<ArrayBuffer>>();

export interface Session extends Thresholds {
  /** Names the task too. */
  readonly round: RoundId;
  /** Counts the tries of one round: a round that is tried again shares no key with the try before. */
  readonly attempt: number;
  /** Digest of the weights that the clients train from. */
  readonly model: Digest;
  /** Digest of the work: which value of the vector means what, and how all clients train it (`work-digest.ts`). */
  readonly work: Digest;
  /** Length of the update vector. */
  readonly values: number;
  readonly quantiser: Quantiser;
  readonly mode: MaskMode;
  /** Digest of the roster that the cohort was taken from. */
  readonly roster: Digest;
  /** In order of the client ids; the position is the member number that messages use. */
  readonly cohort: readonly Member[];
  /** Milliseconds since the epoch, by the coordinator's clock. */
  readonly deadline: number;
}

/** @throws AggregationError `SECAGG_PARAMETERS` when the parts of a session do not fit together */
export function checkSession(session: Session): void {
  checkThresholds(session.cohort.length, session);
  payloadBytes(session.mode, lanesOf(session));
  if (!Number.isSafeInteger(session.deadline) || session.deadline < 0) {
    throw new AggregationError('SECAGG_PARAMETERS', `a deadline of ${session.deadline} ms`);
  }
}

export function encodeSession(session: Session): Uint8Array<ArrayBuffer> {
  const { quantiser } = session;
  const writer = new Writer().bytes(MAGIC).u8(SECAGG_VERSION).text(session.round).u32(session.attempt);
  writer.bytes(fromHex(session.model)).bytes(fromHex(session.work)).u32(session.values);
  writer.f64(quantiser.clip).u8(quantiser.bits).u32(quantiser.maxWeight).u8(MASK_MODES.indexOf(session.mode));
  writer.u16(session.threshold).u16(session.minimumSurvivors).u16(session.colluding);
  writer.u64(BigInt(session.deadline)).bytes(fromHex(session.roster));
  writeMembers(writer, session.cohort);
  if (isSparse(session)) writer.u16(session.neighbours ?? 0);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, or `SECAGG_PARAMETERS` */
export function decodeSession(bytes: Uint8Array): Session {
  const session = total('a session', () => read(new Reader(bytes)));
  checkSession(session);
  return session;
}

/** The context: 32 bytes. */
export function contextOf(session: Session): Uint8Array<ArrayBuffer> {
  const known = contexts.get(session);
  if (known !== undefined) return known;
  const context = sha256(new Writer().text(DOMAINS.secaggSession).blob(encodeSession(session)).finish());
  contexts.set(session, context);
  return context;
}

/** Whether clients share with neighbours only: follows from the size of the cohort. */
export function isSparse(session: Session): boolean {
  return session.cohort.length > COMPLETE_GRAPH_LIMIT;
}

export function lanesOf(session: Session): LaneFormat {
  return laneFormat(session.quantiser, session.values, session.cohort.length);
}

export function maskOf(session: Session): VectorMask {
  return vectorMask(session.mode, lanesOf(session), contextOf(session));
}

/** Length of the message that carries a masked input of this session. */
export function maskedInputBytes(session: Session): number {
  return maskedInputLength(payloadBytes(session.mode, lanesOf(session)));
}

/** What must be left at every step: enough to recover the secrets, and enough to hide in. */
export function leastMembers(session: Session): number {
  return Math.max(session.threshold, session.minimumSurvivors);
}

function read(reader: Reader): Session {
  if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== SECAGG_VERSION) throw invalid('no CRSS of this version');
  const session: Session = {
    round: parseRoundId(reader.text(80)).id,
    attempt: reader.u32(),
    model: readDigest(reader),
    work: readDigest(reader),
    values: reader.u32(),
    quantiser: { clip: reader.f64(), bits: reader.u8(), maxWeight: reader.u32() },
    mode: readMode(reader.u8()),
    threshold: reader.u16(),
    minimumSurvivors: reader.u16(),
    colluding: reader.u16(),
    deadline: readTime(reader.u64()),
    roster: readDigest(reader),
    cohort: readMembers(reader),
  };
  const neighbours = isSparse(session) ? { neighbours: reader.u16() } : {};
  reader.end();
  return { ...session, ...neighbours };
}

function readDigest(reader: Reader): Digest {
  return parseDigest(toHex(reader.bytes(32)));
}

function readMode(code: number): MaskMode {
  const mode = MASK_MODES[code];
  if (mode === undefined) throw invalid(`mask mode ${code}`);
  return mode;
}

function readTime(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a time after the end of time');
  return Number(value);
}
