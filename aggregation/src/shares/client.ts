/**
 * The client's half of shares mode: it speaks once. Its vector x becomes x - PRG(seed) for the coordinator and the seed, sealed,
 * for the aggregator (additive sharing between two servers: Prio, Corrigan-Gibbs and Boneh 2017, section 3; one share as a
 * seed, as in the VDAFs of the IETF). Nobody waits for it afterwards, so it has no state: a crash before its bytes were journalled
 * begins again with a new seed, and one after repeats them.
 */
import {
  addMasks,
  DOMAINS,
  equalBytes,
  exchangeKeyFromSecret,
  parseExchangePublicKey,
  seal,
  verify,
} from '@carapace/crypto';
import type { ExchangePublicKey, PublicKey, RandomSource, SigningKey } from '@carapace/crypto';
import type { ClientId, Digest } from '../ids.ts';
import { checkLanes } from '../secagg/quantiser.ts';
import type { RosterKeys } from '../secagg/roster.ts';
import { refusalOf, Stop } from '../secagg/stop.ts';
import type { Refused } from '../secagg/stop.ts';
import { checkedWords } from './checked-words.ts';
import {
  aggregatorKeyText,
  depositAssociated,
  depositKeyOf,
  depositText,
  payloadDigestOf,
  shareSeedOf,
} from './derivation.ts';
import { judgeAggregator, judgeShares, readSharesSession } from './floor.ts';
import type { SharesFloor, SharesTrust } from './floor.ts';
import { sharesContextOf, sharesLanesOf, wordLanesOf } from './session.ts';
import type { SharesSession } from './session.ts';
import { decodeAggregatorKey } from './wire/aggregator-key.ts';
import { encodeShareInput, NONCE_BYTES, SEED_BYTES } from './wire/share-input.ts';

/** What the client knows by itself; the model's digests are of the bytes it received, not of what it was told. */
export interface SharesStanding {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  /** The aggregator's pinned identity, or null where none is. */
  readonly aggregator: PublicKey | null;
  readonly floor: SharesFloor;
  readonly model: Digest;
  readonly work: Digest;
  readonly values: number;
}

/** A session that this client agreed to. */
export interface SharesPart {
  readonly session: SharesSession;
  readonly member: number;
  readonly trust: SharesTrust;
}

export type Judged<T> = { readonly kind: 'agreed'; readonly value: T } | ({ readonly kind: 'refused' } & Refused);

/** Whether this client takes part: the session is about its work, with its cohort, its aggregator and no less than its floor. */
export function joinShares(
  invitation: { readonly session: Uint8Array; readonly roster: Uint8Array },
  standing: SharesStanding,
): Judged<SharesPart> {
  return judged(() => {
    const session = readSharesSession(invitation.session);
    const roster = judgeShares(session, invitation.roster, standing.rosterKeys, standing.floor);
    const aggregator = judgeAggregator(session, standing.aggregator, roster, standing.floor);
    const { model, work, values } = session;
    if (model !== standing.model || work !== standing.work || values !== standing.values)
      throw new Stop('SECAGG_MODEL', 'the session is about another model than the one received');
    return { session, member: ownMember(session, standing), trust: { roster, aggregator } };
  });
}

/** The aggregator's key for the round, once it is known to be its own. */
export function openAggregatorKey(session: SharesSession, message: Uint8Array): Judged<ExchangePublicKey> {
  return judged(() => checkedAggregatorKey(session, message));
}

/** @throws Stop, AggregationError `MESSAGE_INVALID`, CryptoError `KEY_MALFORMED` */
export function checkedAggregatorKey(session: SharesSession, message: Uint8Array): ExchangePublicKey {
  const context = sharesContextOf(session);
  const { sealingKey, signature } = decodeAggregatorKey(context, message);
  const key = parseExchangePublicKey(sealingKey);
  if (!verify(session.aggregator.identity, DOMAINS.sharesKey, aggregatorKeyText(context, sealingKey), signature))
    throw new Stop('SECAGG_SIGNATURE', `the key is not signed by ${session.aggregator.client}`);
  return key;
}

/**
 * The one message, to be journalled before it is sent: a second call draws another seed.
 * @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE`
 */
export function encodeShares(
  { session, member }: SharesPart,
  sealingKey: ExchangePublicKey,
  lanes: Uint32Array,
  identity: SigningKey,
  random: RandomSource,
): Uint8Array<ArrayBuffer> {
  checkLanes(lanes, sharesLanesOf(session));
  const context = sharesContextOf(session);
  const seed = random.bytes(SEED_BYTES);
  const words = checkedWords(lanes, wordLanesOf(session));
  addMasks(words, [{ seed: shareSeedOf(context, seed, member), sign: -1 }]);
  const payload = new Uint8Array(words.buffer);
  const nonce = random.bytes(NONCE_BYTES);
  const payloadDigest = payloadDigestOf(nonce, payload);
  const own = exchangeKeyFromSecret(random.bytes(32));
  const ephemeralKey = own.publicKey;
  const key = depositKeyOf(context, own, sealingKey, { ephemeralKey, sealingKey });
  const sealedSeed = seal(key, seed, depositAssociated(context, member, payloadDigest), random);
  const unsigned = { member, payloadDigest, ephemeralKey, sealedSeed };
  const signature = identity.sign(DOMAINS.sharesDeposit, depositText(context, unsigned));
  return encodeShareInput(context, { deposit: { ...unsigned, signature }, nonce, payload });
}

/** A refusal as a value; what is no fault of the peer is thrown on. */
function judged<T>(judge: () => T): Judged<T> {
  try {
    return { kind: 'agreed', value: judge() };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

function ownMember(session: SharesSession, { client, identity }: SharesStanding): number {
  const member = session.cohort.findIndex((of) => of.client === client);
  const listed = session.cohort[member]?.identity;
  if (listed === undefined || !equalBytes(listed, identity.publicKey))
    throw new Stop('SECAGG_MEMBER', 'this client is not in the cohort under its own key');
  return member;
}
