import { createHash } from 'node:crypto';
import {
  concatBytes,
  DOMAINS,
  fingerprint,
  fromHex,
  generateSigningKey,
  parsePublicKey,
  signingKeyFromSeed,
  toHex,
  utf8,
  verify,
  verifyRaw,
} from '@carapace/crypto';
import type { Domain, PublicKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const domain = fc.constantFrom<Domain>(...Object.values(DOMAINS));
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

// RFC 8032, section 7.1.
test.each([
  [
    'TEST 1',
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    'TEST 2',
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'TEST 3',
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    'TEST SHA(abc)',
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    createHash('sha512').update('abc').digest('hex'),
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
])('RFC 8032, %s', (_name, secret, publicKey, message, signature) => {
  const key = signingKeyFromSeed(fromHex(secret));
  expect(toHex(key.publicKey)).toBe(publicKey);
  expect(toHex(key.signRaw(fromHex(message)))).toBe(signature);
  expect(verifyRaw(parsePublicKey(fromHex(publicKey)), fromHex(message), fromHex(signature))).toBe(true);
});

test('a signature is over the domain, a zero byte and the message', () => {
  fc.assert(
    fc.property(seed, domain, fc.uint8Array(), (secret, label, message) => {
      const key = signingKeyFromSeed(secret);
      const signature = key.sign(label, message);
      expect(toHex(signature)).toBe(toHex(key.signRaw(concatBytes(utf8(label), Uint8Array.of(0), message))));
      expect(verify(key.publicKey, label, message, signature)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('it counts in no other domain, nor without one', () => {
  fc.assert(
    fc.property(seed, domain, domain, fc.uint8Array(), (secret, label, other, message) => {
      fc.pre(label !== other);
      const key = signingKeyFromSeed(secret);
      const signature = key.sign(label, message);
      expect(verify(key.publicKey, other, message, signature)).toBe(false);
      expect(verifyRaw(key.publicKey, message, signature)).toBe(false);
    }),
    { numRuns: 30 },
  );
  // No label is the beginning of another with its zero byte, so no message moves bytes from one to the other.
  const labels = Object.values(DOMAINS);
  expect(new Set(labels).size).toBe(labels.length);
  expect(labels.filter((label) => !/^[\x21-\x7e]+$/.test(label))).toEqual([]);
});

test('one changed bit in the message, the signature or the key is refused', () => {
  const key = generateSigningKey(seededRandom('bits'));
  const message = utf8('a round');
  const signature = key.sign(DOMAINS.receipt, message);
  const flipped = (bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> =>
    Uint8Array.from(bytes, (byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  for (let bit = 0; bit < 8 * message.length; bit++)
    expect(verify(key.publicKey, DOMAINS.receipt, flipped(message, bit), signature)).toBe(false);
  for (let bit = 0; bit < 512; bit++)
    expect(verify(key.publicKey, DOMAINS.receipt, message, flipped(signature, bit))).toBe(false);
  // Half of these are no point of the curve: false too, not an exception.
  for (let bit = 0; bit < 256; bit++)
    expect(verify(flipped(key.publicKey, bit) as PublicKey, DOMAINS.receipt, message, signature)).toBe(false);
});

test('a signature of another length is false', () => {
  const key = generateSigningKey(seededRandom('length'));
  const signature = key.signRaw(utf8('x'));
  for (const length of [0, 1, 32, 63])
    expect(verifyRaw(key.publicKey, utf8('x'), signature.subarray(0, length))).toBe(false);
  expect(verifyRaw(key.publicKey, utf8('x'), concatBytes(signature, Uint8Array.of(0)))).toBe(false);
});

test('a message has one signature: S + L, which satisfies the same equation, is refused (RFC 8032, section 5.1.7)', () => {
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  const key = generateSigningKey(seededRandom('malleable'));
  const signature = key.signRaw(utf8('x'));
  let scalar = order;
  for (let i = 0; i < 32; i++) scalar += BigInt(signature[32 + i]!) << BigInt(8 * i);
  const other = Uint8Array.from(signature);
  for (let i = 0; i < 32; i++) other[32 + i] = Number((scalar >> BigInt(8 * i)) & 0xffn);
  expect(toHex(other)).not.toBe(toHex(signature));
  expect(verifyRaw(key.publicKey, utf8('x'), other)).toBe(false);
});

describe('public keys that are refused', () => {
  // y of the points of order 1, 2, 4 and 8, and p, p + 1, which spell 0 and 1 a second time; each with either sign bit.
  const lowOrder = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ];
  test.each(lowOrder)('small order %s', (hex) => {
    expect(() => parsePublicKey(fromHex(hex))).toThrow('KEY_MALFORMED');
    const negative = fromHex(hex);
    negative[31]! |= 0x80;
    expect(() => parsePublicKey(negative)).toThrow('KEY_MALFORMED');
  });

  test.each([0, 31, 33, 64])('%d bytes', (length) => {
    expect(() => parsePublicKey(new Uint8Array(length).fill(9))).toThrow('KEY_MALFORMED');
    expect(() => signingKeyFromSeed(new Uint8Array(length))).toThrow('KEY_MALFORMED');
  });
});

test('a parsed key and a seed are copies', () => {
  const key = generateSigningKey(seededRandom('copy'));
  const bytes = Uint8Array.from(key.publicKey);
  const parsed = parsePublicKey(bytes);
  bytes.fill(0);
  expect(parsed).toEqual(key.publicKey);

  const seedBytes = key.exportSeed();
  const again = signingKeyFromSeed(seedBytes);
  seedBytes.fill(0);
  expect(again.publicKey).toEqual(key.publicKey);
  expect(again.exportSeed()).toEqual(key.exportSeed());
});

test('a private key does not print, and depends on the random source alone', () => {
  const key = generateSigningKey(seededRandom('print'));
  expect(JSON.stringify(key)).not.toContain(toHex(key.exportSeed()));
  expect(Object.values(key).some((value) => value instanceof Uint8Array && value !== key.publicKey)).toBe(false);
  expect(generateSigningKey(seededRandom('print')).publicKey).toEqual(key.publicKey);
  expect(generateSigningKey(seededRandom('another')).publicKey).not.toEqual(key.publicKey);
});

test('a fingerprint is the SHA-256 of the key in base64url', () => {
  fc.assert(
    fc.property(seed, (secret) => {
      const { publicKey } = signingKeyFromSeed(secret);
      expect(fingerprint(publicKey)).toBe(createHash('sha256').update(publicKey).digest('base64url'));
    }),
    { numRuns: 20 },
  );
});
