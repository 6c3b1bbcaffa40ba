/**
 * What the parties of one round in seal mode must agree on: coordinator, cohort, and the committee that holds the key. Its hash, the
 * context, is in every key, signature and message, as in `secagg/session.ts`; the common reference of the committee's key is made of it.
 */
import {
  CryptoError,
  DOMAINS,
  equalBytes,
  fromHex,
  openBgv,
  Reader,
  sealParameters,
  sha256,
  toHex,
  utf8,
  Writer,
} from '@carapace/crypto';
import type { Bgv, KeyArrangement, SealParameters, SealProfileName } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { parseDigest, parseRoundId } from '../ids.ts';
import type { Digest, RoundId } from '../ids.ts';
import { laneCount, laneFormat } from '../secagg/quantiser.ts';
import type { LaneFormat, Quantiser } from '../secagg/quantiser.ts';
import { readMembers, writeMembers } from '../secagg/roster.ts';
import type { Member } from '../secagg/roster.ts';
import { MOST_CLIENTS } from '../secagg/thresholds.ts';
import { invalid, total } from '../secagg/wire/frame.ts';

const SEAL_VERSION = 1;

/** Two inputs and their sum tell each of the two about the other. */
export const SEAL_LEAST_CLIENTS = 3;

const MAGIC = utf8('CRSE');

/** On the wire by its place and one. */
const ARRANGEMENTS = ['committee', 'holder'] as const;

/** How the key is held: by a committee in shares, or whole by one holder apart from the coordinator. */
export type SealArrangement = (typeof ARRANGEMENTS)[number];

export interface SealSession {
  /** Names the task too. */
  readonly round: RoundId;
  readonly attempt: number;
  /** Digest of the weights that the clients train from. */
  readonly model: Digest;
  /** Digest of the work: which value of the vector means what, and how all clients train it (`work-digest.ts`). */
  readonly work: Digest;
  /** Length of the update vector. */
  readonly values: number;
  readonly quantiser: Quantiser;
  /** No holder helps to open a sum of fewer. */
  readonly minimumSurvivors: number;
  /** Milliseconds since the epoch, by the coordinator's clock. */
  readonly deadline: number;
  readonly arrangement: SealArrangement;
  /** Who has the key: one, or a committee that deals it, in order of their ids; the position and one is the number that messages use. None is of the cohort. */
  readonly holders: readonly Member[];
  /** So many holders open a sum, and one fewer cannot; 1 for one holder. */
  readonly threshold: number;
  /** Ring of the ciphertexts. */
  readonly profile: SealProfileName;
  /** Digest of the roster that the cohort was taken from. */
  readonly roster: Digest;
  /** In order of the client ids; the position is the member number that messages use. */
  readonly cohort: readonly Member[];
}

/** Every message of a session asks for these. */
const contexts = new WeakMap<SealSession, Uint8Array<ArrayBuffer>>();
const parameters = new WeakMap<SealSession, SealParameters>();

/** @throws AggregationError `SECAGG_PARAMETERS` when the parts of a session do not fit together */
export function checkSealSession(session: SealSession): void {
  const { cohort, holders, minimumSurvivors, deadline } = session;
  if (cohort.length < SEAL_LEAST_CLIENTS || cohort.length > MOST_CLIENTS)
    throw impossible(`a cohort of ${cohort.length}, allowed are ${SEAL_LEAST_CLIENTS} to ${MOST_CLIENTS}`);
  if (minimumSurvivors < SEAL_LEAST_CLIENTS || minimumSurvivors > cohort.length)
    throw impossible(`a sum of ${minimumSurvivors} of ${cohort.length} clients`);
  if (!Number.isSafeInteger(deadline) || deadline < 0) throw impossible(`a deadline of ${deadline} ms`);
  const clients = new Set(cohort.flatMap(({ client, identity }) => [client, toHex(identity)]));
  const twin = holders.find(({ client, identity }) => clients.has(client) || clients.has(toHex(identity)));
  if (twin !== undefined) throw impossible(`${twin.client} is a client and a key holder of one round`);
  sealParametersOf(session);
}

export function encodeSealSession(session: SealSession): Uint8Array<ArrayBuffer> {
  const { quantiser, profile } = session;
  const writer = new Writer().bytes(MAGIC).u8(SEAL_VERSION).text(session.round).u32(session.attempt);
  writer.bytes(fromHex(session.model)).bytes(fromHex(session.work)).u32(session.values);
  writer.f64(quantiser.clip).u8(quantiser.bits).u32(quantiser.maxWeight).u16(session.minimumSurvivors);
  writer
    .u64(BigInt(session.deadline))
    .u8(ARRANGEMENTS.indexOf(session.arrangement) + 1)
    .u8(session.threshold);
  writeMembers(writer, session.holders);
  const { plainBits, laneBits, lanesPerSlot, smudgingBits, blocks } = sealParametersOf(session);
  writer.text(profile).u8(plainBits).u8(laneBits).u8(lanesPerSlot).u8(smudgingBits).u32(blocks);
  return writeMembers(writer.bytes(fromHex(session.roster)), session.cohort).finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, or `SECAGG_PARAMETERS` */
export function decodeSealSession(bytes: Uint8Array): SealSession {
  const { session, said } = total('a session', () => read(new Reader(bytes)));
  checkSealSession(session);
  const { plainBits, laneBits, lanesPerSlot, smudgingBits, blocks } = sealParametersOf(session);
  const derived = [plainBits, laneBits, lanesPerSlot, smudgingBits, blocks];
  if (derived.join() !== said.join())
    throw impossible(`parameters [${said.join(', ')}], the session's are [${derived.join(', ')}]`);
  return session;
}

/** The context: 32 bytes. */
export function sealContextOf(session: SealSession): Uint8Array<ArrayBuffer> {
  const known = contexts.get(session);
  if (known !== undefined) return known;
  const context = sha256(new Writer().text(DOMAINS.sealSession).blob(encodeSealSession(session)).finish());
  contexts.set(session, context);
  return context;
}

export function sealLanesOf(session: SealSession): LaneFormat {
  return laneFormat(session.quantiser, session.values, session.cohort.length);
}

/** Of the ciphertexts: every party derives them, and they stand in the session too. @throws AggregationError `SECAGG_PARAMETERS` */
export function sealParametersOf(session: SealSession): SealParameters {
  const known = parameters.get(session);
  if (known !== undefined) return known;
  const derived = derive(session);
  parameters.set(session, derived);
  return derived;
}

/** SEAL with the parameters of the session: the one thing here that has to be freed. */
export function openSealRing(session: SealSession): Promise<Bgv> {
  return openBgv(sealParametersOf(session));
}

function derive(session: SealSession): SealParameters {
  const { profile, cohort } = session;
  const format = sealLanesOf(session);
  try {
    return sealParameters({
      keys: keysOf(session),
      clients: cohort.length,
      maxValue: format.laneMax,
      length: laneCount(format),
      profile,
    });
  } catch (cause) {
    if (cause instanceof CryptoError) throw impossible(cause.message, cause);
    throw cause;
  }
}

function keysOf({ arrangement, holders, threshold }: SealSession): KeyArrangement {
  if (arrangement === 'committee') return { kind: 'committee', members: holders.length, threshold };
  if (holders.length !== 1 || threshold !== 1) throw impossible(`${holders.length} holders of one key`);
  return { kind: 'holder' };
}

function read(reader: Reader): { readonly session: SealSession; readonly said: readonly number[] } {
  if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== SEAL_VERSION) throw invalid('no CRSE of this version');
  const head = {
    round: parseRoundId(reader.text(80)).id,
    attempt: reader.u32(),
    model: readDigest(reader),
    work: readDigest(reader),
    values: reader.u32(),
    quantiser: { clip: reader.f64(), bits: reader.u8(), maxWeight: reader.u32() },
    minimumSurvivors: reader.u16(),
    deadline: readTime(reader.u64()),
  };
  const arrangement = ARRANGEMENTS[reader.u8() - 1];
  if (arrangement === undefined) throw invalid('an arrangement of keys that is not known here');
  const keys = {
    arrangement,
    threshold: reader.u8(),
    holders: readMembers(reader),
    profile: reader.text(16) as SealProfileName,
  };
  const said = [reader.u8(), reader.u8(), reader.u8(), reader.u8(), reader.u32()];
  const session: SealSession = { ...head, ...keys, roster: readDigest(reader), cohort: readMembers(reader) };
  reader.end();
  return { session, said };
}

function readDigest(reader: Reader): Digest {
  return parseDigest(toHex(reader.bytes(32)));
}

export function readTime(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a time after the end of time');
  return Number(value);
}

function impossible(why: string, cause?: unknown): AggregationError {
  return new AggregationError('SECAGG_PARAMETERS', why, { cause });
}
