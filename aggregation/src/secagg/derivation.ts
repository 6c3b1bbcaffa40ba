/**
 * Every key, hash and signed text of the protocol in one place. All are bound to the binding: context and key list, so a
 * coordinator that shows different lists to different clients leaves them without a common key.
 */
import { deriveKey, DOMAINS, equalBytes, sha256, sha256Hex, Writer } from '@carapace/crypto';
import type { ExchangeKey, ExchangePublicKey } from '@carapace/crypto';
import { COMMITMENT_BYTES } from './wire/share-keys.ts';
import { encodeKeyList } from './wire/advertise-keys.ts';
import type { AdvertisedKeys } from './wire/advertise-keys.ts';
import { writeMembers } from './wire/frame.ts';

/** What a client signs in step 0. */
export function advertisedText(context: Uint8Array, keys: Omit<AdvertisedKeys, 'signature'>): Uint8Array<ArrayBuffer> {
  return new Writer().bytes(context).u16(keys.member).bytes(keys.sealingKey).bytes(keys.maskKey).finish();
}

/** Every message of a session asks for it. */
const bindings = new WeakMap<readonly AdvertisedKeys[], { context: Uint8Array; binding: Uint8Array<ArrayBuffer> }>();

/** Context and key list in 32 bytes. */
export function bindingOf(context: Uint8Array, list: readonly AdvertisedKeys[]): Uint8Array<ArrayBuffer> {
  const known = bindings.get(list);
  if (known !== undefined && equalBytes(known.context, context)) return known.binding;
  const binding = computeBinding(context, list);
  bindings.set(list, { context, binding });
  return binding;
}

function computeBinding(context: Uint8Array, list: readonly AdvertisedKeys[]): Uint8Array<ArrayBuffer> {
  return sha256(new Writer().text(DOMAINS.secaggBinding).blob(encodeKeyList(context, list)).finish());
}

/** Key under which `dealer` seals for `holder`; the other direction has another. */
export function sealingKeyOf(
  binding: Uint8Array,
  own: ExchangeKey,
  peer: ExchangePublicKey,
  dealer: number,
  holder: number,
): Uint8Array<ArrayBuffer> {
  return deriveKey(own.agree(peer), DOMAINS.secaggSealing, binding, pair(dealer, holder));
}

/** What a sealed box is bound to beside its key. */
export function sealedText(
  binding: Uint8Array,
  dealer: number,
  holder: number,
  selfCommitment: Uint8Array,
  keyCommitment: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return new Writer().bytes(binding).bytes(pair(dealer, holder)).bytes(selfCommitment).bytes(keyCommitment).finish();
}

/** Seed of the mask between two clients, the same from both sides. */
export function pairSeedOf(
  binding: Uint8Array,
  own: ExchangeKey,
  peer: ExchangePublicKey,
  a: number,
  b: number,
): Uint8Array<ArrayBuffer> {
  return deriveKey(own.agree(peer), DOMAINS.secaggPairMask, binding, pair(Math.min(a, b), Math.max(a, b)));
}

/** Where a client stands on the ring of a sparse graph. */
export function ringPlaceOf(binding: Uint8Array, member: number): string {
  return sha256Hex(new Writer().text(DOMAINS.secaggGraph).bytes(binding).u16(member).finish());
}

/** Seed of a client's own mask. */
export function selfSeedOf(binding: Uint8Array, secret: Uint8Array, member: number): Uint8Array<ArrayBuffer> {
  return deriveKey(secret, DOMAINS.secaggSelfMask, binding, pair(member, member));
}

export type CommittedSecret = 'self-share' | 'key-share' | 'self-secret';

/**
 * Hides, because what it commits to has 256 random bits; binds, to 128 bits for shares (64 against a dealer that looks for
 * two shares with one commitment, which would spoil nothing but its own recovery).
 */
export function commitmentTo(
  kind: CommittedSecret,
  binding: Uint8Array,
  dealer: number,
  holder: number,
  secret: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const prefix = commitmentPrefix(kind, binding);
  const text = new Uint8Array(prefix.length + 4 + secret.length);
  text.set(prefix);
  // As `pair` writes them.
  text.set([dealer & 0xff, dealer >>> 8, holder & 0xff, holder >>> 8], prefix.length);
  text.set(secret, prefix.length + 4);
  const hash = sha256(text);
  return kind === 'self-secret' ? hash : hash.slice(0, COMMITMENT_BYTES);
}

/** The same for all shares of a session, of which there are many. */
const prefixes = new WeakMap<Uint8Array, Map<CommittedSecret, Uint8Array>>();

function commitmentPrefix(kind: CommittedSecret, binding: Uint8Array): Uint8Array {
  const ofBinding = prefixes.get(binding) ?? new Map<CommittedSecret, Uint8Array>();
  prefixes.set(binding, ofBinding);
  const known = ofBinding.get(kind);
  if (known !== undefined) return known;
  const prefix = new Writer().text(DOMAINS.secaggCommitment).text(kind).bytes(binding).finish();
  ofBinding.set(kind, prefix);
  return prefix;
}

export function keepsCommitment(
  commitment: Uint8Array,
  kind: CommittedSecret,
  binding: Uint8Array,
  dealer: number,
  holder: number,
  secret: Uint8Array,
): boolean {
  return equalBytes(commitment, commitmentTo(kind, binding, dealer, holder, secret));
}

/** What a client signs in step 3: the key list, who dealt shares, who is in the sum. */
export function survivorsText(
  binding: Uint8Array,
  dealers: readonly number[],
  survivors: readonly number[],
): Uint8Array<ArrayBuffer> {
  return writeMembers(writeMembers(new Writer().bytes(binding), dealers), survivors).finish();
}

function pair(a: number, b: number): Uint8Array<ArrayBuffer> {
  return new Writer().u16(a).u16(b).finish();
}

/** Sign with which the mask shared with `peer` stands in the input of `member`; the other side has the opposite one. */
export function pairSign(member: number, peer: number): 1 | -1 {
  return member < peer ? 1 : -1;
}
