import { decodeSharesSession } from '@carapace/aggregation';
import { addMasks, fromHex, openSealed, parsePublicKey, signingKeyFromSeed, toHex, verify } from '@carapace/crypto';
import type { Domain } from '@carapace/crypto';
import { createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeAggregatorKey } from '../../src/shares/wire/aggregator-key.ts';
import { decodeShareInput } from '../../src/shares/wire/share-input.ts';
import { decodeShareSum } from '../../src/shares/wire/share-sum.ts';
import { decodeSumRequest } from '../../src/shares/wire/sum-request.ts';
import { makeSharesVectors, SHARES_VECTORS_FILE, sharesText } from '../vectors/shares-vectors.ts';
import type { SharesVectors } from '../vectors/shares-vectors.ts';

const text = readFileSync(SHARES_VECTORS_FILE, 'utf8');
const vectors = JSON.parse(text) as SharesVectors;
const context = fromHex(vectors.context);

const DECODERS: Readonly<Record<string, (context: Uint8Array, bytes: Uint8Array) => unknown>> = {
  session: (_, bytes) => decodeSharesSession(bytes),
  'aggregator-key': decodeAggregatorKey,
  'share-input': decodeShareInput,
  'sum-request': decodeSumRequest,
  'share-sum': decodeShareSum,
};

test('the code gives the published answers, byte for byte', () => {
  expect(sharesText(makeSharesVectors())).toBe(text);
});

test('the answers do not hang on the code that made them: shares add up to lanes, lanes to sums', () => {
  const inputs = [vectors.messages['share-input']!].flat().map((hex) => decodeShareInput(context, fromHex(hex)));
  const { sum, members } = decodeShareSum(context, fromHex(String(vectors.messages['share-sum'])));
  const total = new BigUint64Array(Uint8Array.from(sum).buffer);
  const ownSum = new BigUint64Array(total.length);
  for (const seed of vectors.seeds) addMasks(ownSum, [{ seed: fromHex(seed), sign: 1 }]);
  expect(ownSum).toEqual(total);
  expect(members).toEqual([0, 1, 2]);
  for (const { payload } of inputs)
    new BigUint64Array(Uint8Array.from(payload).buffer).forEach((word, i) => (total[i]! += word));
  // Ten bits a lane: the sum of four values of eight. Six of them fit a word.
  const opened = vectors.sums.map((_, i) => Number((total[0]! >> BigInt(10 * i)) & 1023n));
  expect(opened).toEqual(vectors.sums);
  // The last word counts the inputs.
  expect(total.at(-1)).toBe(3n);
  expect(vectors.sums).toEqual(vectors.sums.map((_, i) => vectors.lanes.reduce((sum, lanes) => sum + lanes[i]!, 0)));
});

describe('the answers follow from the words of the document, spelled here by hand', () => {
  const inputs = [vectors.messages['share-input']!].flat().map((hex) => decodeShareInput(context, fromHex(hex)));
  const { sealingKey } = decodeAggregatorKey(context, fromHex(String(vectors.messages['aggregator-key'])));
  const label = (text: string): Buffer => Buffer.from(`${text}\0`);
  const member = (number: number): Buffer => Buffer.from([number, 0]);

  test('the digest is of the nonce and the payload', () => {
    for (const [i, { nonce, payload, deposit }] of inputs.entries()) {
      expect(toHex(nonce)).toBe(vectors.nonces[i]);
      const prefix = Buffer.concat([u32(26), Buffer.from('carapace/v1/shares/payload'), nonce, u32(payload.length)]);
      const digest = createHash('sha256').update(prefix).update(payload).digest();
      expect(toHex(deposit.payloadDigest)).toBe(digest.toString('hex'));
    }
  });

  test('the box opens under the sealing key of the session for member and digest, and its seed gives the mask of the member', () => {
    for (const [i, { deposit }] of inputs.entries()) {
      const { ephemeralKey, sealedSeed, payloadDigest } = deposit;
      const shared = x25519(vectors.aggregatorSecret, ephemeralKey);
      const info = Buffer.concat([label('carapace/v1/shares/sealing-key'), ephemeralKey, sealingKey]);
      const key = new Uint8Array(hkdfSync('sha256', shared, context, info, 32));
      const associated = Buffer.concat([context, member(i), payloadDigest]);
      const seed = openSealed(key, sealedSeed, associated);
      expect(seed).toBeDefined();
      const mask = hkdfSync('sha256', seed!, context, Buffer.concat([label('carapace/v1/shares/mask'), member(i)]), 32);
      expect(toHex(new Uint8Array(mask))).toBe(vectors.seeds[i]);
      for (const other of [
        Buffer.concat([context, member(i)]),
        Buffer.concat([context, member(i + 1), payloadDigest]),
        Buffer.concat([context, member(i), payloadDigest.map((byte) => byte ^ 1)]),
      ])
        expect(openSealed(key, sealedSeed, other)).toBeUndefined();
    }
  });

  test('the signatures are of the session', () => {
    const { sealingKey: signed, signature } = decodeAggregatorKey(
      context,
      fromHex(String(vectors.messages['aggregator-key'])),
    );
    const identity = (seed: string) => parsePublicKey(signingKeyFromSeed(fromHex(seed)).publicKey);
    const isSigned = (seed: string, domain: string, text: Buffer, by: Uint8Array): boolean =>
      verify(identity(seed), domain as Domain, text, by);
    const { aggregator, clients } = vectors.identitySeeds;
    const keyText = Buffer.concat([context, signed]);
    expect(isSigned(aggregator, 'carapace/v1/shares/aggregator-key', keyText, signature)).toBe(true);
    for (const [i, { deposit }] of inputs.entries()) {
      const text = Buffer.concat([context, member(i), deposit.payloadDigest, deposit.ephemeralKey, deposit.sealedSeed]);
      expect(isSigned(clients[i]!, 'carapace/v1/shares/deposit', text, deposit.signature)).toBe(true);
    }
  });

  function u32(value: number): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  }

  function x25519(secret: string, peer: Uint8Array): Buffer {
    const raw = Buffer.from(secret, 'hex');
    // RFC 8410: what PKCS #8 and SPKI put before the 32 bytes.
    const privateKey = createPrivateKey({
      key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), raw]),
      format: 'der',
      type: 'pkcs8',
    });
    const publicKey = createPublicKey({
      key: Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), peer]),
      format: 'der',
      type: 'spki',
    });
    return diffieHellman({ privateKey, publicKey });
  }
});

test('every message of the transcript decodes', () => {
  expect(['session', ...Object.keys(vectors.messages)]).toEqual(Object.keys(DECODERS));
  for (const [kind, messages] of Object.entries(vectors.messages))
    for (const message of [messages].flat()) DECODERS[kind]!(context, fromHex(message));
});

test.each(vectors.refused.map((row) => [row.kind, row.what, row.code, row.bytes] as const))(
  'refused: %s: %s: %s',
  (kind, _, code, bytes) => {
    let found = 'nothing was refused';
    try {
      DECODERS[kind]!(context, fromHex(bytes));
    } catch (error) {
      found = (error as { readonly code: string }).code;
    }
    expect(found).toBe(code);
  },
);

test('the worked example of the document is this transcript', () => {
  const document = join(import.meta.dirname, '../../../docs/protocol/shares.md');
  const blocks = [...readFileSync(document, 'utf8').matchAll(/```hex (\S+)\n([0-9a-f\s]+)```/g)];
  const shown = Object.fromEntries(blocks.map(([, name, hex]) => [name, hex!.replaceAll(/\s/g, '')]));
  const first = Object.entries(vectors.messages).map(([kind, value]) => [kind, [value].flat()[0]]);
  expect(shown).toEqual({ session: vectors.session, context: vectors.context, ...Object.fromEntries(first) });
});
