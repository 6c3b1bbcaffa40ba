import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  clearUpdateLimit,
  decodeClearUpdate,
  encodeClearUpdate,
  layoutOf,
  parseDigest,
  parseRoundId,
} from '../../aggregation/src/index.ts';
import { DOMAINS, toHex } from '../../crypto/src/index.ts';
import { ROOT } from '../generated.ts';

const document = readFileSync(join(ROOT, 'docs', 'protocol', 'wire-format.md'), 'utf8');
const hex = (name: string): string =>
  new RegExp(`^\`\`\`hex ${name}\n([0-9a-f\n]+)\`\`\`$`, 'm').exec(document)?.[1]?.replaceAll('\n', '') ?? '';
const layout = layoutOf([{ name: 'w', shape: [2], policy: 'mean' }]);
const update = {
  round: parseRoundId('mnist.1').id,
  base: parseDigest('ab'.repeat(32)),
  layout: layout.digest,
  examples: 5,
  metrics: { trainLoss: 0.5 },
  delta: Float32Array.of(1, -0.5),
};

test('the layout digest', () => {
  expect(layout.digest).toBe(hex('layout'));
});

test('the update: encoded as the page has it, and read from the page as it was', () => {
  expect(toHex(encodeClearUpdate(update))).toBe(hex('update'));
  const read = decodeClearUpdate(Uint8Array.from(Buffer.from(hex('update'), 'hex')));
  expect({ ...read, metrics: { ...read.metrics } }).toEqual(update);
});

test('the update, field by field from the table of the page', () => {
  const bytes = [
    Buffer.from('CRPU'),
    [1, 0],
    [7, 0, 0, 0],
    Buffer.from('mnist.1'),
    Buffer.alloc(32, 0xab),
    Buffer.from(hex('layout'), 'hex'),
    [5, 0, 0, 0],
    [1],
    [9, 0, 0, 0],
    Buffer.from('trainLoss'),
    Buffer.from(Float64Array.of(0.5).buffer),
    [2, 0, 0, 0],
    Buffer.from(Float32Array.of(1, -0.5).buffer),
  ].flatMap((part) => [...part]);
  expect(Buffer.from(bytes).toString('hex')).toBe(hex('update'));
});

test('the limit of an upload', () => {
  expect(document).toContain(`4 × parameters + ${clearUpdateLimit(0)}`);
});

test('every domain-separation label, and no other', () => {
  const named = new Set([...document.matchAll(/carapace\/v1\/[a-z/-]*[a-z]/g)].map(([label]) => label));
  expect([...named].sort()).toEqual(Object.values(DOMAINS).sort());
});
