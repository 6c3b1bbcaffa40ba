/** `@carapace/crypto`: primitives without any idea of a client, a round or a model. */
export { concatBytes, equalBytes, fromBase64url, fromHex, fromUtf8, toBase64url, toHex, utf8 } from './bytes.ts';
export { Reader, Writer } from './codec.ts';
export { DOMAINS } from './domains.ts';
export type { Domain } from './domains.ts';
export { CRYPTO_ERRORS, CryptoError } from './errors.ts';
export type { CryptoErrorCode } from './errors.ts';
export { hmacSha256, sha256, sha256Hex } from './hash.ts';
export {
  contentDigest,
  parseContentDigest,
  parseSignature,
  signatureBase,
  SIGNATURE_LIFETIME_SECONDS,
  signMessage,
  verifyMessage,
} from './http-signature.ts';
export type { CoveredMessage, ParsedSignature, SignatureHeaders } from './http-signature.ts';
export { sample, systemRandom, uniformInteger } from './random.ts';
export type { RandomSource } from './random.ts';
export { fingerprint, generateSigningKey, parsePublicKey, signingKeyFromSeed, verify, verifyRaw } from './signature.ts';
export type { PublicKey, SigningKey } from './signature.ts';
