/** Step 3 of a key holder: it adds up what was dealt to it, and signs the joint key that its share is of. From here on it has no other key. */
import {
  addKeyShares,
  DOMAINS,
  equalBytes,
  exchangeKeyFromSecret,
  openSealed,
  parseExchangePublicKey,
  revealedPublicKey,
  sha256,
  verify,
} from '@carapace/crypto';
import type { Bgv, SigningKey } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import { checkedList, holderKey } from '../checked-list.ts';
import { dealAssociated, dealKeyOf, dealText, keyText, listDigestOf } from '../derivation.ts';
import { sealContextOf } from '../session.ts';
import type { ListedCommitment } from '../wire/commitment.ts';
import { decodeDelivery } from '../wire/deal.ts';
import type { Delivered } from '../wire/deal.ts';
import { encodeConfirmation } from '../wire/round-key.ts';
import type { HolderOutcome } from './commit.ts';
import type { DealtHolder, KeyedHolder } from './state.ts';

export function confirmKey(
  bgv: Bgv,
  state: DealtHolder,
  message: Uint8Array,
  identity: SigningKey,
): HolderOutcome<{ readonly state: KeyedHolder }> {
  try {
    const { session, number } = state;
    const context = sealContextOf(session);
    const list = checkedList(session, state.list);
    const delivered = decodeDelivery(context, message);
    checkDealers(state, delivered);
    const revealed = delivered.map((from) => ({ ...from, commitment: listed(list, from.number).commitment }));
    const keyDigest = sha256(revealedPublicKey(bgv, context, revealed));
    const shares = delivered.map((from) => openShare(state, listed(list, from.number), from));
    const keyShare = addKeyShares(bgv, shares);
    for (const share of shares) share.fill(0);
    const dealers = delivered.map((from) => from.number);
    const signature = identity.sign(DOMAINS.sealKey, keyText(context, listDigestOf(state.list), dealers, keyDigest));
    const outbox = encodeConfirmation(context, { dealers, keyDigest, signature });
    return {
      kind: 'done',
      state: { kind: 'keyed', session, number, keyShare, keyDigest, dealers, opened: null, outbox },
    };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** Its own key must be in the joint one: that is what makes the joint one nobody else's. */
function checkDealers({ session, number, publicShare }: DealtHolder, delivered: readonly Delivered[]): void {
  if (delivered.length < session.threshold)
    throw new Stop('SECAGG_COHORT_SMALL', `${delivered.length} dealers, at least ${session.threshold} wanted`);
  const own = delivered.find((from) => from.number === number);
  if (own === undefined || !equalBytes(own.publicShare, publicShare))
    throw new Stop('SECAGG_MEMBER', 'the key of this holder is not among those dealt');
}

function openShare(state: DealtHolder, dealer: ListedCommitment, delivered: Delivered): Uint8Array {
  const { session, number, secret } = state;
  const context = sealContextOf(session);
  const list = listDigestOf(state.list);
  const way = { dealer: dealer.number, recipient: number };
  if (
    !verify(
      holderKey(session, dealer.number),
      DOMAINS.sealDeal,
      dealText({ context, list }, way, delivered),
      delivered.signature,
    )
  )
    throw new Stop(
      'SECAGG_SIGNATURE',
      `what was dealt is not signed by key holder ${dealer.number}, or for another list`,
    );
  const own = exchangeKeyFromSecret(secret);
  const peer = parseExchangePublicKey(dealer.sealingKey);
  const key = dealKeyOf(context, own, peer, { ...way, dealerKey: peer, recipientKey: own.publicKey });
  const share = openSealed(key, delivered.sealedShare, dealAssociated(context, list, way));
  if (share === undefined) throw new Stop('SECAGG_SHARE_WRONG', `what key holder ${dealer.number} dealt does not open`);
  return share;
}

function listed(list: ReadonlyMap<number, ListedCommitment>, number: number): ListedCommitment {
  const found = list.get(number);
  if (found === undefined) throw new Stop('SECAGG_MEMBER', `key holder ${number} dealt without a commitment`);
  return found;
}
