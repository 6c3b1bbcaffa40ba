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
export { deriveKey, hkdfSha256 } from './kdf.ts';
export { exchangeKeyFromSecret, generateExchangeKey, parseExchangePublicKey } from './key-agreement.ts';
export type { ExchangeKey, ExchangePublicKey } from './key-agreement.ts';
export { keyStream } from './key-stream.ts';
export type { KeyStream } from './key-stream.ts';
export { addMask, addMaskInParts, addMasks, MASK_SEED_BYTES, removeMasks, subtractMask } from './mask-stream.ts';
export type { SignedSeed } from './mask-stream.ts';
export { discreteGaussian, discreteLaplace, skellam } from './noise/integer-noise.ts';
export type { IntegerNoise, Sampler } from './noise/integer-noise.ts';
export { parseRational, rationalOf, reduced, toNumber } from './noise/rational.ts';
export type { Rational } from './noise/rational.ts';
export { roundStochastically } from './noise/stochastic-rounding.ts';
export { sample, systemRandom, uniformInteger } from './random.ts';
export type { RandomSource } from './random.ts';
export { openBgv } from './seal/bgv.ts';
export type { Bgv } from './seal/bgv.ts';
export { COMMITMENT_BYTES, commitToShare, revealedPublicKey } from './seal/committee/commitment.ts';
export type { Revealed } from './seal/committee/commitment.ts';
export {
  addKeyShares,
  checkPublicShare,
  commonReference,
  dealKey,
  jointPublicKey,
  keyShareBytes,
} from './seal/committee/key.ts';
export type { DealtKey } from './seal/committee/key.ts';
export { MaskSum } from './seal/committee/mask-sum.ts';
export { openingShare, openWithShares } from './seal/committee/opening.ts';
export type { Quorum } from './seal/committee/opening.ts';
export { bodyBytes, encryptUnderPublicKey, encryptUnderSharedKey, maskBytes } from './seal/encryption.ts';
export type { Ciphertexts } from './seal/encryption.ts';
export { generateSealKey, keyBytes } from './seal/keys.ts';
export type { SealKeyPair } from './seal/keys.ts';
export { openSum } from './seal/opening.ts';
export type { OpenedSum } from './seal/opening.ts';
export { bytesPerValue, MOST_HOLDERS, sealParameters, SMUDGING_SECURITY_BITS } from './seal/parameters.ts';
export type { KeyArrangement, SealChoice, SealParameters } from './seal/parameters.ts';
export { SEAL_PROFILES } from './seal/profile.ts';
export type { SealProfile, SealProfileName, SealSecurity } from './seal/profile.ts';
export { encryptReals, openCkks, openReals, realParameters } from './seal/reals.ts';
export type { Ckks, RealChoice, RealParameters } from './seal/reals.ts';
export { checkCiphertexts, CiphertextSum } from './seal/sum.ts';
export { openSealed, seal, SEAL_OVERHEAD_BYTES } from './sealed-box.ts';
export { recoverChecked, recoverSecret, splitSecret } from './sharing/secret-sharing.ts';
export type { CheckedSecret, PackedShares, Share } from './sharing/secret-sharing.ts';
export { rlweMask } from './rlwe/mask.ts';
export type { MaskedVector, RlweMask } from './rlwe/mask.ts';
export type { MaskedSum } from './rlwe/masked-sum.ts';
export { decodeRlweParameters, encodeRlweParameters, rlweParameters } from './rlwe/parameters.ts';
export type { RlweChoice, RlweParameters } from './rlwe/parameters.ts';
export { RLWE_RINGS } from './rlwe/ring.ts';
export type { Ring, RlweRingName } from './rlwe/ring.ts';
export { fingerprint, generateSigningKey, parsePublicKey, signingKeyFromSeed, verify, verifyRaw } from './signature.ts';
export type { PublicKey, SigningKey } from './signature.ts';
export { instantiate } from './wasm.ts';
export type { Instance } from './wasm.ts';
export { packLanes, unpackLanes } from './words/lanes.ts';
export type { Lanes } from './words/lanes.ts';
export { addToWords } from './words/words.ts';
