/**
 * The second aggregator's half of shares mode, for one round: a key at its beginning, one sum at its end. It never sees an
 * input's other share; what it must not do is tell the sums of two sets that differ by a few clients, so it answers one request
 * a session, and the same request again with the same bytes.
 */
import {
  addMasks,
  DOMAINS,
  equalBytes,
  exchangeKeyFromSecret,
  openSealed,
  parseExchangePublicKey,
  Reader,
  sha256,
  utf8,
  verify,
  Writer,
} from '@carapace/crypto';
import type { ExchangeKey, PublicKey, RandomSource, SigningKey } from '@carapace/crypto';
import { CryptoError } from '@carapace/crypto';
import type { ClientId } from '../ids.ts';
import type { RosterKeys, RosterTrust } from '../secagg/roster.ts';
import { refusalOf, Stop } from '../secagg/stop.ts';
import type { Refused } from '../secagg/stop.ts';
import { invalid, total } from '../secagg/wire/frame.ts';
import { aggregatorKeyText, depositAssociated, depositKeyOf, depositText, shareSeedOf } from './derivation.ts';
import { judgeShares, readSharesSession } from './floor.ts';
import type { SharesFloor } from './floor.ts';
import { encodeSharesSession, decodeSharesSession, shareBytes, sharesContextOf } from './session.ts';
import type { SharesSession } from './session.ts';
import { encodeAggregatorKey } from './wire/aggregator-key.ts';
import type { Deposit } from './wire/share-input.ts';
import { decodeSumRequest } from './wire/sum-request.ts';
import { encodeShareSum } from './wire/share-sum.ts';

export interface AggregatorStanding {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  readonly floor: SharesFloor;
}

/** To be durable before a word of it is sent; it holds the secret of the round. */
export interface AggregatorState {
  readonly session: SharesSession;
  /** X25519; null once the sum was told: what was sealed for it is then sealed for ever. */
  readonly secret: Uint8Array | null;
  /** The key's message to the coordinator. */
  readonly outbox: Uint8Array;
  /** SHA-256 of the one request that is answered; null as long as none came. */
  readonly answered: Uint8Array | null;
}

export type AggregatorOutcome<T> = ({ readonly kind: 'done' } & T) | ({ readonly kind: 'refused' } & Refused);

const MAGIC = utf8('CRSG');
const FORMAT = 1;
const NONE = new Uint8Array(0);

/** A key for a session that the aggregator is willing to sum. */
export function openAggregator(
  invitation: { readonly session: Uint8Array; readonly roster: Uint8Array },
  standing: AggregatorStanding,
  random: RandomSource,
): AggregatorOutcome<{ readonly state: AggregatorState; readonly trust: RosterTrust }> {
  try {
    const session = readSharesSession(invitation.session);
    const trust = judgeShares(session, invitation.roster, standing.rosterKeys, standing.floor);
    if (session.aggregator.client !== standing.client || !isOwn(session, standing.identity.publicKey))
      throw new Stop('SECAGG_MEMBER', 'the session names another aggregator');
    const secret = random.bytes(32);
    const sealingKey = exchangeKeyFromSecret(secret).publicKey;
    const context = sharesContextOf(session);
    const signature = standing.identity.sign(DOMAINS.sharesKey, aggregatorKeyText(context, sealingKey));
    const outbox = encodeAggregatorKey(context, { sealingKey, signature });
    return { kind: 'done', state: { session, secret, outbox, answered: null }, trust };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** What a request asks for, judged and committed to: the state is to be durable before {@link sumShares} is sent. */
export function takeRequest(
  state: AggregatorState,
  request: Uint8Array,
): AggregatorOutcome<{
  readonly state: AggregatorState;
  /** By member. */
  readonly seeds: ReadonlyMap<number, Uint8Array>;
  /** How many were asked for: the others' shares do not open. */
  readonly asked: number;
}> {
  try {
    const digest = sha256(request);
    if (state.answered !== null && !equalBytes(state.answered, digest))
      throw new Stop('SECAGG_DUPLICATE', 'another sum of this session was asked for before');
    if (state.secret === null) throw new Stop('SECAGG_DUPLICATE', 'the sum of this session was told before');
    const deposits = decodeSumRequest(sharesContextOf(state.session), request);
    const seeds = openDeposits(state.session, state.secret, deposits);
    const { minimumSurvivors } = state.session;
    if (seeds.size < minimumSurvivors)
      throw new Stop('SECAGG_COHORT_SMALL', `${seeds.size} shares open, at least ${minimumSurvivors} wanted`);
    return { kind: 'done', state: { ...state, answered: digest }, seeds, asked: deposits.length };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** The sum of the shares that the seeds stand for, member after member, so that a caller may rest in between. */
export function* sumShares(
  session: SharesSession,
  seeds: ReadonlyMap<number, Uint8Array>,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  const words = new BigUint64Array(shareBytes(session) / 8);
  for (const seed of seeds.values()) {
    addMasks(words, [{ seed, sign: 1 }]);
    yield;
  }
  return encodeShareSum(sharesContextOf(session), { members: [...seeds.keys()], sum: new Uint8Array(words.buffer) });
}

/** After the coordinator has the sum: nothing is left with which a share could be opened. */
export function forgetSecret(state: AggregatorState): AggregatorState {
  return { ...state, secret: null };
}

export function encodeAggregatorState({ session, secret, outbox, answered }: AggregatorState): Uint8Array<ArrayBuffer> {
  const writer = new Writer()
    .bytes(MAGIC)
    .u8(FORMAT)
    .blob(encodeSharesSession(session))
    .blob(secret ?? NONE);
  return writer
    .blob(outbox)
    .blob(answered ?? NONE)
    .finish();
}

/** @throws AggregationError `MESSAGE_INVALID` or `SECAGG_PARAMETERS` */
export function decodeAggregatorState(bytes: Uint8Array): AggregatorState {
  return total('the state of an aggregator', () => {
    const reader = new Reader(bytes);
    if (!equalBytes(reader.bytes(4), MAGIC) || reader.u8() !== FORMAT) throw invalid('no CRSG of this format');
    const session = decodeSharesSession(reader.blob(reader.remaining));
    const secret = read32(reader);
    const outbox = reader.blob(reader.remaining);
    const answered = read32(reader);
    reader.end();
    return { session, secret, outbox, answered };
  });
}

function read32(reader: Reader): Uint8Array | null {
  const bytes = reader.blob(32);
  if (bytes.length === 0) return null;
  if (bytes.length !== 32) throw invalid('a secret, or a digest, has 32 bytes');
  return bytes;
}

/** Seeds of the shares by member. One that is not signed or does not open is left out: its client made it so, or the coordinator did. */
function openDeposits(
  session: SharesSession,
  secret: Uint8Array,
  deposits: readonly Deposit[],
): ReadonlyMap<number, Uint8Array> {
  const own = exchangeKeyFromSecret(secret);
  const seeds = new Map<number, Uint8Array>();
  for (const deposit of deposits) {
    const seed = openDeposit(session, own, deposit);
    if (seed !== undefined) seeds.set(deposit.member, seed);
  }
  return seeds;
}

function openDeposit(session: SharesSession, own: ExchangeKey, deposit: Deposit): Uint8Array | undefined {
  const member = session.cohort[deposit.member];
  if (member === undefined) throw new Stop('SECAGG_MEMBER', `no member ${deposit.member} in the cohort`);
  const context = sharesContextOf(session);
  const { signature, payloadDigest, ephemeralKey, sealedSeed } = deposit;
  if (!verify(member.identity, DOMAINS.sharesDeposit, depositText(context, deposit), signature)) return undefined;
  const key = agreedKey(context, own, ephemeralKey);
  const seed = key && openSealed(key, sealedSeed, depositAssociated(context, deposit.member, payloadDigest));
  return seed && shareSeedOf(context, seed, deposit.member);
}

/** Undefined when the client's key is no point that may be used. */
function agreedKey(context: Uint8Array, own: ExchangeKey, ephemeralKey: Uint8Array): Uint8Array | undefined {
  try {
    const peer = parseExchangePublicKey(ephemeralKey);
    return depositKeyOf(context, own, peer, { ephemeralKey, sealingKey: own.publicKey });
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'KEY_MALFORMED') return undefined;
    throw error;
  }
}

function isOwn(session: SharesSession, key: PublicKey): boolean {
  return equalBytes(session.aggregator.identity, key);
}
