/**
 * Randomness of central noise: a function of a secret that is drawn once a round, of the noise, and of the very sum. So a round that is opened
 * again, by another process or after a crash, gives the same bytes, and sums that differ, if only by one client who was taken out between two
 * attempts, get noise that has nothing in common: their difference tells no more than the two apart. It is how deterministic signatures
 * draw their nonce (RFC 6979). To whoever has not the secret it is as good as a coin.
 */
import { deriveKey, DOMAINS, keyStream, sha256, utf8 } from '@carapace/crypto';
import type { RandomSource, Rational } from '@carapace/crypto';

/** @param secret 32 bytes of the round; @param sum before its noise */
export function sumNoise(secret: Uint8Array, sum: Uint32Array | Float64Array, variance: Rational): RandomSource {
  const bytes = new Uint8Array(sum.buffer, sum.byteOffset, sum.byteLength);
  const law = utf8(`${sum.length}:${variance.numerator}/${variance.denominator}`);
  return keyedRandom(deriveKey(secret, DOMAINS.noiseSum, sha256(bytes), law));
}

/** The stream of a key that serves for nothing else. @param key 32 bytes */
export function keyedRandom(key: Uint8Array): RandomSource {
  const stream = keyStream(key, 0, 0);
  return {
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      stream.fill(bytes);
      return bytes;
    },
  };
}
