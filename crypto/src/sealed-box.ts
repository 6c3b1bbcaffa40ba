/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) through libsodium. The random 24-byte nonce leads the ciphertext. */
import sodium from 'libsodium-wrappers';
import { concatBytes } from './bytes.ts';
import { CryptoError } from './errors.ts';
import type { RandomSource } from './random.ts';

await sodium.ready;

const NONCE_BYTES = 24;

/** How much longer a sealed message is than its content. */
export const SEAL_OVERHEAD_BYTES = 40;

/** `nonce || ciphertext || tag`. @throws CryptoError `KEY_MALFORMED` */
export function seal(
  key: Uint8Array,
  content: Uint8Array,
  associated: Uint8Array,
  random: RandomSource,
): Uint8Array<ArrayBuffer> {
  const nonce = random.bytes(NONCE_BYTES);
  return concatBytes(nonce, encrypt(checkKey(key), nonce, content, associated));
}

/** The content, or undefined when the box was not sealed with this key and these associated bytes. @throws CryptoError `KEY_MALFORMED` */
export function openSealed(
  key: Uint8Array,
  box: Uint8Array,
  associated: Uint8Array,
): Uint8Array<ArrayBuffer> | undefined {
  checkKey(key);
  if (box.length < SEAL_OVERHEAD_BYTES) return undefined;
  const nonce = box.subarray(0, NONCE_BYTES);
  try {
    return Uint8Array.from(
      sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, box.subarray(NONCE_BYTES), associated, nonce, key),
    );
  } catch {
    // libsodium says no more than that the tag does not hold.
    return undefined;
  }
}

function encrypt(key: Uint8Array, nonce: Uint8Array, content: Uint8Array, associated: Uint8Array): Uint8Array {
  return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(content, associated, null, nonce, key);
}

function checkKey(key: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new CryptoError('KEY_MALFORMED', 'a sealing key has 32 bytes');
  return key;
}
