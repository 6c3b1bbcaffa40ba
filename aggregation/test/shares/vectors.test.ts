import { decodeSharesSession } from '@carapace/aggregation';
import { addMasks, fromHex } from '@carapace/crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
  expect(vectors.sums).toEqual(vectors.sums.map((_, i) => vectors.lanes.reduce((sum, lanes) => sum + lanes[i]!, 0)));
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
