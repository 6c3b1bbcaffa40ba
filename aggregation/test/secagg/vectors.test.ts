import { decodeSession } from '@carapace/aggregation';
import { fromHex, recoverSecret } from '@carapace/crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeAdvertisedKeys, decodeKeyList } from '../../src/secagg/wire/advertise-keys.ts';
import { decodeSignatures, decodeSurvivors, decodeSurvivorSignature } from '../../src/secagg/wire/consistency.ts';
import { decodeMaskedInput } from '../../src/secagg/wire/masked-input.ts';
import { decodeDealing, decodeDelivery } from '../../src/secagg/wire/share-keys.ts';
import { decodeUnmaskReply } from '../../src/secagg/wire/unmask.ts';
import { asText, makeVectors, VECTORS_FILE } from '../vectors/secagg-vectors.ts';
import type { SecaggVectors } from '../vectors/secagg-vectors.ts';

const text = readFileSync(VECTORS_FILE, 'utf8');
const vectors = JSON.parse(text) as SecaggVectors & {
  readonly shamir: { readonly secret: string; readonly shares: { readonly x: number; readonly value: string }[] };
};
const context = fromHex(vectors.words.context);

const DECODERS: Readonly<Record<string, (context: Uint8Array, bytes: Uint8Array) => unknown>> = {
  session: (_, bytes) => decodeSession(bytes),
  'advertise-keys': decodeAdvertisedKeys,
  'key-list': decodeKeyList,
  'share-keys': decodeDealing,
  'share-delivery': decodeDelivery,
  'masked-input': decodeMaskedInput,
  survivors: decodeSurvivors,
  consistency: decodeSurvivorSignature,
  signatures: decodeSignatures,
  unmask: decodeUnmaskReply,
};

test('the code gives the published answers, byte for byte', () => {
  expect(asText(makeVectors())).toBe(text);
});

test('the answers do not hang on the code that made them: any three shares recover, and sums are sums', () => {
  const shares = vectors.shamir.shares.map(({ x, value }) => ({ x, value: fromHex(value) }));
  expect(recoverSecret(shares.slice(2))).toEqual(fromHex(vectors.shamir.secret));
  expect(recoverSecret([shares[0]!, shares[3]!, shares[1]!])).toEqual(fromHex(vectors.shamir.secret));
  for (const { clients, survivors, sums } of [vectors.words, vectors.rlwe]) {
    const plain = sums.map((_, i) => survivors.reduce((sum, member) => sum + clients[member]!.lanes[i]!, 0));
    expect(sums).toEqual(plain);
    expect(survivors).toEqual([0, 1]);
  }
});

test('every message of the transcript decodes', () => {
  const kinds = Object.keys(vectors.words.messages);
  expect(['session', ...kinds].sort()).toEqual(Object.keys(DECODERS).sort());
  for (const kind of kinds) {
    const messages = [vectors.words.messages[kind]!].flat();
    for (const message of messages) if (message !== null) DECODERS[kind]!(context, fromHex(message));
  }
});

describe('refused', () => {
  const rows = [...vectors.refusedSessions, ...vectors.refusedMessages];
  test.each(rows.map((row) => [row.kind, row.what, row.code, row.bytes] as const))(
    '%s: %s: %s',
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
});

test('the worked example of the documents is this transcript', () => {
  const document = join(import.meta.dirname, '../../../docs/protocol/secure-aggregation-wire.md');
  const blocks = [...readFileSync(document, 'utf8').matchAll(/```hex (\S+)\n([0-9a-f\s]+)```/g)];
  const shown = Object.fromEntries(blocks.map(([, name, hex]) => [name, hex!.replaceAll(/\s/g, '')]));
  const { session, context: hash, binding, messages } = vectors.words;
  const first = Object.entries(messages).map(([kind, value]) => [kind, [value].flat()[0]]);
  expect(shown).toEqual({ session, context: hash, binding, ...Object.fromEntries(first) });
});
