/**
 * What the parties of one round in shares mode must agree on: coordinator, cohort, and the second aggregator, which is run by
 * somebody else. Its hash, the context, is in every key, signature and message, as in `secagg/session.ts`.
 */
import { DOMAINS, equalBytes, fromHex, parsePublicKey, Reader, sha256, toHex, utf8, Writer } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { parseClientId, parseDigest, parseRoundId } from '../ids.ts';
import type { Digest, RoundId } from '../ids.ts';
import { laneCount, laneFormat } from '../secagg/quantiser.ts';
import type { LaneFormat, Quantiser } from '../secagg/quantiser.ts';
import { readMembers, writeMembers } from '../secagg/roster.ts';
import type { Member } from '../secagg/roster.ts';
import { MOST_CLIENTS } from '../secagg/thresholds.ts';
import { invalid, total } from '../secagg/wire/frame.ts';
import type { WordLanes } from '../secagg/word-lanes.ts';
import { checkedWordCount } from './checked-words.ts';

export const SHARES_VERSION = 1;

/** Two inputs and their sum tell each of the two about the other. */
export const SHARES_LEAST_CLIENTS = 3;

const MAGIC = utf8('CRSH');

export interface SharesSession {
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
  /** The aggregator gives no sum of fewer. */
  readonly minimumSurvivors: number;
  /** Milliseconds since the epoch, by the coordinator's clock. */
  readonly deadline: number;
  /** Who holds the other shares; never one of the cohort. */
  readonly aggregator: Member;
  /** Digest of the roster that the cohort was taken from. */
  readonly roster: Digest;
  /** In order of the client ids; the position is the member number that messages use. */
  readonly cohort: readonly Member[];
}

/** Every message of a session asks for it. */
const contexts = new WeakMap<SharesSession, Uint8Array<ArrayBuffer>>();

/** @throws AggregationError `SECAGG_PARAMETERS` when the parts of a session do not fit together */
export function checkSharesSession(session: SharesSession): void {
  const { cohort, aggregator, minimumSurvivors, deadline } = session;
  sharesLanesOf(session);
  if (cohort.length < SHARES_LEAST_CLIENTS || cohort.length > MOST_CLIENTS)
    throw impossible(`a cohort of ${cohort.length}, allowed are ${SHARES_LEAST_CLIENTS} to ${MOST_CLIENTS}`);
  if (minimumSurvivors < SHARES_LEAST_CLIENTS || minimumSurvivors > cohort.length)
    throw impossible(`a sum of ${minimumSurvivors} of ${cohort.length} clients`);
  if (!Number.isSafeInteger(deadline) || deadline < 0) throw impossible(`a deadline of ${deadline} ms`);
  const twin = cohort.find(
    ({ client, identity }) => client === aggregator.client || equalBytes(identity, aggregator.identity),
  );
  if (twin !== undefined) throw impossible(`${twin.client} is a client and the aggregator of one round`);
}

export function encodeSharesSession(session: SharesSession): Uint8Array<ArrayBuffer> {
  const { quantiser, aggregator } = session;
  const writer = new Writer().bytes(MAGIC).u8(SHARES_VERSION).text(session.round).u32(session.attempt);
  writer.bytes(fromHex(session.model)).bytes(fromHex(session.work)).u32(session.values);
  writer.f64(quantiser.clip).u8(quantiser.bits).u32(quantiser.maxWeight).u16(session.minimumSurvivors);
  writer.u64(BigInt(session.deadline)).text(aggregator.client).bytes(aggregator.identity);
  return writeMembers(writer.bytes(fromHex(session.roster)), session.cohort).finish();
}

/** Whether these bytes say that they are a session of this mode. */
export function isSharesSession(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, MAGIC.length), MAGIC);
}

/** @throws AggregationError `MESSAGE_INVALID`, or `SECAGG_PARAMETERS` */
export function decodeSharesSession(bytes: Uint8Array): SharesSession {
  const session = total('a session', () => read(new Reader(bytes)));
  checkSharesSession(session);
  return session;
}

/** The context: 32 bytes. */
export function sharesContextOf(session: SharesSession): Uint8Array<ArrayBuffer> {
  const known = contexts.get(session);
  if (known !== undefined) return known;
  const context = sha256(new Writer().text(DOMAINS.sharesSession).blob(encodeSharesSession(session)).finish());
  contexts.set(session, context);
  return context;
}

export function sharesLanesOf(session: SharesSession): LaneFormat {
  return laneFormat(session.quantiser, session.values, session.cohort.length);
}

/** How the lanes lie in the words of Z_2^64 that are shared. */
export function wordLanesOf(session: SharesSession): WordLanes {
  const format = sharesLanesOf(session);
  return { count: laneCount(format), laneBits: format.laneBits, lanesPerWord: format.lanesPerWord };
}

/** Length of either share of one input, and of their sums. */
export function shareBytes(session: SharesSession): number {
  return 8 * checkedWordCount(wordLanesOf(session));
}

function read(reader: Reader): SharesSession {
  if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== SHARES_VERSION) throw invalid('no CRSH of this version');
  const session: SharesSession = {
    round: parseRoundId(reader.text(80)).id,
    attempt: reader.u32(),
    model: readDigest(reader),
    work: readDigest(reader),
    values: reader.u32(),
    quantiser: { clip: reader.f64(), bits: reader.u8(), maxWeight: reader.u32() },
    minimumSurvivors: reader.u16(),
    deadline: readTime(reader.u64()),
    aggregator: { client: parseClientId(reader.text(29)), identity: parsePublicKey(reader.bytes(32)) },
    roster: readDigest(reader),
    cohort: readMembers(reader),
  };
  reader.end();
  return session;
}

function readDigest(reader: Reader): Digest {
  return parseDigest(toHex(reader.bytes(32)));
}

function readTime(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a time after the end of time');
  return Number(value);
}

function impossible(why: string): AggregationError {
  return new AggregationError('SECAGG_PARAMETERS', why);
}
