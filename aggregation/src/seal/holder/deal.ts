/** Step 2 of a key holder: with the list of all commitments before it, it shows its public share and deals its key out to those listed. */
import { DOMAINS, equalBytes, exchangeKeyFromSecret, parseExchangePublicKey, seal } from '@carapace/crypto';
import type { ExchangeKey, RandomSource, SigningKey } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import { checkedList } from '../checked-list.ts';
import { dealAssociated, dealKeyOf, dealText, listDigestOf } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import type { ListedCommitment } from '../wire/commitment.ts';
import { decodeCommitment } from '../wire/commitment.ts';
import { encodeDeal } from '../wire/deal.ts';
import type { Packet } from '../wire/deal.ts';
import type { HolderOutcome } from './commit.ts';
import type { CommittedHolder, DealtHolder } from './state.ts';

/** The one list that it deals to: a second one is answered by nobody who has this state no more. */
export function dealShares(
  state: CommittedHolder,
  message: Uint8Array,
  identity: SigningKey,
  random: RandomSource,
): HolderOutcome<{ readonly state: DealtHolder }> {
  try {
    const { session, number, secret, publicShare } = state;
    const context = sealContextOf(session);
    const list = checkedList(session, message);
    checkOwn(state, list.get(number));
    const own = exchangeKeyFromSecret(secret);
    const packets = [...list.values()].map((to) => packetFor(state, own, { list: message, to }, identity, random));
    const outbox = encodeDeal(context, { publicShare, packets });
    return { kind: 'done', state: { kind: 'dealt', session, number, secret, list: message, publicShare, outbox } };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** With another key of its own in the list, somebody else could read what is dealt to it. */
function checkOwn({ session, outbox }: CommittedHolder, listed: ListedCommitment | undefined): void {
  const { commitment, sealingKey } = decodeCommitment(sealContextOf(session), outbox);
  if (listed === undefined || !equalBytes(listed.commitment, commitment) || !equalBytes(listed.sealingKey, sealingKey))
    throw new Stop('SECAGG_MEMBER', 'the list does not have this key holder’s own commitment');
}

function packetFor(
  { session, number, publicShare, shares }: CommittedHolder,
  own: ExchangeKey,
  { list, to }: { readonly list: Uint8Array; readonly to: ListedCommitment },
  identity: SigningKey,
  random: RandomSource,
): Packet {
  const context = sealContextOf(session);
  const digest = listDigestOf(list);
  const way = { dealer: number, recipient: to.number };
  const peer = parseExchangePublicKey(to.sealingKey);
  const key = dealKeyOf(context, own, peer, { ...way, dealerKey: own.publicKey, recipientKey: peer });
  const sealedShare = seal(key, shares[to.number - 1]!, dealAssociated(context, digest, way), random);
  const text = dealText({ context, list: digest }, way, { publicShare, sealedShare });
  return { number: to.number, sealedShare, signature: identity.sign(DOMAINS.sealDeal, text) };
}
