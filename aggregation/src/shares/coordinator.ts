/**
 * The coordinator's half of shares mode: it holds one share of every input, and learns the sum when the aggregator tells it the
 * sum of the others. Pure judgements over messages; what is kept of them is the shell's.
 */
import { DOMAINS, equalBytes, verify } from '@carapace/crypto';
import type { Refused } from '../secagg/stop.ts';
import { refusalOf, Stop } from '../secagg/stop.ts';
import { CheckedSum } from './checked-words.ts';
import { checkedAggregatorKey } from './client.ts';
import { depositText, payloadDigestOf } from './derivation.ts';
import { shareBytes, sharesContextOf, wordLanesOf } from './session.ts';
import type { SharesSession } from './session.ts';
import { decodeShareInput, shareInputLength } from './wire/share-input.ts';
import type { Deposit } from './wire/share-input.ts';
import { encodeSumRequest } from './wire/sum-request.ts';
import { decodeShareSum, shareSumLimit } from './wire/share-sum.ts';

/** Why the aggregator's key is not taken, or null. */
export function judgeAggregatorKey(session: SharesSession, message: Uint8Array): Refused | null {
  return refusalFrom(() => checkedAggregatorKey(session, message));
}

/** Length of the message that carries an input of this session. */
export function shareInputBytes(session: SharesSession): number {
  return shareInputLength(shareBytes(session));
}

/** The deposit of an input that may be admitted, to be kept and handed on; or why it may not. */
export function judgeShareInput(
  session: SharesSession,
  member: number,
  message: Uint8Array,
): { readonly kind: 'admitted'; readonly deposit: Deposit } | ({ readonly kind: 'refused' } & Refused) {
  try {
    return { kind: 'admitted', deposit: checkedInput(session, member, message).deposit };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** @param deposits of the survivors, in order of the members */
export function sumRequest(session: SharesSession, deposits: readonly Deposit[]): Uint8Array<ArrayBuffer> {
  return encodeSumRequest(sharesContextOf(session), deposits);
}

/** The most bytes that an answer of the aggregator has. */
export function shareSumBytes(session: SharesSession): number {
  return shareSumLimit(shareBytes(session), session.cohort.length);
}

/** Whose shares are in the aggregator's sum, or why it is not taken. @param asked members of the request */
export function judgeShareSum(
  session: SharesSession,
  asked: readonly number[],
  message: Uint8Array,
): { readonly kind: 'admitted'; readonly members: readonly number[] } | ({ readonly kind: 'refused' } & Refused) {
  try {
    return { kind: 'admitted', members: checkedSum(session, asked, message).members };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** The sum that the two aggregators' sums make. */
export interface SharesOpening {
  /** @throws Stop when the message is no input of this session any more */
  add(member: number, message: Uint8Array): void;
  /** The lane sums, or undefined when what comes out is no sum of lanes. */
  open(): Uint32Array | undefined;
  readonly inputs: number;
}

/** @param message the aggregator's; inputs of exactly its members are to be added. @throws Stop */
export function openShares(session: SharesSession, asked: readonly number[], message: Uint8Array): SharesOpening {
  const { members, sum } = checkedSum(session, asked, message);
  const total = new CheckedSum(wordLanesOf(session));
  total.add(sum);
  const left = new Set(members);
  return {
    get inputs() {
      return members.length - left.size;
    },
    add: (member, input) => {
      if (!left.delete(member)) throw new Stop('SECAGG_MEMBER', `member ${member} is not in the aggregator's sum`);
      total.add(checkedInput(session, member, input).payload);
    },
    open: () => {
      if (left.size > 0) throw new Error(`${left.size} inputs of the aggregator's sum were not added`);
      return total.open(members.length);
    },
  };
}

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
function checkedInput(
  session: SharesSession,
  member: number,
  message: Uint8Array,
): ReturnType<typeof decodeShareInput> {
  const context = sharesContextOf(session);
  const input = decodeShareInput(context, message);
  const { deposit, nonce, payload } = input;
  if (deposit.member !== member) throw new Stop('SECAGG_MEMBER', `sent as member ${deposit.member} by ${member}`);
  if (payload.length !== shareBytes(session))
    throw new Stop('SECAGG_LENGTH', `a share of ${payload.length} bytes, not ${shareBytes(session)}`);
  if (!equalBytes(deposit.payloadDigest, payloadDigestOf(nonce, payload)))
    throw new Stop('SECAGG_SHARE_WRONG', 'the deposit was made for another share');
  const { identity } = session.cohort[member]!;
  if (!verify(identity, DOMAINS.sharesDeposit, depositText(context, deposit), deposit.signature))
    throw new Stop('SECAGG_SIGNATURE', `the deposit is not signed by member ${member}`);
  return input;
}

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
function checkedSum(
  session: SharesSession,
  asked: readonly number[],
  message: Uint8Array,
): ReturnType<typeof decodeShareSum> {
  const answer = decodeShareSum(sharesContextOf(session), message);
  const wanted = new Set(asked);
  const stranger = answer.members.find((member) => !wanted.has(member));
  if (stranger !== undefined) throw new Stop('SECAGG_MEMBER', `nobody asked for the share of member ${stranger}`);
  if (answer.members.length < session.minimumSurvivors)
    throw new Stop(
      'SECAGG_COHORT_SMALL',
      `a sum of ${answer.members.length}, at least ${session.minimumSurvivors} wanted`,
    );
  if (answer.sum.length !== shareBytes(session))
    throw new Stop('SECAGG_LENGTH', `a sum of ${answer.sum.length} bytes, not ${shareBytes(session)}`);
  return answer;
}

function refusalFrom(judge: () => unknown): Refused | null {
  try {
    judge();
    return null;
  } catch (error) {
    return refusalOf(error);
  }
}
