import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_TABLES, errorsDocument, raisers } from '../errors-document.ts';
import { ROOT } from '../generated.ts';

const document = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8');

test('docs/errors.md is what `node scripts/errors.ts` writes', () => {
  expect(document).toBe(errorsDocument());
});

describe.each(ERROR_TABLES)('$title', ({ title, rooms, errors }) => {
  const part = document.split(/^## /m).find((text) => text.startsWith(title)) ?? '';
  const documented = [...part.matchAll(/^\| `([A-Z_0-9]+)` \|/gm)].map(([, code]) => code);

  test('every code of the table is documented, and no other', () => {
    expect(documented).toEqual(Object.keys(errors));
  });

  test('every entry has a meaning and a fix that are sentences', () => {
    for (const entry of Object.values(errors)) {
      const texts = entry.slice(-2);
      expect(texts).toHaveLength(2);
      for (const text of texts) expect(text).toMatch(/^[A-Z`/].*\.$/);
    }
  });

  test('every code is raised somewhere', () => {
    // Kept for the protections to come: today's decoder knows `clear` alone and calls anything else malformed.
    const reserved = new Set(['UPDATE_PROTECTION']);
    const unraised = Object.keys(errors).filter((code) => raisers(rooms, code).length === 0 && !reserved.has(code));
    expect(unraised).toEqual([]);
  });
});
