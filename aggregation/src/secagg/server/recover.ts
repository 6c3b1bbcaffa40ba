/** The masks that did not cancel in the sum: every survivor's own, and those between survivors and dropped clients. */
import { equalBytes, exchangeKeyFromSecret, recoverSecret } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey, Share } from '@carapace/crypto';
import { bindingOf, keepsCommitment, pairSeedOf, pairSign, selfSeedOf } from '../derivation.ts';
import { shareCoordinate } from '../key-list.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import type { SignedSeed } from '../vector-mask.ts';
import type { Accusation } from './accusation.ts';
import { membersOf } from './admit.ts';
import type { Opening, Unmasking } from './state.ts';
import { isGoodShare, shareIn } from './unmask.ts';

export interface Recovered {
  readonly masks: readonly SignedSeed[];
  readonly accusations: readonly Accusation[];
}

/** One of the clients dealt or disclosed so that a secret cannot be had. */
export class Unrecoverable extends Stop {
  readonly accused: Accusation;

  constructor(accused: Accusation, why: string) {
    super(accused.code, why);
    this.accused = accused;
  }
}

/**
 * Pair seeds are taken on the word of their senders, which is fast; with `derive` they come out of the recovered keys of the
 * dropped clients, which also shows who sent a wrong one. @throws Stop, Unrecoverable
 */
export function recoverMasks(state: Unmasking | Opening, derive: boolean): Recovered {
  const binding = bindingOf(contextOf(state.session), state.keys);
  const survivors = new Set(state.survivors);
  const own = state.survivors.map((member): SignedSeed => {
    return { seed: selfSeedOf(binding, selfSecretOf(state, binding, member), member), sign: 1 };
  });
  const dropped = membersOf(state.dealings).filter((member) => !survivors.has(member));
  const edges = dropped.map((member) => edgesOf(state, binding, member, derive));
  return {
    masks: [...own, ...edges.flatMap((edge) => edge.masks)],
    accusations: edges.flatMap((edge) => edge.accusations),
  };
}

function selfSecretOf(state: Unmasking | Opening, binding: Uint8Array, member: number): Uint8Array {
  const secret = recoverSecret(sharesOf(state, binding, member));
  const { seedCommitment } = state.dealings.get(member)!;
  if (!keepsCommitment(seedCommitment, 'self-secret', binding, member, member, secret)) throw inconsistent(member);
  return secret;
}

/** The masks between one dropped client and every survivor, with the sign that they have in the survivor's input. */
function edgesOf(state: Unmasking | Opening, binding: Uint8Array, dropped: number, derive: boolean): Recovered {
  const disclosed = new Map(state.survivors.map((member) => [member, disclosedSeed(state, member, dropped)]));
  const complete = state.survivors.every((member) => disclosed.get(member) !== undefined);
  const key = derive || !complete ? recoverKey(state, binding, dropped) : undefined;
  const accusations: Accusation[] = [];
  const masks = state.survivors.map((member): SignedSeed => {
    const sent = disclosed.get(member);
    const seed = key ? pairSeedOf(binding, key, publicKeyOf(state, member), dropped, member) : sent!;
    if (sent !== undefined && !equalBytes(seed, sent)) {
      accusations.push({ member, code: 'SECAGG_SHARE_WRONG', subject: dropped });
    }
    return { seed, sign: pairSign(member, dropped) };
  });
  return { masks, accusations };
}

function disclosedSeed(state: Unmasking | Opening, member: number, dropped: number): Uint8Array | undefined {
  const disclosure = state.replies.get(member)?.disclosures.find((about) => about.member === dropped);
  return disclosure?.kind === 'dropped' ? disclosure.pairSeed : undefined;
}

function recoverKey(state: Unmasking | Opening, binding: Uint8Array, dropped: number): ExchangeKey {
  const key = exchangeKeyFromSecret(recoverSecret(sharesOf(state, binding, dropped)));
  if (!equalBytes(key.publicKey, publicKeyOf(state, dropped))) throw inconsistent(dropped);
  return key;
}

/** Good shares of the one secret of `subject` that may be known, as many as the threshold wants. */
function sharesOf(state: Unmasking | Opening, binding: Uint8Array, subject: number): Share[] {
  const { threshold } = state.session;
  const dealing = state.dealings.get(subject)!;
  const shares: Share[] = [];
  for (const reply of state.replies.values()) {
    const disclosure = reply.disclosures.find((about) => about.member === subject);
    if (disclosure === undefined || !isGoodShare(dealing, reply.member, disclosure, binding)) continue;
    shares.push({ x: shareCoordinate(state.keys, reply.member), value: shareIn(disclosure)! });
    if (shares.length === threshold) return shares;
  }
  throw new Unrecoverable(
    { member: subject, code: 'SECAGG_SHARE_MISSING', subject },
    `${shares.length} good shares of a secret of member ${subject}, ${threshold} needed`,
  );
}

function publicKeyOf(state: Unmasking | Opening, member: number): ExchangePublicKey {
  return state.keys.find((keys) => keys.member === member)!.maskKey as ExchangePublicKey;
}

function inconsistent(dealer: number): Unrecoverable {
  return new Unrecoverable(
    { member: dealer, code: 'SECAGG_SHARES_INCONSISTENT', subject: dealer },
    `the shares that member ${dealer} dealt do not give the secret it committed to`,
  );
}
