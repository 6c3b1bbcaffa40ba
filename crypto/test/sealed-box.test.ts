import { fromHex, openSealed, seal, SEAL_OVERHEAD_BYTES, toHex, utf8 } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test('draft-irtf-cfrg-xchacha-03, appendix A.3.1', () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
  const nonce = Uint8Array.from({ length: 24 }, (_, i) => 0x40 + i);
  const associated = fromHex('50515253c0c1c2c3c4c5c6c7');
  const content = utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const expected =
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb' +
    '731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452' +
    '2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
    '21f9664c97637da9768812f615c68b13b52e' +
    'c0875924c1c7987947deafd8780acf49';
  const fixed: RandomSource = { bytes: () => nonce };
  expect(toHex(seal(key, content, associated, fixed))).toBe(toHex(nonce) + expected);
  expect(openSealed(key, fromHex(toHex(nonce) + expected), associated)).toEqual(content);
});

test('what was sealed opens, and opens no more after any single flipped bit', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.uint8Array({ maxLength: 20 }),
      fc.nat(),
      fc.nat(),
      (content, associated, seed, at) => {
        const random = seededRandom(seed);
        const key = random.bytes(32);
        const box = seal(key, content, associated, random);
        expect(box).toHaveLength(content.length + SEAL_OVERHEAD_BYTES);
        expect(openSealed(key, box, associated)).toEqual(content);
        const bit = at % (8 * box.length);
        box[bit >> 3]! ^= 1 << (bit & 7);
        expect(openSealed(key, box, associated)).toBeUndefined();
      },
    ),
  );
});

test('another key, other associated bytes and a short box do not open', () => {
  const random = seededRandom('box');
  const key = random.bytes(32);
  const box = seal(key, utf8('content'), utf8('to B'), random);
  expect(openSealed(key, box, utf8('to C'))).toBeUndefined();
  expect(openSealed(random.bytes(32), box, utf8('to B'))).toBeUndefined();
  for (let length = 0; length < SEAL_OVERHEAD_BYTES; length++) {
    expect(openSealed(key, box.subarray(0, length), utf8('to B'))).toBeUndefined();
  }
  expect(() => seal(key.subarray(1), utf8(''), utf8(''), random)).toThrow('KEY_MALFORMED');
  expect(() => openSealed(key.subarray(1), box, utf8(''))).toThrow('KEY_MALFORMED');
});

test('one content sealed twice gives two boxes', () => {
  const random = seededRandom('twice');
  const key = random.bytes(32);
  expect(seal(key, utf8('x'), utf8(''), random)).not.toEqual(seal(key, utf8('x'), utf8(''), random));
});
