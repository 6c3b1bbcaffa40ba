/** What the survivors disclosed, by whom it is about, and which of the shares are wrong. */
import { recoverChecked, recoverSecret } from '@carapace/crypto';
import type { PackedShares } from '@carapace/crypto';
import { keepsCommitment } from '../derivation.ts';
import { graphOf, shareCoordinate } from '../graph.ts';
import { Stop } from '../stop.ts';
import { dealtTo, SHARE_BYTES } from '../wire/share-keys.ts';
import { disclosuresIn } from '../wire/unmask.ts';
import type { Accusation } from './accusation.ts';
import { inOrder } from './admit.ts';
import type { Opening, Unmasking } from './state.ts';

/** All that was disclosed about one client; shares and seeds in rising order of who sent them. */
export class About {
  /** Of a client that dropped out. */
  readonly pairSeeds: Map<number, Uint8Array> = new Map();
  readonly #peers: readonly number[];
  readonly #xs: Uint8Array;
  readonly #values: Uint8Array;
  /** Places of the holders among the peers. */
  readonly #places: Uint16Array;
  #place = 0;
  #count = 0;

  constructor(peers: readonly number[]) {
    this.#peers = peers;
    this.#xs = new Uint8Array(peers.length);
    this.#places = new Uint16Array(peers.length);
    this.#values = new Uint8Array(SHARE_BYTES * peers.length);
  }

  /** A share that begins at `at`, of a holder above those before. */
  addShare(holder: number, bytes: Uint8Array, at: number): void {
    let place = this.#place;
    while (this.#peers[place] !== holder) place++;
    const to = SHARE_BYTES * this.#count;
    for (let i = 0; i < SHARE_BYTES; i++) this.#values[to + i] = bytes[at + i]!;
    this.#xs[this.#count] = shareCoordinate(place);
    this.#places[this.#count++] = place;
    this.#place = place + 1;
  }

  get count(): number {
    return this.#count;
  }

  holderOf(i: number): number {
    return this.#peers[this.#places[i]!]!;
  }

  get shares(): PackedShares {
    return { xs: this.#xs.subarray(0, this.#count), values: this.#values.subarray(0, SHARE_BYTES * this.#count) };
  }

  /** The share of the i-th holder. */
  shareOf(i: number): { readonly x: number; readonly value: Uint8Array } {
    return { x: this.#xs[i]!, value: this.#values.subarray(SHARE_BYTES * i, SHARE_BYTES * (i + 1)) };
  }
}

/** The replies of all, by whom they are about. */
export function aboutEach({ session, keys, replies }: Unmasking | Opening): (subject: number) => About {
  const graph = graphOf(session, keys);
  const each = session.cohort.map((_, member) => new About(graph.peers(member)));
  for (const reply of inOrder(replies)) {
    const disclosed = disclosuresIn(reply);
    for (let i = 0; i < disclosed.members.length; i++) {
      const about = each[disclosed.members[i]!]!;
      const share = disclosed.shareAt(i);
      if (share >= 0) about.addShare(reply.member, disclosed.bytes, share);
      if (disclosed.kindAt(i) === 'dropped') about.pairSeeds.set(reply.member, disclosed.pairSeedAt(i));
    }
  }
  return (subject) => each[subject]!;
}

/** The shares that were disclosed of the one secret of `subject` that may be known. */
export class DisclosedShares {
  readonly #state: Unmasking | Opening;
  readonly #binding: Uint8Array;
  readonly #subject: number;
  readonly #about: About;

  constructor(state: Unmasking | Opening, binding: Uint8Array, subject: number, about: About) {
    this.#state = state;
    this.#binding = binding;
    this.#subject = subject;
    this.#about = about;
  }

  /**
   * The secret, which `isRight` knows. Only when the shares do not give it, or do not agree, are they compared with their commitments one by
   * one: one that is wrong is then left out, and its sender accused.
   * @throws Unrecoverable
   */
  recover(isRight: (secret: Uint8Array) => boolean): { secret: Uint8Array; accusations: Accusation[] } {
    const { threshold } = this.#state.session;
    const wrong = this.#mostWrong;
    if (this.#about.count >= threshold + wrong - 1) {
      const { secret, consistent } = recoverChecked(this.#about.shares, threshold, wrong);
      if (consistent && isRight(secret)) return { secret, accusations: [] };
    }
    return this.#recoverFromGood(isRight);
  }

  /**
   * Who sent a share that is wrong, where the secret itself is not needed. As sure as {@link recover}: what up to c senders could have
   * agreed on shows in the shares themselves, and where there are too few of them for that each one is compared with its commitment.
   */
  accuse(): Accusation[] {
    const { threshold } = this.#state.session;
    const wrong = this.#mostWrong;
    const enough = this.#about.count >= threshold + wrong;
    if (enough && recoverChecked(this.#about.shares, threshold, wrong + 1).consistent) return [];
    return this.compare().accusations;
  }

  /** Every share with its commitment: the places of those that keep it, and who sent the others. */
  compare(): { good: number[]; accusations: Accusation[] } {
    const good: number[] = [];
    const accusations: Accusation[] = [];
    for (let i = 0; i < this.#about.count; i++) {
      if (this.#isGood(i)) good.push(i);
      else accusations.push({ member: this.#about.holderOf(i), code: 'SECAGG_SHARE_WRONG', subject: this.#subject });
    }
    return { good, accusations };
  }

  /** Of the shares, by clients that act in concert. */
  get #mostWrong(): number {
    return Math.max(1, this.#state.session.colluding);
  }

  #isGood(i: number): boolean {
    const { dealings, inputs } = this.#state;
    const holder = this.#about.holderOf(i);
    const { selfCommitment, keyCommitment } = dealtTo(dealings.get(this.#subject)!, holder)!;
    const { value } = this.#about.shareOf(i);
    return inputs.has(this.#subject)
      ? keepsCommitment(selfCommitment, 'self-share', this.#binding, this.#subject, holder, value)
      : keepsCommitment(keyCommitment, 'key-share', this.#binding, this.#subject, holder, value);
  }

  #recoverFromGood(isRight: (secret: Uint8Array) => boolean): ReturnType<DisclosedShares['recover']> {
    const { threshold } = this.#state.session;
    const { good, accusations } = this.compare();
    if (good.length < threshold) {
      throw this.#unrecoverable(
        'SECAGG_SHARE_MISSING',
        `${good.length} good shares of a secret of member ${this.#subject}, ${threshold} needed`,
      );
    }
    const secret = recoverSecret(good.slice(0, threshold).map((i) => this.#about.shareOf(i)));
    if (isRight(secret)) return { secret, accusations };
    throw this.#unrecoverable(
      'SECAGG_SHARES_INCONSISTENT',
      `the shares that member ${this.#subject} dealt do not give the secret it committed to`,
    );
  }

  #unrecoverable(code: Accusation['code'], why: string): Unrecoverable {
    return new Unrecoverable({ member: this.#subject, code, subject: this.#subject }, why);
  }
}

/** One of the clients dealt or disclosed so that a secret cannot be had. */
export class Unrecoverable extends Stop {
  readonly accused: Accusation;

  constructor(accused: Accusation, why: string) {
    super(accused.code, why);
    this.accused = accused;
  }
}
