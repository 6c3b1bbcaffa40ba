/** The masks that did not cancel in the sum: every survivor's own, and those between survivors and dropped clients. */
import { equalBytes, exchangeKeyFromSecret } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey } from '@carapace/crypto';
import { bindingOf, keepsCommitment, pairSeedOf, pairSign, selfSeedOf } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import type { Graph } from '../graph.ts';
import { contextOf } from '../session.ts';
import type { SignedSeed } from '../vector-mask.ts';
import type { Accusation } from './accusation.ts';
import { membersOf } from './admit.ts';
import { aboutEach, DisclosedShares } from './disclosed-shares.ts';
import type { About } from './disclosed-shares.ts';
import type { Opening, Unmasking } from './state.ts';

export interface Recovered {
  readonly masks: readonly SignedSeed[];
  /** Once: when the pair seeds are derived, only who sent a wrong one. */
  readonly accusations: readonly Accusation[];
}

/** What recovery reads again and again. */
interface Book {
  readonly state: Unmasking | Opening;
  readonly binding: Uint8Array;
  readonly graph: Graph;
  readonly survivors: ReadonlySet<number>;
  readonly maskKeys: ReadonlyMap<number, ExchangePublicKey>;
  readonly about: (subject: number) => About;
}

/** A coordinator asks when the last reply comes, and again when it opens the sum. */
const recovered = new WeakMap<Unmasking['replies'], Map<boolean, Recovered>>();

/**
 * Pair seeds are taken on the word of their senders, which is fast; with `derive` they come out of the recovered keys of the
 * dropped clients, which also shows who sent a wrong one. @throws Stop, Unrecoverable
 */
export function recoverMasks(state: Unmasking | Opening, derive: boolean): Recovered {
  const known = recovered.get(state.replies) ?? new Map<boolean, Recovered>();
  recovered.set(state.replies, known);
  const masks = known.get(derive) ?? recover(open(state), derive);
  known.set(derive, masks);
  return masks;
}

/** Every share that was disclosed and does not keep its commitment: when a secret could not be had. */
export function wrongShares(state: Unmasking | Opening): Accusation[] {
  const book = open(state);
  return membersOf(state.dealings).flatMap((subject) => sharesOf(book, subject).compare().accusations);
}

function recover(book: Book, derive: boolean): Recovered {
  const { survivors, dealings } = book.state;
  const own = survivors.map((member) => ownMask(book, member));
  const dropped = membersOf(dealings).filter((member) => !book.survivors.has(member));
  const all = [...own, ...dropped.map((member) => edgesOf(book, member, derive))];
  return {
    masks: all.flatMap(({ masks }) => masks),
    accusations: all.flatMap(({ shares, seeds }) => (derive ? seeds : [...shares, ...seeds])),
  };
}

/** Masks about one client, and who said something wrong about it. */
interface Part {
  readonly masks: readonly SignedSeed[];
  readonly shares: readonly Accusation[];
  readonly seeds: readonly Accusation[];
}

function open(state: Unmasking | Opening): Book {
  const { session, keys } = state;
  return {
    state,
    binding: bindingOf(contextOf(session), keys),
    graph: graphOf(session, keys),
    survivors: new Set(state.survivors),
    maskKeys: new Map(keys.map(({ member, maskKey }) => [member, maskKey as ExchangePublicKey])),
    about: aboutEach(state),
  };
}

function sharesOf({ state, binding, about }: Book, subject: number): DisclosedShares {
  return new DisclosedShares(state, binding, subject, about(subject));
}

function ownMask(book: Book, member: number): Part {
  const { seedCommitment } = book.state.dealings.get(member)!;
  const { secret, accusations } = sharesOf(book, member).recover((candidate) =>
    keepsCommitment(seedCommitment, 'self-secret', book.binding, member, member, candidate),
  );
  return { masks: [{ seed: selfSeedOf(book.binding, secret, member), sign: 1 }], shares: accusations, seeds: [] };
}

/** The masks between one dropped client and every survivor beside it, with the sign that they have in the survivor's input. */
function edgesOf(book: Book, dropped: number, derive: boolean): Part {
  const beside = book.graph.peers(dropped).filter((member) => book.survivors.has(member));
  const disclosed = beside.map((member) => book.about(dropped).pairSeeds.get(member));
  const complete = disclosed.every((seed) => seed !== undefined);
  const shares = sharesOf(book, dropped);
  const { key, accusations } =
    derive || !complete ? recoverKey(book, shares, dropped) : { key: undefined, accusations: shares.accuse() };
  const seeds: Accusation[] = [];
  const masks = beside.map((member, i): SignedSeed => {
    const sent = disclosed[i];
    const seed = key ? pairSeedOf(book.binding, key, book.maskKeys.get(member)!, dropped, member) : sent!;
    if (key !== undefined && sent !== undefined && !equalBytes(seed, sent)) {
      seeds.push({ member, code: 'SECAGG_SHARE_WRONG', subject: dropped });
    }
    return { seed, sign: pairSign(member, dropped) };
  });
  return { masks, shares: accusations, seeds };
}

function recoverKey(
  book: Book,
  shares: DisclosedShares,
  dropped: number,
): { readonly key: ExchangeKey; readonly accusations: Accusation[] } {
  const maskKey = book.maskKeys.get(dropped)!;
  const { secret, accusations } = shares.recover((candidate) =>
    equalBytes(exchangeKeyFromSecret(candidate).publicKey, maskKey),
  );
  return { key: exchangeKeyFromSecret(secret), accusations };
}
