/** The masks that did not cancel in the sum: every survivor's own, and those between survivors and dropped clients. */
import { equalBytes, exchangeKeyFromSecret, recoverSecret } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey, Share } from '@carapace/crypto';
import { bindingOf, keepsCommitment, pairSeedOf, pairSign, selfSeedOf } from '../derivation.ts';
import { graphOf, shareCoordinate } from '../graph.ts';
import type { Graph } from '../graph.ts';
import { contextOf } from '../session.ts';
import { Stop } from '../stop.ts';
import type { SignedSeed } from '../vector-mask.ts';
import type { Disclosure } from '../wire/unmask.ts';
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

/** What recovery reads again and again. */
interface Book {
  readonly state: Unmasking | Opening;
  readonly binding: Uint8Array;
  readonly graph: Graph;
  readonly survivors: ReadonlySet<number>;
  readonly maskKeys: ReadonlyMap<number, ExchangePublicKey>;
  /** By who discloses, then by whom it is about. */
  readonly disclosed: ReadonlyMap<number, ReadonlyMap<number, Disclosure>>;
}

/**
 * Pair seeds are taken on the word of their senders, which is fast; with `derive` they come out of the recovered keys of the
 * dropped clients, which also shows who sent a wrong one. @throws Stop, Unrecoverable
 */
export function recoverMasks(state: Unmasking | Opening, derive: boolean): Recovered {
  const book = open(state);
  const own = state.survivors.map((member): SignedSeed => {
    return { seed: selfSeedOf(book.binding, selfSecretOf(book, member), member), sign: 1 };
  });
  const dropped = membersOf(state.dealings).filter((member) => !book.survivors.has(member));
  const edges = dropped.map((member) => edgesOf(book, member, derive));
  return {
    masks: [...own, ...edges.flatMap((edge) => edge.masks)],
    accusations: edges.flatMap((edge) => edge.accusations),
  };
}

function open(state: Unmasking | Opening): Book {
  const { session, keys, replies } = state;
  return {
    state,
    binding: bindingOf(contextOf(session), keys),
    graph: graphOf(session, keys),
    survivors: new Set(state.survivors),
    maskKeys: new Map(keys.map(({ member, maskKey }) => [member, maskKey as ExchangePublicKey])),
    disclosed: new Map(
      Array.from(replies, ([from, reply]) => [from, new Map(reply.disclosures.map((about) => [about.member, about]))]),
    ),
  };
}

function selfSecretOf(book: Book, member: number): Uint8Array {
  const secret = recoverSecret(sharesOf(book, member));
  const { seedCommitment } = book.state.dealings.get(member)!;
  if (!keepsCommitment(seedCommitment, 'self-secret', book.binding, member, member, secret)) throw inconsistent(member);
  return secret;
}

/** The masks between one dropped client and every survivor beside it, with the sign that they have in the survivor's input. */
function edgesOf(book: Book, dropped: number, derive: boolean): Recovered {
  const beside = book.graph.peers(dropped).filter((member) => book.survivors.has(member));
  const disclosed = new Map(beside.map((member) => [member, disclosedSeed(book, member, dropped)]));
  const complete = beside.every((member) => disclosed.get(member) !== undefined);
  const key = derive || !complete ? recoverKey(book, dropped) : undefined;
  const accusations: Accusation[] = [];
  const masks = beside.map((member): SignedSeed => {
    const sent = disclosed.get(member);
    const seed = key ? pairSeedOf(book.binding, key, book.maskKeys.get(member)!, dropped, member) : sent!;
    if (sent !== undefined && !equalBytes(seed, sent)) {
      accusations.push({ member, code: 'SECAGG_SHARE_WRONG', subject: dropped });
    }
    return { seed, sign: pairSign(member, dropped) };
  });
  return { masks, accusations };
}

function disclosedSeed({ disclosed }: Book, member: number, dropped: number): Uint8Array | undefined {
  const disclosure = disclosed.get(member)?.get(dropped);
  return disclosure?.kind === 'dropped' ? disclosure.pairSeed : undefined;
}

function recoverKey(book: Book, dropped: number): ExchangeKey {
  const key = exchangeKeyFromSecret(recoverSecret(sharesOf(book, dropped)));
  if (!equalBytes(key.publicKey, book.maskKeys.get(dropped)!)) throw inconsistent(dropped);
  return key;
}

/** Good shares of the one secret of `subject` that may be known, as many as the threshold wants. */
function sharesOf({ state, binding, graph, disclosed }: Book, subject: number): Share[] {
  const { threshold } = state.session;
  const dealing = state.dealings.get(subject)!;
  const shares: Share[] = [];
  for (const [place, holder] of graph.peers(subject).entries()) {
    const disclosure = disclosed.get(holder)?.get(subject);
    if (disclosure === undefined || !isGoodShare(dealing, holder, disclosure, binding)) continue;
    shares.push({ x: shareCoordinate(place), value: shareIn(disclosure)! });
    if (shares.length === threshold) return shares;
  }
  throw new Unrecoverable(
    { member: subject, code: 'SECAGG_SHARE_MISSING', subject },
    `${shares.length} good shares of a secret of member ${subject}, ${threshold} needed`,
  );
}

function inconsistent(dealer: number): Unrecoverable {
  return new Unrecoverable(
    { member: dealer, code: 'SECAGG_SHARES_INCONSISTENT', subject: dealer },
    `the shares that member ${dealer} dealt do not give the secret it committed to`,
  );
}
