/**
 * Step 4 of a key holder: its share of the opening of one sum, whose masks it adds up by itself. What it answers for is the sum of at least
 * the minimum of inputs that enrolled clients signed under this key, and it is one such set in a session: of a ciphertext that somebody
 * chose, or of one client's, it would tell the key or the client.
 *
 * Each contributor is taken to have encrypted honestly. One that has not and is with the coordinator can choose its mask so that the answers
 * tell the round's key: against that there is no proof here.
 */
import { DOMAINS, equalBytes, MaskSum, openingShare, sha256, verify } from '@carapace/crypto';
import type { Bgv, SigningKey } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import { contributionText, contributorsDigestOf, openingText } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import { decodeOpeningRequest } from '../wire/input.ts';
import type { Contribution, OpeningRequest } from '../wire/input.ts';
import { encodeOpeningShare } from '../wire/opening-share.ts';
import type { HolderOutcome } from './commit.ts';
import type { KeptHolder, KeyedHolder } from './state.ts';

/** Quorums for one set of inputs: each more costs a bit of what hides the holder's share, and a member that is away costs a quorum. */
export const MOST_QUORUMS = 8;

/** What is asked for, judged and committed to: the state is to be durable before anything of {@link openMasks} is sent. */
export function takeOpening(
  state: KeptHolder,
  message: Uint8Array,
): HolderOutcome<{ readonly state: KeyedHolder; readonly contributions: readonly Contribution[] }> {
  try {
    if (state.kind === 'forgotten') throw new Stop('SECAGG_DUPLICATE', 'this session was opened before, or is over');
    if (state.kind !== 'keyed') throw new Stop('SECAGG_ORDER', 'there is no key yet');
    const request = decodeOpeningRequest(sealContextOf(state.session), message);
    checkQuorum(state, request);
    checkContributions(state, request.contributions);
    return { kind: 'done', state: noted(state, request, sha256(message)), contributions: request.contributions };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** The masks of a request's contributors, in any order. To be freed. */
export interface MaskTally {
  /** Why a mask is not taken, or null. */
  add(member: number, mask: Uint8Array): Refused | null;
  /** The answer, block after block. @throws Error while masks are missing */
  answer(identity: SigningKey): Generator<undefined, Uint8Array<ArrayBuffer>>;
  free(): void;
}

/** @param message a request that was taken */
export function openMasks(bgv: Bgv, state: KeyedHolder, message: Uint8Array): MaskTally {
  const { quorum, contributions } = decodeOpeningRequest(sealContextOf(state.session), message);
  const wanted = new Map(contributions.map(({ member, maskDigest }) => [member, maskDigest]));
  const sum = new MaskSum(bgv);
  return {
    add: (member, mask) => {
      try {
        const digest = wanted.get(member);
        if (digest === undefined) throw new Stop('SECAGG_MEMBER', `no mask of member ${member} is missing`);
        if (!equalBytes(sha256(mask), digest))
          throw new Stop('SECAGG_SHARE_WRONG', `the mask is not the one that member ${member} signed`);
        sum.add(mask);
        wanted.delete(member);
        return null;
      } catch (error) {
        return refusalOf(error);
      }
    },
    answer: (identity) => {
      if (wanted.size > 0) throw new Error(`${wanted.size} masks are missing`);
      return answerOf(bgv, state, { quorum, request: sha256(message) }, sum.mask(), identity);
    },
    free: () => sum.free(),
  };
}

function* answerOf(
  bgv: Bgv,
  { session, number, keyShare }: KeyedHolder,
  { quorum, request }: { readonly quorum: readonly number[]; readonly request: Uint8Array },
  mask: Uint8Array,
  identity: SigningKey,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  const context = sealContextOf(session);
  const share = yield* openingShare(bgv, keyShare, { number, quorum }, mask);
  const unsigned = { request, maskDigest: sha256(mask), share };
  const signature = identity.sign(DOMAINS.sealOpening, openingText(context, number, unsigned));
  return encodeOpeningShare(context, { ...unsigned, signature });
}

/** Fixed before anybody answers: which pieces of the key a holder answers for hangs on it. */
function checkQuorum({ session, number, dealers }: KeyedHolder, { quorum }: OpeningRequest): void {
  const isQuorum = quorum.length === session.threshold && quorum.every((each) => dealers.includes(each));
  if (!isQuorum || !quorum.includes(number))
    throw new Stop(
      'SECAGG_MEMBER',
      `[${quorum.join(', ')}] is no quorum of ${session.threshold} with key holder ${number}`,
    );
}

function checkContributions({ session, keyDigest }: KeyedHolder, contributions: readonly Contribution[]): void {
  const { cohort, minimumSurvivors } = session;
  if (contributions.length < minimumSurvivors)
    throw new Stop('SECAGG_COHORT_SMALL', `a sum of ${contributions.length}, at least ${minimumSurvivors} wanted`);
  const masks = new Set<string>();
  for (const contribution of contributions) {
    const { member, maskDigest, signature } = contribution;
    const identity = cohort[member]?.identity;
    if (identity === undefined) throw new Stop('SECAGG_MEMBER', `no member ${member} in the cohort`);
    const text = contributionText(sealContextOf(session), keyDigest, contribution);
    if (!verify(identity, DOMAINS.sealContribution, text, signature))
      throw new Stop('SECAGG_SIGNATURE', `the input of member ${member} is not signed by it under this key`);
    if (masks.has(maskDigest.join())) throw new Stop('SECAGG_DUPLICATE', `member ${member} has the mask of another`);
    masks.add(maskDigest.join());
  }
}

function noted(state: KeyedHolder, { contributions }: OpeningRequest, request: Uint8Array): KeyedHolder {
  const contributors = contributorsDigestOf(contributions);
  const before = state.opened ?? { contributors, requests: [] };
  if (!equalBytes(before.contributors, contributors))
    throw new Stop('SECAGG_DUPLICATE', 'the sum of other inputs was opened in this session before');
  if (before.requests.some((known) => equalBytes(known, request))) return state;
  if (before.requests.length >= MOST_QUORUMS)
    throw new Stop('SECAGG_DUPLICATE', `this sum was opened with ${MOST_QUORUMS} quorums before`);
  return { ...state, opened: { contributors, requests: [...before.requests, request] } };
}
