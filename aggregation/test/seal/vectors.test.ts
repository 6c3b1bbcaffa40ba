import { decodeSealSession } from '@carapace/aggregation';
import { fromHex, parsePublicKey, verify } from '@carapace/crypto';
import type { Domain } from '@carapace/crypto';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeCommitment, decodeHolderList } from '../../src/seal/wire/commitment.ts';
import { decodeDeal, decodeDelivery } from '../../src/seal/wire/deal.ts';
import { decodeOpeningRequest, decodeSealInput } from '../../src/seal/wire/input.ts';
import { decodeOpeningShare } from '../../src/seal/wire/opening-share.ts';
import { decodeConfirmation, decodeRoundKey } from '../../src/seal/wire/round-key.ts';
import { decodeSoleKey, decodeSoleSum } from '../../src/seal/wire/sole-holder.ts';
import { makeSealVectors } from '../vectors/seal-vectors.ts';

const document = join(import.meta.dirname, '../../../docs/protocol/seal-messages.md');
const blocks = new Map(
  [...readFileSync(document, 'utf8').matchAll(/```hex (\S+)\n([0-9a-f\s]+)```/g)].map((block) => [
    block[1]!,
    block[2]!.replaceAll(/\s/g, ''),
  ]),
);
const bytes = (name: string): Uint8Array => fromHex(blocks.get(name)!);

test('the document shows what the code sends, byte for byte', () => {
  expect(blocks).toEqual(makeSealVectors());
});

test('every message of the document decodes, and in no other session', () => {
  const decoders: Readonly<Record<string, (context: Uint8Array, message: Uint8Array) => unknown>> = {
    commitment: decodeCommitment,
    'holder-list': decodeHolderList,
    deal: decodeDeal,
    delivery: decodeDelivery,
    confirmation: decodeConfirmation,
    'round-key': decodeRoundKey,
    'seal-input': decodeSealInput,
    'opening-request': decodeOpeningRequest,
    'opening-share': decodeOpeningShare,
    'sole-key': decodeSoleKey,
    'sole-sum': decodeSoleSum,
  };
  expect(['session', 'context', ...Object.keys(decoders)]).toEqual([...blocks.keys()]);
  const context = bytes('context');
  for (const [name, decode] of Object.entries(decoders)) {
    decode(context, bytes(name));
    const other = context.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
    expect(() => decode(other, bytes(name))).toThrow(expect.objectContaining({ code: 'SECAGG_CONTEXT' }));
  }
});

test('context, commitment and signatures follow from the words of the document, spelled here by hand', () => {
  const session = decodeSealSession(bytes('session'));
  const context = bytes('context');
  const label = Buffer.from('carapace/v1/seal/session');
  const head = Buffer.concat([u32(label.length), label, u32(bytes('session').length)]);
  expect(Buffer.from(context)).toEqual(sha256(head, bytes('session')));

  const first = decodeCommitment(context, bytes('commitment'));
  const share = new Uint8Array(8).fill(1);
  const hashed = sha256(Buffer.from('carapace/v1/seal/commitment'), Buffer.from([0, 0, 1]), context, share);
  expect(Buffer.from(first.commitment)).toEqual(hashed);

  const signed = (by: Uint8Array, domain: string, text: Buffer[], signature: Uint8Array): boolean =>
    verify(parsePublicKey(by), domain as Domain, Buffer.concat(text), signature);
  const one = Buffer.from([1]);
  const holder = session.holders[0]!.identity;
  const committed = [Buffer.from(context), one, Buffer.from(first.commitment), Buffer.from(first.sealingKey)];
  expect(signed(holder, 'carapace/v1/seal/holder-commitment', committed, first.signature)).toBe(true);

  const keyDigest = sha256(new Uint8Array(8).fill(3), new Uint8Array(8).fill(255));
  const list = sha256(bytes('holder-list'));
  const confirmed = [Buffer.from(context), list, Buffer.from([2, 1, 2]), keyDigest];
  const { signature } = decodeConfirmation(context, bytes('confirmation'));
  expect(signed(holder, 'carapace/v1/seal/round-key', confirmed, signature)).toBe(true);

  const { contribution, body, mask } = decodeSealInput(context, bytes('seal-input'));
  const input = [Buffer.from(context), keyDigest, Buffer.from([0, 0]), sha256(body), sha256(mask)];
  expect(signed(session.cohort[0]!.identity, 'carapace/v1/seal/contribution', input, contribution.signature)).toBe(
    true,
  );

  const answer = decodeOpeningShare(context, bytes('opening-share'));
  const opened = [Buffer.from(context), one, sha256(bytes('opening-request')), Buffer.from(answer.maskDigest)];
  const text = [...opened, sha256(answer.share)];
  expect(signed(holder, 'carapace/v1/seal/opening-share', text, answer.signature)).toBe(true);
});

function sha256(...parts: Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

function u32(value: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(value);
  return word;
}
