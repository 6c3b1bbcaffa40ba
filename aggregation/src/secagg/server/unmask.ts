/** Step 4 of the coordinator: take what the survivors disclose, name what is wrong with it. */
import { bindingOf, keepsCommitment } from '../derivation.ts';
import type { CommittedSecret } from '../derivation.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeUnmaskReply } from '../wire/unmask.ts';
import type { Disclosure, UnmaskReply } from '../wire/unmask.ts';
import { admit, membersOf } from './admit.ts';
import type { Dealing } from '../wire/share-keys.ts';
import type { Unmasking } from './state.ts';
import type { Accusation } from './accusation.ts';

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function takeReply(
  state: Unmasking,
  from: number,
  message: Uint8Array,
): { state: Unmasking; accusations: Accusation[] } {
  if (!state.survivors.includes(from)) throw new Stop('SECAGG_MEMBER', `member ${from} is not in the sum`);
  const context = contextOf(state.session);
  const reply = decodeUnmaskReply(context, message);
  const replies = admit(state.replies, from, reply);
  if (replies === state.replies) return { state, accusations: [] };
  checkKinds(state, reply);
  return { state: { ...state, replies }, accusations: faultsOf(state, bindingOf(context, state.keys), reply) };
}

/** Only what an honest client could say is admitted: of a survivor its self-mask share, of a dropped client the rest. */
function checkKinds(state: Unmasking, reply: UnmaskReply): void {
  const survivors = new Set(state.survivors);
  for (const { kind, member } of reply.disclosures) {
    if (!state.dealings.has(member) || survivors.has(member) !== (kind === 'survivor')) {
      throw new Stop('SECAGG_MEMBER', `member ${reply.member} discloses about member ${member} what it must not`);
    }
  }
}

function faultsOf(state: Unmasking, binding: Uint8Array, reply: UnmaskReply): Accusation[] {
  const disclosed = new Map(reply.disclosures.map((disclosure) => [disclosure.member, disclosure]));
  return membersOf(state.dealings).flatMap((subject): Accusation[] => {
    const disclosure = disclosed.get(subject);
    const share = disclosure && shareIn(disclosure);
    if (share === undefined) return [{ member: reply.member, code: 'SECAGG_SHARE_MISSING', subject }];
    return isGoodShare(state.dealings.get(subject)!, reply.member, disclosure!, binding)
      ? []
      : [{ member: reply.member, code: 'SECAGG_SHARE_WRONG', subject }];
  });
}

export function shareIn(disclosure: Disclosure): Uint8Array | undefined {
  return disclosure.kind === 'survivor' ? disclosure.selfShare : disclosure.keyShare;
}

/** Whether the disclosed share is the one that its dealer committed to. */
export function isGoodShare(dealing: Dealing, holder: number, disclosure: Disclosure, binding: Uint8Array): boolean {
  const dealt = dealing.shares.find(({ member }) => member === holder)!;
  const share = shareIn(disclosure);
  const [kind, commitment]: [CommittedSecret, Uint8Array] =
    disclosure.kind === 'survivor' ? ['self-share', dealt.selfCommitment] : ['key-share', dealt.keyCommitment];
  return share !== undefined && keepsCommitment(commitment, kind, binding, dealing.member, holder, share);
}
