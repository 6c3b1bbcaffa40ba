/** Byte strings: joining, comparing, and the two text forms that Carapace writes them in (lower-case hex, base64url). */
import { timingSafeEqual } from 'node:crypto';
import { CryptoError } from './errors.ts';

const HEX = /^(?:[0-9a-f]{2})*$/;
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const encoder = new TextEncoder();
// Without `ignoreBOM` a leading byte order mark would vanish, and two byte strings would be one text.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Equality in time that depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** @throws CryptoError `BYTES_NOT_UTF8` */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new CryptoError('BYTES_NOT_UTF8', 'the bytes are not UTF-8 text', { cause });
  }
}

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Lower-case hexadecimal only, so that one value has one spelling. @throws CryptoError `BYTES_NOT_HEX` */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (!HEX.test(text))
    throw new CryptoError('BYTES_NOT_HEX', 'expected an even number of lower-case hexadecimal digits');
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** base64url without padding (RFC 4648, section 5). */
export function toBase64url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The inverse of {@link toBase64url}; refuses padding, other alphabets and stray bits. @throws CryptoError `BYTES_NOT_BASE64URL` */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  const refuse = (): never => {
    throw new CryptoError('BYTES_NOT_BASE64URL', 'expected base64url text without padding');
  };
  if (!BASE64URL.test(text) || text.length % 4 === 1) refuse();
  const bytes = fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
  if (toBase64url(bytes) !== text) refuse();
  return bytes;
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
