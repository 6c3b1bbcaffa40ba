/**
 * Step 4 of a key holder, its first half: whether it helps to open what it is asked to. That is the sum of at least the minimum of inputs
 * that enrolled clients signed under this key, and one such set in a session: of a single client's ciphertext it would tell the client.
 */
import { DOMAINS, equalBytes, sha256, verify } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import { contributionText, contributorsDigestOf } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import { decodeOpeningRequest } from '../wire/input.ts';
import type { Contribution, OpeningRequest } from '../wire/input.ts';
import type { HolderOutcome } from './commit.ts';
import type { KeptHolder, OpeningHolder } from './state.ts';

/** Quorums for one set of inputs: each more costs a bit of what hides the holder's share, and a member that is away costs a quorum. */
export const MOST_QUORUMS = 8;

export interface TakenOpening<Holder extends OpeningHolder = OpeningHolder> {
  /** To be durable before anything of an answer is sent. */
  readonly state: Holder;
  readonly request: OpeningRequest;
  /** SHA-256 of the request's message. */
  readonly digest: Uint8Array;
}

/** What is asked for, judged and committed to. */
export function takeOpening(state: KeptHolder, message: Uint8Array): HolderOutcome<TakenOpening> {
  try {
    if (state.kind === 'forgotten') throw new Stop('SECAGG_DUPLICATE', 'this session was opened before, or is over');
    if (state.kind !== 'keyed' && state.kind !== 'sole') throw new Stop('SECAGG_ORDER', 'there is no key yet');
    const request = decodeOpeningRequest(sealContextOf(state.session), message);
    checkQuorum(state, request);
    checkContributions(state, request.contributions);
    const digest = sha256(message);
    return { kind: 'done', state: noted(state, request, digest), request, digest };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** Fixed before anybody answers: which pieces of the key a holder answers for hangs on it. */
function checkQuorum(state: OpeningHolder, { quorum }: OpeningRequest): void {
  const { session, number } = state;
  const dealers = state.kind === 'keyed' ? state.dealers : [number];
  const isQuorum = quorum.length === session.threshold && quorum.every((each) => dealers.includes(each));
  if (!isQuorum || !quorum.includes(number))
    throw new Stop(
      'SECAGG_MEMBER',
      `[${quorum.join(', ')}] is no quorum of ${session.threshold} with key holder ${number}`,
    );
}

function checkContributions({ session, keyDigest }: OpeningHolder, contributions: readonly Contribution[]): void {
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

function noted(state: OpeningHolder, { contributions }: OpeningRequest, request: Uint8Array): OpeningHolder {
  const contributors = contributorsDigestOf(contributions);
  const before = state.opened ?? { contributors, requests: [] };
  if (!equalBytes(before.contributors, contributors))
    throw new Stop('SECAGG_DUPLICATE', 'the sum of other inputs was opened in this session before');
  if (before.requests.some((known) => equalBytes(known, request))) return state;
  // A holder that has the key whole tells one sum of one body, whose noise nobody hides.
  const most = state.kind === 'keyed' ? MOST_QUORUMS : 1;
  if (before.requests.length >= most) throw new Stop('SECAGG_DUPLICATE', `this sum was opened ${most} times before`);
  return { ...state, opened: { contributors, requests: [...before.requests, request] } };
}
