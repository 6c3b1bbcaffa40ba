/** Step 4 of the coordinator: take what the survivors disclose, name what is wrong with it. */
import { bindingOf, keepsCommitment } from '../derivation.ts';
import type { CommittedSecret } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import { decodeUnmaskReply } from '../wire/unmask.ts';
import type { Disclosure, UnmaskReply } from '../wire/unmask.ts';
import { admit } from './admit.ts';
import { dealtTo } from './share-keys.ts';
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
  const peers = new Set(graphOf(state.session, state.keys).peers(reply.member));
  for (const { kind, member } of reply.disclosures) {
    if (!peers.has(member) || !state.dealings.has(member) || survivors.has(member) !== (kind === 'survivor')) {
      throw new Stop('SECAGG_MEMBER', `member ${reply.member} discloses about member ${member} what it must not`);
    }
  }
}

function faultsOf(state: Unmasking, binding: Uint8Array, reply: UnmaskReply): Accusation[] {
  const disclosed = new Map(reply.disclosures.map((disclosure) => [disclosure.member, disclosure]));
  const dealers = graphOf(state.session, state.keys)
    .peers(reply.member)
    .filter((peer) => state.dealings.has(peer));
  return dealers.flatMap((subject): Accusation[] => {
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

/** Judged when the reply arrives, and needed again when the secrets are recovered. */
const judged = new WeakMap<Disclosure, boolean>();

/** Whether the disclosed share is the one that its dealer committed to. */
export function isGoodShare(dealing: Dealing, holder: number, disclosure: Disclosure, binding: Uint8Array): boolean {
  const verdict = judged.get(disclosure) ?? judge(dealing, holder, disclosure, binding);
  judged.set(disclosure, verdict);
  return verdict;
}

function judge(dealing: Dealing, holder: number, disclosure: Disclosure, binding: Uint8Array): boolean {
  const dealt = dealtTo(dealing, holder)!;
  const share = shareIn(disclosure);
  const [kind, commitment]: [CommittedSecret, Uint8Array] =
    disclosure.kind === 'survivor' ? ['self-share', dealt.selfCommitment] : ['key-share', dealt.keyCommitment];
  return share !== undefined && keepsCommitment(commitment, kind, binding, dealing.member, holder, share);
}
