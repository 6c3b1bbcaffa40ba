import { deriveKey, DOMAINS, fromHex, hkdfSha256, toHex, utf8 } from '@carapace/crypto';
import { expect, test } from 'vitest';

const range = (from: number, to: number): string =>
  toHex(Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i));

// RFC 5869, appendix A: the test cases with SHA-256.
test.each([
  [
    'A.1',
    '0b'.repeat(22),
    range(0, 0x0c),
    range(0xf0, 0xf9),
    42,
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  ],
  [
    'A.2',
    range(0, 0x4f),
    range(0x60, 0xaf),
    range(0xb0, 0xff),
    82,
    'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  ],
  [
    'A.3',
    '0b'.repeat(22),
    '',
    '',
    42,
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  ],
])('RFC 5869, %s', (_, secret, salt, info, length, expected) => {
  expect(toHex(hkdfSha256(fromHex(secret), fromHex(salt), fromHex(info), length))).toBe(expected);
});

test('each of secret, domain, context and detail changes the key', () => {
  const keys = [
    deriveKey(utf8('secret'), DOMAINS.secaggPairMask, utf8('context'), utf8('detail')),
    deriveKey(utf8('Secret'), DOMAINS.secaggPairMask, utf8('context'), utf8('detail')),
    deriveKey(utf8('secret'), DOMAINS.secaggSealing, utf8('context'), utf8('detail')),
    deriveKey(utf8('secret'), DOMAINS.secaggPairMask, utf8('contexu'), utf8('detail')),
    deriveKey(utf8('secret'), DOMAINS.secaggPairMask, utf8('context'), utf8('detaim')),
  ].map(toHex);
  expect(new Set(keys).size).toBe(keys.length);
});
