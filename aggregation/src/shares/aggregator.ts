/**
 * The second aggregator's half of shares mode, for one round: a key at its beginning, one sum at its end. It never sees an
 * input's other share; what it must not do is tell the sums of two sets that differ by a few clients, so it answers one request
 * a session, and the same request again with the same bytes.
 */
import {
  addMaskInParts,
  DOMAINS,
  equalBytes,
  exchangeKeyFromSecret,
  openSealed,
  parseExchangePublicKey,
  sha256,
  verify,
} from '@carapace/crypto';
import type { ExchangeKey, PublicKey, RandomSource, SigningKey } from '@carapace/crypto';
import { CryptoError } from '@carapace/crypto';
import type { ClientId } from '../ids.ts';
import type { RosterKeys, RosterTrust } from '../secagg/roster.ts';
import { refusalOf, Stop } from '../secagg/stop.ts';
import type { Refused } from '../secagg/stop.ts';
import type { AggregatorState, KeptAggregation } from './aggregator-state.ts';
import { aggregatorKeyText, depositAssociated, depositKeyOf, depositText, shareSeedOf } from './derivation.ts';
import { judgeCost, judgeShares, readSharesSession } from './floor.ts';
import type { AggregatorFloor } from './floor.ts';
import { shareBytes, sharesContextOf } from './session.ts';
import type { SharesSession } from './session.ts';
import { encodeAggregatorKey } from './wire/aggregator-key.ts';
import type { Deposit } from './wire/share-input.ts';
import { decodeSumRequest } from './wire/sum-request.ts';
import { encodeShareSum } from './wire/share-sum.ts';

export interface AggregatorStanding {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  readonly floor: AggregatorFloor;
  /** Milliseconds since the epoch, by its own clock. */
  readonly now: number;
}

export type AggregatorOutcome<T> = ({ readonly kind: 'done' } & T) | ({ readonly kind: 'refused' } & Refused);

/** Of members whose shares do not open, in a text for people. */
const MOST_NAMED = 20;

/** A key for a session that the aggregator is willing to sum. */
export function openAggregator(
  invitation: { readonly session: Uint8Array; readonly roster: Uint8Array },
  standing: AggregatorStanding,
  random: RandomSource,
): AggregatorOutcome<{ readonly state: AggregatorState; readonly trust: RosterTrust }> {
  try {
    const session = readSharesSession(invitation.session);
    const trust = judgeShares(session, invitation.roster, standing.rosterKeys, standing.floor);
    judgeCost(session, standing.floor, standing.now);
    if (session.aggregator.client !== standing.client || !isOwn(session, standing.identity.publicKey))
      throw new Stop('SECAGG_MEMBER', 'the session names another aggregator');
    const secret = random.bytes(32);
    const sealingKey = exchangeKeyFromSecret(secret).publicKey;
    const context = sharesContextOf(session);
    const signature = standing.identity.sign(DOMAINS.sharesKey, aggregatorKeyText(context, sealingKey));
    const outbox = encodeAggregatorKey(context, { sealingKey, signature });
    return { kind: 'done', state: { kind: 'keyed', session, secret, outbox, answered: null }, trust };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

export type TakenRequest =
  | {
      readonly kind: 'done';
      readonly state: AggregatorState;
      /** By member. */
      readonly seeds: ReadonlyMap<number, Uint8Array>;
      /** How many were asked for: the others' shares do not open. */
      readonly asked: number;
    }
  /** `unopened`: members whose shares do not open, where that is why. */
  | ({ readonly kind: 'refused'; readonly unopened: readonly number[] } & Refused);

/** What a request asks for, judged and committed to: the state is to be durable before {@link sumShares} is sent. */
export function takeRequest(state: KeptAggregation, request: Uint8Array): TakenRequest {
  try {
    if (state.kind === 'forgotten') throw new Stop('SECAGG_DUPLICATE', 'the sum of this session was told before');
    const digest = sha256(request);
    if (state.answered !== null && !equalBytes(state.answered, digest))
      throw new Stop('SECAGG_DUPLICATE', 'another sum of this session was asked for before');
    const deposits = decodeSumRequest(sharesContextOf(state.session), request);
    const seeds = openDeposits(state.session, state.secret, deposits);
    if (seeds.size < state.session.minimumSurvivors) return tooFew(state.session, deposits, seeds);
    return { kind: 'done', state: { ...state, answered: digest }, seeds, asked: deposits.length };
  } catch (error) {
    return { kind: 'refused', unopened: [], ...refusalOf(error) };
  }
}

/** The sum of the shares that the seeds stand for, member after member and part after part, so that a caller may rest in between. */
export function* sumShares(
  session: SharesSession,
  seeds: ReadonlyMap<number, Uint8Array>,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  const words = new BigUint64Array(shareBytes(session) / 8);
  for (const seed of seeds.values()) {
    yield* addMaskInParts(words, seed);
  }
  return encodeShareSum(sharesContextOf(session), { members: [...seeds.keys()], sum: new Uint8Array(words.buffer) });
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

/** With the members named: whoever made such a deposit can have ended the round. */
function tooFew(
  { minimumSurvivors }: SharesSession,
  deposits: readonly Deposit[],
  seeds: ReadonlyMap<number, Uint8Array>,
): TakenRequest {
  const unopened = deposits.map(({ member }) => member).filter((member) => !seeds.has(member));
  const named = unopened.slice(0, MOST_NAMED).join(', ');
  const more = unopened.length > MOST_NAMED ? ` and ${unopened.length - MOST_NAMED} more` : '';
  const whose = unopened.length === 0 ? '' : `; not those of the members ${named}${more}`;
  const why = `${seeds.size} shares open, at least ${minimumSurvivors} wanted${whose}`;
  return { kind: 'refused', code: 'SECAGG_COHORT_SMALL', why, unopened };
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
