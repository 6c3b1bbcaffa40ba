/** Sums of ciphertexts opened under a secret key: lane sums, or nothing when the noise says that they are none. */
import type { Decryptor } from 'node-seal';
import { concatBytes } from '../bytes.ts';
import { CryptoError } from '../errors.ts';
import { unpackLanes } from '../words/lanes.ts';
import type { Bgv } from './bgv.ts';
import type { Ciphertexts } from './encryption.ts';
import { bodyBytes } from './encryption.ts';
import { loadSecretKey } from './keys.ts';
import { scoped } from './library.ts';
import { loadCiphertext } from './sum.ts';

export interface OpenedSum {
  /** Lane sums; undefined when a slot holds more than its lanes, which no sum of honest ciphertexts does. */
  readonly values: Uint32Array | undefined;
  /** Bits of noise budget that were left in the worst block. */
  readonly budget: number;
}

/**
 * @param sum both polynomials of every block (`CiphertextSum.ciphertexts`)
 * @throws CryptoError `SEAL_NOISE` when a block has no budget: what it opens to has nothing to do with what was encrypted
 */
export function openSum(bgv: Bgv, secretKey: Uint8Array, sum: Ciphertexts): OpenedSum {
  const { blocks, profile, length, laneBits, lanesPerSlot } = bgv.parameters;
  for (const part of [sum.body, sum.mask]) checkLength(part, bodyBytes(bgv.parameters));
  const slots = new BigUint64Array(blocks * profile.dimension);
  let budget = Infinity;
  scoped((scope) => {
    const key = loadSecretKey(bgv, scope, secretKey);
    const decryptor = scope.keep(new bgv.seal.Decryptor(bgv.context, key));
    for (let block = 0; block < blocks; block++) {
      const opened = openBlock(bgv, decryptor, sum, block);
      budget = Math.min(budget, opened.budget);
      slots.set(opened.slots, block * profile.dimension);
    }
  });
  const lanes = unpackLanes(slots, { laneBits, lanesPerWord: lanesPerSlot });
  // What stands behind the vector is 0 in every client's last block.
  const isWhole = lanes?.subarray(length).every((lane) => lane === 0) ?? false;
  return { values: isWhole ? lanes?.slice(0, length) : undefined, budget };
}

function openBlock(
  bgv: Bgv,
  decryptor: Decryptor,
  { body, mask }: Ciphertexts,
  block: number,
): { readonly slots: BigUint64Array; readonly budget: number } {
  const { polynomialBytes: step, headers, encoder, seal } = bgv;
  const [from, to] = [block * step, (block + 1) * step];
  return scoped((scope) => {
    const bytes = concatBytes(headers.ciphertext, body.subarray(from, to), mask.subarray(from, to));
    const ciphertext = loadCiphertext(bgv, scope, bytes);
    const budget = decryptor.invariantNoiseBudget(ciphertext);
    if (budget < 1) throw new CryptoError('SEAL_NOISE', `block ${block} has no noise budget left`);
    const plaintext = scope.keep(new seal.Plaintext());
    decryptor.decrypt(ciphertext, plaintext);
    return { slots: encoder.decodeBigUint64(plaintext) as BigUint64Array, budget };
  });
}

function checkLength(part: Uint8Array, length: number): void {
  if (part.length !== length)
    throw new CryptoError('SEAL_CIPHERTEXT', `half a sum of ${part.length} bytes, not ${length}`);
}
