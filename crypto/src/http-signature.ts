/**
 * HTTP message signatures (RFC 9421) in one fixed profile, with content digests (RFC 9530): label `carapace`, Ed25519, always the
 * same components in the same order. A message that is signed in any other way is not signed, which leaves nothing to negotiate.
 */
import { fromBase64url, toBase64url, utf8 } from './bytes.ts';
import { CryptoError } from './errors.ts';
import { verifyRaw } from './signature.ts';
import type { PublicKey, SigningKey } from './signature.ts';

/** What a signature covers. The body is covered through its digest. */
export interface CoveredMessage {
  readonly method: string;
  /** Host and, unless it is the scheme's own, port, as in the Host header. */
  readonly authority: string;
  readonly path: string;
  /** With its question mark; `?` alone when there is none (RFC 9421, section 2.2.7). */
  readonly query: string;
  /** Present exactly when there is a body. */
  readonly body?: { readonly contentType: string; readonly contentDigest: string };
  /** Present exactly when the method is not GET. */
  readonly sequence?: bigint;
}

export interface SignatureHeaders {
  readonly 'signature-input': string;
  readonly signature: string;
}

export interface ParsedSignature {
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number;
  /** Fingerprint of the key that is said to have signed. */
  readonly keyId: string;
  readonly signature: Uint8Array;
  /** The part of `signature-input` that is itself signed. */
  readonly parameters: string;
}

/** A signature is taken for this many seconds after it was made, and no longer. */
export const SIGNATURE_LIFETIME_SECONDS = 60;

const INPUT =
  /^carapace=(\(("@[a-z"@ -]+)\);created=([1-9][0-9]{0,11});expires=([1-9][0-9]{0,11});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9_-]{43})";alg="ed25519";tag="carapace-v1")$/;
const SIGNATURE = /^carapace=:([A-Za-z0-9+/]{86}==):$/;
const DIGEST = /^sha-256=:([A-Za-z0-9+/]{43}=):$/;

/** @param created seconds since the epoch; @param nonce 16 to 64 base64url characters */
export function signMessage(
  key: SigningKey,
  keyId: string,
  message: CoveredMessage,
  created: number,
  nonce: string,
): SignatureHeaders {
  const components = componentsOf(message);
  const expires = created + SIGNATURE_LIFETIME_SECONDS;
  const parameters = `(${listed(components)});created=${created};expires=${expires};nonce="${nonce}";keyid="${keyId}";alg="ed25519";tag="carapace-v1"`;
  const signature = key.signRaw(signatureBase(components, parameters));
  return { 'signature-input': `carapace=${parameters}`, signature: `carapace=:${toStandard(signature)}:` };
}

/** Form only; whether it verifies, and when, are the next questions. @throws CryptoError `SIGNATURE_FORM` */
export function parseSignature(headers: SignatureHeaders): ParsedSignature {
  const input = INPUT.exec(headers['signature-input']);
  const value = SIGNATURE.exec(headers.signature);
  if (input === null || value === null) throw malformed('the signature headers are not of the profile carapace-v1');
  const [, parameters = '', , created, expires, , keyId = ''] = input;
  const parsed = {
    created: Number(created),
    expires: Number(expires),
    keyId,
    parameters,
    signature: fromStandard(value[1] ?? ''),
  };
  const lifetime = parsed.expires - parsed.created;
  if (lifetime < 1 || lifetime > SIGNATURE_LIFETIME_SECONDS)
    throw malformed(`a signature lives 1 to ${SIGNATURE_LIFETIME_SECONDS} s, not ${lifetime}`);
  return parsed;
}

/** Whether the key signed this very message, with all its components and no others. Says nothing about the time. */
export function verifyMessage(publicKey: PublicKey, message: CoveredMessage, parsed: ParsedSignature): boolean {
  const components = componentsOf(message);
  if (!parsed.parameters.startsWith(`(${listed(components)});`)) return false;
  return verifyRaw(publicKey, signatureBase(components, parsed.parameters), parsed.signature);
}

/** The signature base of RFC 9421, section 2.5. */
export function signatureBase(
  components: readonly (readonly [name: string, value: string])[],
  parameters: string,
): Uint8Array<ArrayBuffer> {
  const lines = components.map(([name, value]) => `"${name}": ${value}`);
  return utf8([...lines, `"@signature-params": ${parameters}`].join('\n'));
}

/** The `content-digest` field for a SHA-256 of the body. */
export function contentDigest(sha256: Uint8Array): string {
  return `sha-256=:${toStandard(sha256)}:`;
}

/** The 32 bytes of a `content-digest` field: SHA-256 and nothing else. @throws CryptoError `SIGNATURE_FORM` */
export function parseContentDigest(field: string): Uint8Array<ArrayBuffer> {
  const match = DIGEST.exec(field);
  if (match === null) throw malformed('content-digest is not one sha-256 value');
  return fromStandard(match[1] ?? '');
}

function componentsOf(message: CoveredMessage): (readonly [string, string])[] {
  const { method, authority, path, query, body, sequence } = message;
  return [
    ['@method', method],
    ['@authority', authority.toLowerCase()],
    ['@path', path],
    ['@query', query],
    ...(body === undefined
      ? []
      : ([
          ['content-type', body.contentType],
          ['content-digest', body.contentDigest],
        ] as const)),
    ...(sequence === undefined ? [] : ([['carapace-sequence', String(sequence)]] as const)),
  ];
}

function listed(components: readonly (readonly [string, string])[]): string {
  return components.map(([name]) => `"${name}"`).join(' ');
}

function toStandard(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function fromStandard(text: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64url(text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''));
  } catch (cause) {
    throw new CryptoError('SIGNATURE_FORM', 'the base64 has stray bits', { cause });
  }
}

function malformed(why: string): CryptoError {
  return new CryptoError('SIGNATURE_FORM', why);
}
