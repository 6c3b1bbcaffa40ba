import { planDistributed } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const path = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'privacy', 'mechanisms.md');

test('the table of bits is what plans are', () => {
  const [, table = ''] = /<!-- bits:start -->\n(.*)\n<!-- bits:end -->/s.exec(readFileSync(path, 'utf8')) ?? [];
  const rows = table
    .trim()
    .split('\n')
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim()));
  expect(rows).toHaveLength(5);
  for (const [, bits, units, inflation] of rows) {
    const plan = () =>
      planDistributed({
        noise: 'skellam',
        dimension: 1_000_000,
        clients: 100,
        floor: 70,
        noiseMultiplier: parseRational('0.9'),
        bits: Number(bits),
      });
    if (units === 'refused') {
      expect(plan).toThrow(/MECHANISM_MODULUS/);
      continue;
    }
    const { unitsPerClip, l2Squared } = plan();
    expect(Math.round(unitsPerClip).toLocaleString('en-US')).toBe(units);
    expect((Math.sqrt(Number(l2Squared)) / unitsPerClip).toFixed(4)).toBe(inflation);
  }
});
