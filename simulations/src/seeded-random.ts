/** A reproducible {@link RandomSource} for worlds: the AES-256-CTR key stream of a hashed seed. Never for keys or noise that protects. */
import { createCipheriv, createHash } from 'node:crypto';
import type { RandomSource } from '@carapace/crypto';

export interface SeededRandom extends RandomSource {
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** An independent stream, named. */
  fork(name: string): SeededRandom;
}

export function seededRandom(seed: string): SeededRandom {
  const stream = createCipheriv(
    'aes-256-ctr',
    createHash('sha256').update(`carapace/simulations/${seed}`).digest(),
    new Uint8Array(16),
  );
  const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(stream.update(new Uint8Array(length)));
  return {
    bytes,
    uniform: () => {
      const view = new DataView(bytes(8).buffer);
      return (view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11)) / 2 ** 53;
    },
    fork: (name) => seededRandom(`${seed}/${name}`),
  };
}
