/**
 * Bearer texts: `<kind>.<id>.<secret>` with 192-bit secrets or more. Only a hash is kept; with that much entropy a plain,
 * labelled SHA-256 is enough (there is nothing to guess).
 */
import { randomPart } from '@carapace/aggregation';
import { equalBytes, fromBase64url, sha256, toBase64url, utf8 } from '@carapace/crypto';
import type { Domain, RandomSource } from '@carapace/crypto';

export interface Credential {
  readonly id: string;
  readonly secret: Uint8Array;
}

export function newCredential(random: RandomSource): Credential {
  return { id: randomPart(random), secret: random.bytes(32) };
}

export function hashSecret(domain: Domain, secret: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(utf8(domain), Uint8Array.of(0), secret);
}

export function formatCredential(kind: string, { id, secret }: Credential, ...rest: readonly string[]): string {
  return [kind, id, toBase64url(secret), ...rest].join('.');
}

/** The parts, or null when the text is not of this kind; says nothing about whether the secret is right. */
export function parseCredential(
  kind: string,
  parts: number,
  text: string,
): (Credential & { readonly rest: readonly string[] }) | null {
  const [found, id, secret, ...rest] = text.split('.');
  if (found !== kind || rest.length !== parts - 3 || !/^[a-z2-7]{26}$/.test(id ?? '')) return null;
  try {
    return { id: id ?? '', secret: fromBase64url(secret ?? ''), rest };
  } catch {
    // Not base64url: the same answer as any other text that is no credential.
    return null;
  }
}

export function secretMatches(domain: Domain, secret: Uint8Array, hash: Uint8Array): boolean {
  return equalBytes(hashSecret(domain, secret), hash);
}
