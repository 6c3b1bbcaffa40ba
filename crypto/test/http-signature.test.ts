import {
  fingerprint,
  generateSigningKey,
  parseSignature,
  sha256,
  signatureBase,
  signingKeyFromSeed,
  signMessage,
  toBase64url,
  utf8,
} from '@carapace/crypto';
import { contentDigest, parseContentDigest, parsePublicKey, verifyMessage, verifyRaw } from '@carapace/crypto';
import type { CoveredMessage } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';

const key = generateSigningKey(seededRandom('http-signature'));
const other = generateSigningKey(seededRandom('another'));
const message: CoveredMessage = {
  method: 'PUT',
  authority: 'Coordinator.Example:7878',
  path: '/v1/client/rounds/mnist.1/updates/up_a',
  query: '?offset=0&total=9',
  body: { contentType: 'application/octet-stream', contentDigest: contentDigest(sha256(utf8('a body'))) },
  sequence: 7n,
};
const CREATED = 1_800_000_000;
const signed = (of: CoveredMessage = message) =>
  signMessage(key, fingerprint(key.publicKey), of, CREATED, 'abcdefghijklmnop');

describe('RFC 9421, appendix B.2.6', () => {
  const base = signatureBase(
    [
      ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
      ['@method', 'POST'],
      ['@path', '/foo'],
      ['@authority', 'example.com'],
      ['content-type', 'application/json'],
      ['content-length', '18'],
    ],
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
  );
  const expected = Buffer.from(
    'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
    'base64',
  );
  const seed = Buffer.from('MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF', 'base64').subarray(16);

  test('our signature over the base is the one of the RFC', () => {
    expect(Buffer.from(signingKeyFromSeed(seed).signRaw(base)).toString('base64')).toBe(expected.toString('base64'));
  });

  test('the public key of the RFC verifies it', () => {
    const publicKey = parsePublicKey(Buffer.from('JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=', 'base64'));
    expect(verifyRaw(publicKey, base, expected)).toBe(true);
  });
});

test('RFC 9530, section 2: the digest of a body', () => {
  const digest = contentDigest(sha256(utf8('{"hello": "world"}\n')));
  expect(digest).toBe('sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:');
  expect(toBase64url(parseContentDigest(digest))).toBe(toBase64url(sha256(utf8('{"hello": "world"}\n'))));
});

test('what was signed verifies, and names its key and times', () => {
  const parsed = parseSignature(signed());
  expect(parsed).toMatchObject({ created: CREATED, expires: CREATED + 60, keyId: fingerprint(key.publicKey) });
  expect(verifyMessage(key.publicKey, message, parsed)).toBe(true);
});

describe('every change of what is covered breaks the signature', () => {
  const { body: _body, ...bodiless } = message;
  const { sequence: _sequence, ...unsequenced } = message;
  const changes: Record<string, CoveredMessage> = {
    method: { ...message, method: 'POST' },
    authority: { ...message, authority: 'evil.example:7878' },
    path: { ...message, path: '/v1/client/rounds/mnist.2/updates/up_a' },
    query: { ...message, query: '?offset=0&total=10' },
    'content type': { ...message, body: { ...message.body!, contentType: 'application/json' } },
    'content digest': { ...message, body: { ...message.body!, contentDigest: contentDigest(sha256(utf8('another'))) } },
    'body removed': bodiless,
    sequence: { ...message, sequence: 8n },
    'sequence removed': unsequenced,
  };
  test.each(Object.entries(changes))('%s', (_name, changed) => {
    expect(verifyMessage(key.publicKey, changed, parseSignature(signed()))).toBe(false);
    expect(verifyMessage(key.publicKey, message, parseSignature(signed(changed)))).toBe(false);
  });

  test('another key', () => {
    expect(verifyMessage(other.publicKey, message, parseSignature(signed()))).toBe(false);
  });
});

describe('anything outside the profile is not a signature', () => {
  const { 'signature-input': input, signature } = signed();
  const wrong: Record<string, { 'signature-input': string; signature: string }> = {
    'another label': { 'signature-input': input.replace('carapace=', 'sig1='), signature },
    'two signatures': { 'signature-input': `${input}, ${input}`, signature },
    'another algorithm': { 'signature-input': input.replace('ed25519', 'hmac-sha256'), signature },
    'no algorithm': { 'signature-input': input.replace(';alg="ed25519"', ''), signature },
    'another tag': { 'signature-input': input.replace('carapace-v1', 'carapace-v2'), signature },
    'one more parameter': { 'signature-input': `${input};x=1`, signature },
    'parameters in another order': {
      'signature-input': input.replace(/;created=(\d+);expires=(\d+)/, ';expires=$2;created=$1'),
      signature,
    },
    'a lifetime too long': { 'signature-input': input.replace(String(CREATED + 60), String(CREATED + 61)), signature },
    'a lifetime of nothing': { 'signature-input': input.replace(String(CREATED + 60), String(CREATED)), signature },
    'a component with a parameter': { 'signature-input': input.replace('"@path"', '"@path";req'), signature },
    'a short signature': { 'signature-input': input, signature: 'carapace=:AAAA:' },
    'stray bits in the base64': { 'signature-input': input, signature: signature.replace(/.==:$/, 'B==:') },
    'white space': { 'signature-input': ` ${input}`, signature },
    nothing: { 'signature-input': '', signature: '' },
  };
  test.each(Object.entries(wrong))('%s', (_name, headers) => {
    expect(() => parseSignature(headers)).toThrow(/SIGNATURE_FORM/);
  });

  test('fewer components than the profile', () => {
    const parsed = parseSignature(signed());
    const trimmed = { ...parsed, parameters: parsed.parameters.replace(' "content-digest"', '') };
    expect(verifyMessage(key.publicKey, message, trimmed)).toBe(false);
  });
});
