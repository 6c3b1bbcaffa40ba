/** What parties of different versions must compute alike, byte for byte. */
import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  commitToShare,
  commonReference,
  hkdfSha256,
  keyShareBytes,
  openBgv,
  openingShare,
  sealParameters,
  sha256,
  sha256Hex,
  utf8,
} from '../../src/index.ts';
import { finished } from './kit.ts';

const keys = { kind: 'committee', members: 3, threshold: 2 } as const;
const context = Uint8Array.from({ length: 32 }, (_, i) => i);

test('primes, plain modulus, reference, commitment and a member’s answer', async () => {
  const bgv = await openBgv(sealParameters({ keys, clients: 8, maxValue: 4095, length: 100 }));
  const reference = commonReference(bgv, context);
  const share = Uint8Array.from({ length: keyShareBytes(bgv) }, (_, i) => (i % 8 === 7 ? 0 : i % 251));
  const mask = reference.slice(0, bgv.polynomialBytes);
  const answer = finished(openingShare(bgv, share, { number: 2, quorum: [1, 2] }, mask));
  const { plainModulus, dataPrimes, keyPrimes } = bgv;
  expect({
    primes: [...keyPrimes, plainModulus],
    reference: sha256Hex(reference),
    commitment: sha256Hex(commitToShare(context, 2, reference)),
    answer: sha256Hex(answer),
  }).toEqual({
    answer: 'dbee9d2319b2e9531ddd27cb680103c1200af31f2fbc507bc089f3dcf3406daa',
    commitment: 'be34f1f1ee11f29a155cfe5a7f7eeae0f03560a63b5e4cf2f8ee41373753fa3f',
    primes: [1152921504606748673n, 1152921504606830593n, 1073692673n, 70368743669761n],
    reference: '79b193084f95ad570d6607473eb92886b45962442410295dfc55fe5e54e17f8f',
  });
  expect(dataPrimes).toEqual(keyPrimes.slice(0, 2));
  bgv.free();
});

test('the reference as the document says it, drawn once more', async () => {
  const bgv = await openBgv(sealParameters({ keys, clients: 8, maxValue: 4095, length: 100 }));
  const info = Uint8Array.from([...utf8('carapace/v1/seal/common-reference'), 0]);
  const key = hkdfSha256(context, context, info, 32);
  const words = new BigUint64Array(commonReference(bgv, context).buffer);
  for (const [row, prime] of bgv.keyPrimes.entries()) {
    const block = new Uint8Array(16);
    block[3] = row;
    const stream = createCipheriv('aes-256-ctr', key, block).update(new Uint8Array(8 * 64));
    const drawn = [...new BigUint64Array(Uint8Array.from(stream).buffer)];
    const low = drawn.map((word) => BigInt.asUintN(prime.toString(2).length, word)).filter((word) => word < prime);
    const from = row * bgv.parameters.profile.dimension;
    expect([...words.subarray(from, from + low.length)]).toEqual(low);
  }
  bgv.free();
});

test('a commitment is the hash that the document says', () => {
  const share = Uint8Array.of(1, 2, 3);
  const text = Uint8Array.from([...utf8('carapace/v1/seal/commitment'), 0, 0, 7, ...context, ...share]);
  expect(commitToShare(context, 7, share)).toEqual(sha256(text));
});
