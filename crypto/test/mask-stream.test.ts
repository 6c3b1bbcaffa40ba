import {
  addMask,
  addMaskInParts,
  addMasks,
  addToWords,
  concatBytes,
  fromHex,
  MASK_SEED_BYTES,
  removeMasks,
  subtractMask,
  toHex,
} from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { createCipheriv } from 'node:crypto';
import { describe, expect, test } from 'vitest';

const WORD = 1n << 64n;

describe('NIST SP 800-38A, F.5.1 CTR-AES128', () => {
  const key = fromHex('2b7e151628aed2a6abf7158809cf4f3c');
  const counter = fromHex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
  const plaintext = fromHex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
      '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  );
  const ciphertext =
    '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff' +
    '5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee';

  test('the mask is the key stream', () => {
    const words = new BigUint64Array(8);
    addMask(words, concatBytes(key, counter));
    const stream = new Uint8Array(words.buffer);
    expect(toHex(stream.map((byte, i) => byte ^ plaintext[i]!))).toBe(ciphertext);
  });
});

/** The same in one update and in BigInt. */
function slowMask(seed: Uint8Array, length: number): bigint[] {
  const cipher = createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16));
  const stream = cipher.update(new Uint8Array(8 * length));
  return Array.from({ length }, (_, i) => stream.readBigUInt64LE(8 * i));
}

test.each([1, 2 ** 20, 2 ** 20 + 1, 2 ** 21 + 8193])(
  'in parts, %i words get the same mask, with a rest after each',
  (length) => {
    const seed = seededRandom(length).bytes(MASK_SEED_BYTES);
    const [atOnce, inParts] = [new BigUint64Array(length).fill(7n), new BigUint64Array(length).fill(7n)];
    addMask(atOnce, seed);
    const rests = [...addMaskInParts(inParts, seed)].length;
    expect(rests).toBe(Math.ceil(length / 2 ** 20));
    expect(Buffer.from(inParts.buffer).equals(Buffer.from(atOnce.buffer))).toBe(true);
  },
);

test('adding is addition modulo 2^64 with the signs, and removing undoes it, at every length about the part and any number of masks', () => {
  const length = fc.constantFrom(0, 1, 2, 100, 8191, 8192, 8193, 16384, 20000);
  const signs = fc.oneof(
    fc.array(fc.constantFrom(1 as const, -1 as const), { maxLength: 5 }),
    fc
      .constantFrom(63, 64, 65, 130)
      .map((count) => Array.from({ length: count }, (_, i): 1 | -1 => (i % 3 === 0 ? 1 : -1))),
  );
  fc.assert(
    fc.property(fc.nat(), length, signs, (seed, count, of) => {
      const random = seededRandom(seed);
      const used = of.length > 5 ? count % 1000 : count;
      const masks = of.map((sign) => ({ seed: random.bytes(MASK_SEED_BYTES), sign }));
      const words = new BigUint64Array(random.bytes(8 * used).buffer);
      const before = words.slice();
      const expected = before.slice();
      for (const { seed: of, sign } of masks) {
        slowMask(of, used).forEach((word, i) => (expected[i]! += BigInt(sign) * word));
      }
      addMasks(words, masks);
      expect(words.every((word, i) => word === expected[i])).toBe(true);
      removeMasks(words, masks);
      expect(words).toEqual(before);
    }),
    { numRuns: 30 },
  );
});

test('words of a mask are distinct, and every bit is set about half of the time', () => {
  const words = new BigUint64Array(1 << 16);
  addMask(words, seededRandom('bits').bytes(MASK_SEED_BYTES));
  expect(new Set(words).size).toBe(words.length);
  for (let bit = 0n; bit < 64n; bit++) {
    const ones = words.reduce((count, word) => count + Number((word >> bit) & 1n), 0);
    // Six standard deviations of a fair coin.
    expect(Math.abs(ones - words.length / 2)).toBeLessThan(6 * Math.sqrt(words.length / 4));
  }
});

test('bytes are added as words, from any alignment, and must be as many', () => {
  const words = BigUint64Array.of(1n, WORD - 1n, 7n);
  const bytes = new Uint8Array(25).fill(0xff, 1);
  addToWords(words, bytes.subarray(1));
  expect(words).toEqual(BigUint64Array.of(0n, WORD - 2n, 6n));
  expect(() => addToWords(words, bytes)).toThrow('ENCODE_RANGE');
});

test('a seed of another length is refused', () => {
  expect(() => subtractMask(new BigUint64Array(1), new Uint8Array(31))).toThrow('KEY_MALFORMED');
});
