/** Test helpers of `@carapace/crypto`: never imported by source. */
import { createCipheriv, createHash } from 'node:crypto';
import type { RandomSource } from '../src/index.ts';

/** A deterministic source: the AES-256-CTR key stream of the SHA-256 of the seed. For tests and simulations, not for keys. */
export function seededRandom(seed: string | number): RandomSource {
  const key = createHash('sha256').update(`carapace/testing/${seed}`).digest();
  const stream = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return { bytes: (length) => new Uint8Array(stream.update(new Uint8Array(length))) };
}
