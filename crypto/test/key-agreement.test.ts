import { exchangeKeyFromSecret, fromHex, generateExchangeKey, parseExchangePublicKey, toHex } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const agree = (secret: string, peer: string): string =>
  toHex(exchangeKeyFromSecret(fromHex(secret)).agree(fromHex(peer) as ReturnType<typeof parseExchangePublicKey>));

describe('RFC 7748', () => {
  test.each([
    [
      'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    ],
    [
      '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    ],
  ])('section 5.2: scalar %s', (scalar, coordinate, product) => {
    expect(agree(scalar, coordinate)).toBe(product);
  });

  test('section 5.2: 1 and 1000 iterations', () => {
    let k = `09${'00'.repeat(31)}`;
    let u = k;
    for (let i = 1; i <= 1000; i++) {
      [k, u] = [agree(k, u), k];
      if (i === 1) expect(k).toBe('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
    }
    expect(k).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  test('section 6.1: both sides', () => {
    const alice = exchangeKeyFromSecret(fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
    const bob = exchangeKeyFromSecret(fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    expect(toHex(alice.publicKey)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(toHex(bob.publicKey)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(toHex(alice.agree(bob.publicKey))).toBe(shared);
    expect(toHex(bob.agree(alice.publicKey))).toBe(shared);
  });
});

test('any two keys agree, and a third does not', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const [a, b, c] = [generateExchangeKey(random), generateExchangeKey(random), generateExchangeKey(random)];
      expect(toHex(a.agree(b.publicKey))).toBe(toHex(b.agree(a.publicKey)));
      expect(toHex(a.agree(c.publicKey))).not.toBe(toHex(a.agree(b.publicKey)));
    }),
    { numRuns: 20 },
  );
});

describe('public keys that are refused', () => {
  // The points of low order of https://cr.yp.to/ecdh.html#validate, with their other spellings.
  test.each([
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    'cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880',
    '4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7',
    `d9${'ff'.repeat(31)}`,
    `da${'ff'.repeat(31)}`,
    `db${'ff'.repeat(31)}`,
  ])('low order %s', (hex) => {
    expect(() => parseExchangePublicKey(fromHex(hex))).toThrow('KEY_MALFORMED');
  });

  test.each([`ef${'ff'.repeat(30)}7f`, `09${'00'.repeat(30)}80`, '09', ''])('no canonical coordinate: %s', (hex) => {
    expect(() => parseExchangePublicKey(fromHex(hex))).toThrow('KEY_MALFORMED');
  });

  test('and a key that was never parsed is refused where it is used', () => {
    expect(() => agree('77'.repeat(32), '00'.repeat(32))).toThrow('KEY_MALFORMED');
    expect(() => agree('77'.repeat(32), `ec${'ff'.repeat(30)}7f`)).toThrow('KEY_MALFORMED');
  });

  test('the largest canonical coordinates are not taken for others', () => {
    expect(parseExchangePublicKey(fromHex(`eb${'ff'.repeat(30)}7f`))).toHaveLength(32);
    expect(parseExchangePublicKey(fromHex(`ff${'ff'.repeat(30)}7e`))).toHaveLength(32);
  });
});

test('a private key does not print', () => {
  const key = generateExchangeKey(seededRandom('print'));
  const secret = toHex(key.exportSecret());
  expect(JSON.stringify(key)).not.toContain(secret);
  expect(toHex(exchangeKeyFromSecret(key.exportSecret()).publicKey)).toBe(toHex(key.publicKey));
  expect(() => exchangeKeyFromSecret(new Uint8Array(31))).toThrow('KEY_MALFORMED');
});
