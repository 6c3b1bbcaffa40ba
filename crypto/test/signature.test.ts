import {
  DOMAINS,
  fingerprint,
  fromHex,
  generateSigningKey,
  parsePublicKey,
  signingKeyFromSeed,
  toHex,
  verify,
  verifyRaw,
} from '@carapace/crypto';
import type { Domain } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const domain = fc.constantFrom(...Object.values(DOMAINS));
const KEY = generateSigningKey(seededRandom('signer'));
const OTHER = generateSigningKey(seededRandom('another'));

describe('RFC 8032, section 7.1', () => {
  const vectors = [
    {
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
  ];
  test.each(vectors)('message "$message"', ({ seed, key, message, signature }) => {
    const signing = signingKeyFromSeed(fromHex(seed));
    expect(toHex(signing.publicKey)).toBe(key);
    expect(toHex(signing.signRaw(fromHex(message)))).toBe(signature);
    expect(verifyRaw(parsePublicKey(fromHex(key)), fromHex(message), fromHex(signature))).toBe(true);
  });
});

test('a signature holds for its key, its domain and its message, and for nothing else', () => {
  fc.assert(
    fc.property(domain, domain, fc.uint8Array({ maxLength: 40 }), fc.nat(), (made, asked, message, at) => {
      const signature = KEY.sign(made, message);
      expect(verify(KEY.publicKey, asked, message, signature)).toBe(made === asked);
      expect(verify(OTHER.publicKey, made, message, signature)).toBe(false);
      const changed = Uint8Array.from(signature);
      changed[at % 64]! ^= 1 << (at % 8);
      expect(verify(KEY.publicKey, made, message, changed)).toBe(false);
      expect(verify(KEY.publicKey, made, Uint8Array.of(...message, 0), signature)).toBe(false);
    }),
  );
});

test('no bytes of a domain can be moved into the message: no label is another with a zero byte behind it', () => {
  for (const a of Object.values(DOMAINS)) expect(a).not.toContain('\0');
  expect(new Set<Domain>(Object.values(DOMAINS)).size).toBe(Object.keys(DOMAINS).length);
});

test('any 32 bytes as a key, any bytes as a signature: false or refused, never an exception from below', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 70 }), (bytes, signature) => {
      let key;
      try {
        key = parsePublicKey(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: 'KEY_MALFORMED' });
        return;
      }
      expect(verify(key, DOMAINS.receipt, Uint8Array.of(1), signature)).toBe(false);
    }),
    { examples: [[new Uint8Array(32).fill(0xff), new Uint8Array(64)]] },
  );
});

test('a key of small order, which verifies what nobody signed, is refused in every spelling', () => {
  const orders = ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, `ed${'ff'.repeat(30)}7f`];
  for (const hex of orders.flatMap((low) => [low, low.replace(/..$/, (last) => (last === '7f' ? 'ff' : '80'))]))
    expect(() => parsePublicKey(fromHex(hex))).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
});

test('a seed is 32 bytes, comes back as a copy, and does not print', () => {
  const seed = seededRandom('seed').bytes(32);
  const key = signingKeyFromSeed(seed);
  const before = toHex(seed);
  seed.fill(0);
  expect(toHex(key.exportSeed())).toBe(before);
  key.exportSeed().fill(0);
  expect(toHex(key.exportSeed())).toBe(before);
  expect(JSON.stringify(key)).not.toContain(before);
  expect(() => signingKeyFromSeed(new Uint8Array(31))).toThrow(expect.objectContaining({ code: 'KEY_MALFORMED' }));
});

test('a fingerprint is 43 characters of base64url, and another for another key', () => {
  expect(fingerprint(KEY.publicKey)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(fingerprint(KEY.publicKey)).not.toBe(fingerprint(OTHER.publicKey));
});
